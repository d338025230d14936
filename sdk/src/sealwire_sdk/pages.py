"""What a page of yours answers: actions, and where to ask next.

    asked = pages.asked(body, headers, page_secret)  # raises WebhookRefused
    return pages.answer(Say(text="One moment."), Connect(to="+44..."), next_page="/done")

Actions are in `sealwire_sdk.client.models`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sealwire_sdk import webhooks
from sealwire_sdk.client.models import (
    Answer,
    Connect,
    GetDigits,
    HangUp,
    Pause,
    PauseRecording,
    Play,
    Record,
    Redirect,
    Reject,
    ResumeRecording,
    Ring,
    RunMenu,
    Say,
    SendDigits,
    SendMessage,
    StartRecording,
    StopRecording,
    Transfer,
)

CONTENT_TYPE = "application/json"
Action = (
    Answer | Connect | GetDigits | HangUp | Pause | PauseRecording | Play | Record | Redirect | Reject | ResumeRecording
    | Ring | RunMenu | Say | SendDigits | SendMessage | StartRecording | StopRecording | Transfer
)  # fmt: skip


class CallOfPage(msgspec.Struct, frozen=True):
    """The call a page is asked about."""

    call_id: str
    direction: str
    from_: str = msgspec.field(name="from")
    to: str
    state: str
    """ringing, up or ended"""
    arguments: str = ""
    """What the starter of an outbound call passed."""

    def __repr__(self) -> str:
        return f"CallOfPage(call_id={self.call_id!r})"


class Asked(msgspec.Struct, frozen=True):
    """What the service asks a page."""

    request: str
    """first, next, error or final"""
    application_id: str
    call: CallOfPage
    results: list[dict[str, Any]] = []
    """What came of the actions of the answer before, in order."""
    parameters: str = ""
    error: dict[str, Any] | None = None
    ended: dict[str, Any] | None = None


def asked(payload: bytes, headers: Mapping[str, str], secret: str | Sequence[str]) -> Asked:
    """The request, once it is certain that the service sent it; WebhookRefused otherwise."""
    return msgspec.convert(webhooks.verify(payload, headers, secret), Asked)


def answer(
    *actions: Action,
    next_page: str | None = None,
    error_page: str | None = None,
    final_page: str | None = None,
    parameters: str | None = None,
) -> bytes:
    """The body of the answer; send it as `application/json`. Without a next page the call ends after the actions."""
    rest = {"next_page": next_page, "error_page": error_page, "final_page": final_page, "parameters": parameters}
    given = {name: value for name, value in rest.items() if value is not None}
    return msgspec.json.encode({"actions": actions, **given})
