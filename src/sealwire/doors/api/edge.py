"""The outermost layer, around the framework: what must hold for every request whatever its route.

Each request gets an id of ours, security headers, a bound on size, pace and duration, its credential checked, and
one line of diagnostics with the route's template (never the address itself, never a client's own request id).
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, replace
from typing import Any, cast

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Message, Receive, Scope, Send

from sealwire.doors.api.authentication import PUBLIC_PATHS, visit_of
from sealwire.doors.api.pace import Pace, TooManyRequests, class_of
from sealwire.doors.api.parts import Parts
from sealwire.doors.api.problems import (
    MEDIA_TYPE,
    BodyCutOff,
    BodyTooLarge,
    BodyTooSlow,
    ContentTypeWrong,
    TooBusy,
    document,
)
from sealwire.ground import diagnostics
from sealwire.vocabulary import CredentialId

SECURITY_HEADERS = {
    b"strict-transport-security": b"max-age=63072000",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}


JSON_TYPES = frozenset({b"application/json"})
MEDIA_TYPES = frozenset(
    {b"audio/wav", b"audio/x-wav", b"audio/vnd.wave", b"application/age", b"application/octet-stream"}
)
MEDIA_UPLOAD = ("POST", "/v1/media")
"""The one operation whose body is not JSON: it has limits of its own."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of us one request may take."""

    body_types: frozenset[bytes] = JSON_TYPES
    body_bytes_max: int = 1 << 20
    media_bytes_max: int = 20 << 20
    media_s: float = 180.0
    body_pause_s: float = 10.0
    body_s: float = 30.0
    answer_s: float = 45.0
    requests_at_once: int = 200
    linger_bytes: int = 4 << 20
    linger_s: float = 1.0

    def of(self, scope: HTTPScope) -> Limits:
        """For this request: a media file may be larger and take longer to arrive."""
        if (scope["method"], scope["path"]) != MEDIA_UPLOAD:
            return self
        return replace(
            self, body_types=MEDIA_TYPES, body_bytes_max=self.media_bytes_max, body_s=self.media_s,
            answer_s=self.media_s + self.answer_s,
        )  # fmt: skip


class _Body:
    """The request's body on its way in: counted, timed, and noticed when it ends too early."""

    def __init__(self, scope: HTTPScope, receive: Receive, limits: Limits) -> None:
        headers = dict(scope["headers"])
        self.declared = int(size) if (size := headers.get(b"content-length", b"0")).isdigit() else 0
        self.is_whole = self.declared == 0 and b"transfer-encoding" not in headers
        self.type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        self._receive, self._limits = receive, limits
        self._received = 0
        self._deadline = asyncio.get_running_loop().time() + limits.body_s

    def refuse_early(self) -> None:
        """What the headers alone show to be wrong."""
        if self.declared > self._limits.body_bytes_max:
            raise BodyTooLarge
        if not self.is_whole and self.type not in self._limits.body_types:
            raise ContentTypeWrong

    async def receive(self) -> HTTPReceiveMessage:
        if self.is_whole:
            return await self._next()
        left = self._deadline - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(self._next(), min(left, self._limits.body_pause_s))
        except TimeoutError:
            raise BodyTooSlow from None
        if message["type"] == "http.disconnect":
            raise BodyCutOff
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self.is_whole = not message.get("more_body", False)
            if self._received > self._limits.body_bytes_max:
                raise BodyTooLarge
        return message

    async def _next(self) -> HTTPReceiveMessage:
        return cast("HTTPReceiveMessage", await self._receive())

    async def linger(self) -> None:
        """Read on a little, so that a client that is still sending gets to read our answer before the reset."""
        dropped = 0
        try:
            async with asyncio.timeout(self._limits.linger_s):
                while not self.is_whole and dropped < self._limits.linger_bytes:
                    message = await self._next()
                    if message["type"] == "http.disconnect":
                        return
                    dropped += len(message.get("body", b""))
                    self.is_whole = not message.get("more_body", False)
        except TimeoutError:
            return


class _Answer:
    """The answer on its way out: completed with our headers, and closing the connection when the body was not read."""

    def __init__(self, send: Send, body: _Body, request_id: str, deadline: asyncio.Timeout) -> None:
        self._send, self._body, self._request_id = send, body, request_id
        self.deadline: asyncio.Timeout | None = deadline
        self.status = 0
        self.added: list[tuple[bytes, bytes]] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.deadline is not None:
                self.deadline.reschedule(None)
            message["headers"] = self._completed(list(message["headers"]))
        elif message["type"] == "http.response.body" and not message.get("more_body") and not self._body.is_whole:
            await self._send({**message, "more_body": True})
            await self._body.linger()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def send_problem(self, error: Exception) -> None:
        status, headers, body = document(error, self._request_id)
        listed = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        listed += [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": listed})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    def _completed(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        given = {name.lower() for name, _ in headers}
        headers += [(name, value) for name, value in SECURITY_HEADERS.items() if name not in given]
        headers += self.added
        headers.append((b"x-request-id", self._request_id.encode()))
        if not self._body.is_whole:
            headers.append((b"connection", b"close"))
        return headers


class Edge:
    """Wraps the application."""

    def __init__(
        self, application: ASGIApp, parts: Parts, *, limits: Limits | None = None, pace: Pace | None = None
    ) -> None:
        self._application, self._parts, self._limits = application, parts, limits or Limits()
        self._pace = pace or Pace()
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == ScopeType.HTTP  # the server speaks neither websocket nor lifespan
        self._running += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self._running -= 1

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        began_s = self._parts.clock.monotonic_s()
        request_id = f"req_{secrets.token_hex(16)}"
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        limits = self._limits.of(scope)
        body = _Body(scope, receive, limits)
        deadline = asyncio.timeout(limits.answer_s)
        answer = _Answer(send, body, request_id, deadline)
        try:
            async with deadline:
                await self._enter(scope, state, body, answer)
        except Exception as error:
            answer.deadline = None
            if answer.status:  # too late for a problem document: the connection ends before the announced length
                diagnostics.failure("api.cut-off", error.__cause__ or error, request=request_id)
            else:
                await answer.send_problem(error)
        finally:
            took_ms = round((self._parts.clock.monotonic_s() - began_s) * 1000, 1)
            visit = state.get("visit")
            diagnostics.event(
                "api.request", method=_known_method(scope), route=scope.get("path_template") or "none",
                status=answer.status, ms=took_ms, request=request_id,
                account=visit.principal.account if visit is not None and visit.principal.account else "none",
            )  # fmt: skip

    async def _enter(self, scope: HTTPScope, state: dict[str, Any], body: _Body, answer: _Answer) -> None:
        if self._running > self._limits.requests_at_once:
            raise TooBusy
        if scope["path"] not in PUBLIC_PATHS:
            client = scope.get("client")
            state["visit"] = await visit_of(self._parts, scope["headers"], source=client[0] if client else None)
            self._keep_pace(scope, state["visit"].principal.credential, answer)
        body.refuse_early()
        await self._application(scope, body.receive, answer.send)

    def _keep_pace(self, scope: HTTPScope, credential: CredentialId, answer: _Answer) -> None:
        kind = class_of(str(scope["method"]), scope["path"])
        try:
            standing = self._pace.take(credential, kind, now_s=self._parts.clock.monotonic_s())
        except TooManyRequests as error:
            answer.added = error.standing.headers() if error.standing else []
            raise
        answer.added = standing.headers()


def _known_method(scope: HTTPScope) -> str:
    method = str(scope["method"])
    return method if method in {"GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"} else "other"
