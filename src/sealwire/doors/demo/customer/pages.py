"""A customer's pages: an HTTPS server that the cloud asks what to do with a call.

Every request is checked by its signature before it is believed. The age identity that opens the customer's own sound
file is sent with the action that plays it, for that call only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

from sealwire_sdk import webhooks

GREETING = "Hello. This call is recorded, and sealed to our own key."
JINGLE = "jingle.wav"
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Pages:
    """Two pages: `/first` greets and asks for a key; `/second` lets the caller speak, then ends."""

    def __init__(self, *, address: str, secret_file: Path, identity: str) -> None:
        self._address, self._secret_file, self._identity = address, secret_file, identity

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        try:
            asked = webhooks.verify(body, headers, self._secret_file.read_text().strip())
        except Exception:
            await _answer(send, 401, {"error": "the signature does not hold"})
            return
        page = {"/first": self._first, "/second": self._second}.get(scope["path"])
        await _answer(send, 200 if page else 404, page(asked) if page else {})

    def _first(self, _: dict[str, Any]) -> dict[str, Any]:
        return {
            "actions": [
                {"action": "say", "text": GREETING},
                {"action": "play", "file": JINGLE, "age_identity": self._identity},
                {"action": "get_digits", "prompt": {"text": "Press a key."}, "count_max": 1, "id": "key"},
            ],
            "next_page": f"{self._address}/second",
        }

    def _second(self, asked: dict[str, Any]) -> dict[str, Any]:
        digits = next((result.get("digits", "") for result in asked["results"] if result.get("id") == "key"), "")
        return {
            "actions": [
                {"action": "say", "text": "Thank you. Please speak."},
                {"action": "pause", "seconds": 6},
                {"action": "hang_up"},
            ],
            "parameters": f"pressed {digits}",
        }


async def _answer(send: Send, status: int, answer: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="sealwire.doors.demo.customer.pages")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="with pages.pem, pages.key, page-secret, identity")
    given = parser.parse_args()
    identity = next(
        line for line in (given.folder / "identity").read_text().splitlines() if line.startswith("AGE-SECRET-KEY-")
    )
    pages = Pages(
        address=f"https://127.0.0.1:{given.port}", secret_file=given.folder / "page-secret", identity=identity
    )
    uvicorn.run(
        pages, host="127.0.0.1", port=given.port, log_level="critical", lifespan="off",
        ssl_certfile=given.folder / "pages.pem", ssl_keyfile=str(given.folder / "pages.key"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
