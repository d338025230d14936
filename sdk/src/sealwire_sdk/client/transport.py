"""How a request is sent: TLS verified, problems raised, what is safe to repeat repeated.

A request is repeated when doing it twice does it once (it reads, or it has an Idempotency-Key): after 503, and after
a connection that broke. After 429 nothing was done, so every request is. What the API says in Retry-After is waited
for, up to half a minute; when it says more, the problem is raised at once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from sealwire_sdk.client.problems import NoAnswer, Problem, RateLimited, Unavailable, problem_of
from sealwire_sdk.errors import ServerNotTrusted, SettingsMissing

T = TypeVar("T")
TRIES = 4
FIRST_PAUSE_S = 0.2
PAUSE_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Call:
    """One operation as it goes over the wire."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    content: bytes | None = None
    key: str | None = None
    """The caller's own Idempotency-Key; without one a POST that is repeatable gets a fresh one."""
    repeatable: bool = True
    """Whether sending it twice does it once."""

    def request(self) -> dict[str, Any]:
        """For httpx: nothing that was left out is sent."""
        query = {name: _text(value) for name, value in self.query.items() if value is not None}
        headers = {name: value for name, value in self.headers.items() if value is not None}
        request: dict[str, Any] = {"method": self.method, "url": self.path, "params": query or None}
        if self.body is not None:
            kept = {name: value for name, value in self.body.items() if value is not msgspec.UNSET}
            request["content"] = msgspec.json.encode(kept)
            headers["Content-Type"] = "application/json"
        elif self.content is not None:
            request["content"] = self.content
        if self.method == "POST" and self.repeatable:
            headers["Idempotency-Key"] = self.key or secrets.token_urlsafe(16)
        return request | {"headers": headers}


def path_of(template: str, **parts: str) -> str:
    """Fill ids into a path; whatever they hold stays one segment of it."""
    return template.format(**{name: quote(value, safe="") for name, value in parts.items()})


def decoded(body: bytes, kind: type[T]) -> T:
    """The answer as `kind`; fields a newer service added are passed over."""
    return msgspec.json.decode(body, type=kind)


def given(value: T | None) -> T | msgspec.UnsetType:
    """None stands for "left out" where the API has no null."""
    return msgspec.UNSET if value is None else value


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, dt.date) else value


def _options(address: str | None, secret: str | None, ca: Path | str | None, seconds: float) -> dict[str, Any]:
    address = address or _setting("address", "SEALWIRE_API")
    secret = secret or _setting("secret", "SEALWIRE_CREDENTIAL")
    ca = ca or os.environ.get("SEALWIRE_CA") or None
    if not address.startswith("https://"):
        raise ValueError("the API is reached by https only: write https://HOST:PORT")
    return {
        "base_url": address,
        "verify": ssl.create_default_context(cafile=str(ca) if ca else None),
        "timeout": seconds,
        "headers": {"Authorization": f"Bearer {secret}", "User-Agent": "sealwire-sdk"},
        "follow_redirects": False,
    }


def _setting(name: str, variable: str) -> str:
    found = os.environ.get(variable)
    if not found:
        raise SettingsMissing(f"the {name} of the API is missing: pass it, or set {variable}")
    return found


def _pause_s(call: Call, problem: Problem, tried: int) -> float | None:
    """How long to wait before the next try; None to give up."""
    if tried == TRIES - 1 or not (call.repeatable or isinstance(problem, RateLimited)):
        return None
    if problem.retry_after_s > PAUSE_S_MAX:
        return None
    return problem.retry_after_s or FIRST_PAUSE_S * 2**tried


def _judge(response: httpx.Response) -> bytes:
    if response.status_code >= 400:
        raise problem_of(response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.content)
    return response.content


def _silent(error: httpx.TransportError) -> NoAnswer | ServerNotTrusted:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ServerNotTrusted()
        cause = cause.__cause__ or cause.__context__
    return NoAnswer(0, "no-answer", f"no answer from the API ({type(error).__name__}: {error})")


class Wire:
    """Sends and waits. Use as a context manager, or `close` it."""

    def __init__(
        self, address: str | None, secret: str | None, *, ca: Path | str | None = None, seconds: float = 30.0
    ) -> None:
        self._http = httpx.Client(**_options(address, secret, ca, seconds))

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def send(self, call: Call) -> bytes:
        """The body of a good answer; a Problem otherwise."""
        request, tried = call.request(), 0
        while True:
            try:
                return self._once(request)
            except (RateLimited, Unavailable) as problem:
                pause_s = _pause_s(call, problem, tried)
                if pause_s is None:
                    raise
            tried += 1
            time.sleep(pause_s)

    def _once(self, request: dict[str, Any]) -> bytes:
        try:
            return _judge(self._http.request(**request))
        except httpx.TransportError as error:
            raise _silent(error) from error

    def send_into(self, call: Call, file: BinaryIO) -> int:
        """Stream a good answer into `file`; how many bytes. Never repeated: a byte may have been written."""
        written = 0
        try:
            with self._http.stream(**call.request()) as response:
                if response.status_code >= 400:
                    response.read()
                    _judge(response)
                for chunk in response.iter_bytes():
                    file.write(chunk)
                    written += len(chunk)
        except httpx.TransportError as error:
            raise _silent(error) from error
        return written


class AsyncWire:
    """The same for asyncio."""

    def __init__(
        self, address: str | None, secret: str | None, *, ca: Path | str | None = None, seconds: float = 30.0
    ) -> None:
        self._http = httpx.AsyncClient(**_options(address, secret, ca, seconds))

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def send(self, call: Call) -> bytes:
        """The body of a good answer; a Problem otherwise."""
        request, tried = call.request(), 0
        while True:
            try:
                return await self._once(request)
            except (RateLimited, Unavailable) as problem:
                pause_s = _pause_s(call, problem, tried)
                if pause_s is None:
                    raise
            tried += 1
            await asyncio.sleep(pause_s)

    async def _once(self, request: dict[str, Any]) -> bytes:
        try:
            return _judge(await self._http.request(**request))
        except httpx.TransportError as error:
            raise _silent(error) from error

    async def send_into(self, call: Call, file: BinaryIO) -> int:
        """Stream a good answer into `file`; how many bytes. Never repeated: a byte may have been written."""
        written = 0
        try:
            async with self._http.stream(**call.request()) as response:
                if response.status_code >= 400:
                    await response.aread()
                    _judge(response)
                async for chunk in response.aiter_bytes():
                    file.write(chunk)
                    written += len(chunk)
        except httpx.TransportError as error:
            raise _silent(error) from error
        return written
