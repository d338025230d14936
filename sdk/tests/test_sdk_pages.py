"""What a page is asked, and what it answers: the service reads the answers with its own decoder."""

from __future__ import annotations

import datetime as dt
import json

import msgspec
import pytest
from standardwebhooks import Webhook

from sealwire.communications.control.actions import Action
from sealwire_sdk import pages
from sealwire_sdk.client.models import Connect, GetDigits, HangUp, MenuOption, Play, Prompt, RunMenu, Say
from sealwire_sdk.errors import WebhookRefused

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # noqa: S105 - of the standard's own example
ASKED = {
    "version": 1,
    "request": "next",
    "application_id": "app_1",
    "service_id": "svc_1",
    "call": {
        "call_id": "call_1", "direction": "inbound", "from": "+441632960123", "to": "+441632960100", "state": "up",
        "arguments": "", "mood": "new",
    },
    "results": [{"action": "get_digits", "id": "pin", "digits": "1234", "ended_by": "count"}],
    "parameters": "order 7",
    "error": None,
    "ended": None,
}  # fmt: skip


def signed(body: bytes) -> dict[str, str]:
    now = dt.datetime.now(dt.UTC)
    signature = Webhook(SECRET).sign("req_1", now, body.decode())
    return {"webhook-id": "req_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


def test_what_is_asked_is_typed_once_it_is_certain_who_asks() -> None:
    body = json.dumps(ASKED).encode()
    asked = pages.asked(body, signed(body), SECRET)
    assert (asked.request, asked.call.from_, asked.results[0]["digits"]) == ("next", "+441632960123", "1234")
    assert "+44" not in repr(asked.call)
    with pytest.raises(WebhookRefused):
        pages.asked(body + b" ", signed(body), SECRET)


def test_every_answer_is_one_the_service_takes() -> None:
    prompt = Prompt(text="Your order number, then hash.")
    answer = pages.answer(
        Say(text="Hello."),
        Play(file="jingle.wav", stop_on="any"),
        GetDigits(prompt=prompt, count_max=8, next_page="order"),
        RunMenu(prompt=prompt, options=[MenuOption(digit="1", next_page="/one")]),
        Connect(to="+441632960113", ringing=Prompt(text="One moment.")),
        HangUp(),
        next_page="/next",
        parameters="order 7",
    )
    read = json.loads(answer)
    assert (read["next_page"], read["parameters"]) == ("/next", "order 7")
    actions = msgspec.convert(read["actions"], list[Action])
    assert [type(action).__name__ for action in actions] == ["Say", "Play", "GetDigits", "RunMenu", "Connect", "HangUp"]
    assert actions[2].count_max == 8  # type: ignore[union-attr]
    assert "error_page" not in read


def test_an_answer_without_actions_ends_the_call() -> None:
    assert json.loads(pages.answer()) == {"actions": []}
