"""A customer's pages: an HTTPS server that the cloud asks what to do with a call.

Every request is checked by its signature before it is believed. The age identity that opens the customer's own sound
file is sent with the action that plays it, for that call only.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import uvicorn

from sealwire.doors.asgi import Receive, Send, answer, read_body
from sealwire_sdk import pages
from sealwire_sdk.client.models import GetDigits, HangUp, Pause, Play, Prompt, Say
from sealwire_sdk.pages import Asked

GREETING = "Hello. This call is recorded, and sealed to our own key."
JINGLE = "jingle.wav"


class Pages:
    """Two pages: `/first` greets and asks for a key; `/second` lets the caller speak, then ends."""

    def __init__(self, *, address: str, secret_file: Path, identity: str) -> None:
        self._address, self._secret_file, self._identity = address, secret_file, identity

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await read_body(receive)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        try:
            asked = pages.asked(body, headers, self._secret_file.read_text().strip())
        except Exception:
            await answer(send, 401, b'{"error": "the signature does not hold"}')
            return
        page = {"/first": self._first, "/second": self._second}.get(scope["path"])
        await answer(send, 200 if page else 404, page(asked) if page else b"{}")

    def _first(self, _: Asked) -> bytes:
        return pages.answer(
            Say(text=GREETING),
            Play(file=JINGLE, age_identity=self._identity),
            GetDigits(id="key", prompt=Prompt(text="Press a key."), count_max=1),
            next_page=f"{self._address}/second",
        )

    def _second(self, asked: Asked) -> bytes:
        digits = next((result.get("digits", "") for result in asked.results if result.get("id") == "key"), "")
        return pages.answer(
            Say(text="Thank you. Please speak."), Pause(seconds=6), HangUp(), parameters=f"pressed {digits}"
        )


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="sealwire.doors.demo.customer.pages")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="with pages.pem, pages.key, page-secret, identity")
    given = parser.parse_args()
    identity = next(
        line for line in (given.folder / "identity").read_text().splitlines() if line.startswith("AGE-SECRET-KEY-")
    )
    served = Pages(
        address=f"https://127.0.0.1:{given.port}", secret_file=given.folder / "page-secret", identity=identity
    )
    uvicorn.run(
        served, host="127.0.0.1", port=given.port, log_level="critical", lifespan="off",
        ssl_certfile=given.folder / "pages.pem", ssl_keyfile=str(given.folder / "pages.key"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
