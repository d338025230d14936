"""The demo's view of the API: what a customer's program would send, and errors told in the API's own words."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from sealwire.errors import SealwireError


class DemoFailed(SealwireError):
    """The demo could not go on; the line above says at which step."""


class Api:
    """One credential's connection to the API."""

    def __init__(self, address: str, ca: Path, secret: str) -> None:
        self.address, self.ca, self.secret = address, ca, secret
        context = ssl.create_default_context(cafile=str(ca))
        self._http = httpx.AsyncClient(
            base_url=f"https://{address}", verify=context, timeout=30, headers={"Authorization": f"Bearer {secret}"}
        )

    def with_secret(self, secret: str) -> Api:
        """The same address for another credential."""
        return Api(self.address, self.ca, secret)

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, **parameters: Any) -> Any:
        """GET and parse; DemoFailed with the problem's own words."""
        return self._parsed(await self._http.get(path, params=parameters or None))

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._parsed(await self._http.post(path, json=body))

    async def put(self, path: str, body: dict[str, Any]) -> Any:
        return self._parsed(await self._http.put(path, json=body))

    async def patch(self, path: str, body: dict[str, Any]) -> Any:
        return self._parsed(await self._http.patch(path, json=body))

    async def upload(self, path: str, content: bytes, *, kind: str, name: str) -> Any:
        headers = {"Content-Type": kind, "Sealwire-Media-Name": name}
        return self._parsed(await self._http.post(path, content=content, headers=headers))

    async def raw(self, path: str) -> httpx.Response:
        """GET without judging the status."""
        return await self._http.get(path)

    async def bytes(self, path: str) -> bytes:
        response = await self._http.get(path)
        self._parsed(response, parse=False)
        return bytes(response.content)

    async def until(self, path: str, ready: Callable[[Any], bool], *, seconds: float, every_s: float = 0.02) -> Any:
        """GET again and again until the answer is `ready`."""
        ends_s = time.monotonic() + seconds
        while True:
            answer = await self.get(path)
            if ready(answer):
                return answer
            if time.monotonic() > ends_s:
                raise DemoFailed(f"GET {path} did not become ready within {seconds:.0f} s")
            await asyncio.sleep(every_s)

    @staticmethod
    def _parsed(response: httpx.Response, *, parse: bool = True) -> Any:
        if response.status_code >= 400:
            try:
                problem = response.json()
            except ValueError:
                problem = {}
            words = problem.get("detail") or problem.get("title") or response.reason_phrase
            raise DemoFailed(f"{response.request.method} {response.request.url.path}: {response.status_code} {words}")
        return response.json() if parse and response.content else None
