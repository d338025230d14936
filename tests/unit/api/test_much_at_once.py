"""Much at once is erased at the second asking: by the same caller, of the same, after a minute and within an hour."""

from __future__ import annotations

import datetime as dt
import re
import time
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from tests.api_house import ApiHouse, house

from sealwire.custody.categories import MessageContent
from sealwire.custody.lifecycle import Custody
from sealwire.doors.api.confirming import GRACE_S, LASTS_S, MuchAtOnce, require_confirmation
from sealwire.doors.api.resources.erasures import NewErasure
from sealwire.ground.clock import TestClock
from sealwire.vocabulary import MessageId, Party

__all__ = ["house"]
MUCH = 1_001
ASKED = NewErasure(ground="instruction", call="call_5f0c1e2d9a7b4c6e8f10213243546576")


def visitor(clock: TestClock, *, secret: bytes = b"k" * 32) -> Any:
    parts = SimpleNamespace(clock=clock, settings=SimpleNamespace(erase_unasked_max=1_000))
    return SimpleNamespace(hashing_key=secret, parts=parts)


def word_for(here: Any, asked: NewErasure = ASKED) -> str:
    with pytest.raises(MuchAtOnce) as refused:
        require_confirmation(here, asked, None, MUCH)
    assert refused.value.confirmation is not None
    assert "1,001 records" in str(refused.value)
    return refused.value.confirmation


@pytest.fixture
def clock() -> TestClock:
    return TestClock(dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC))


def test_a_thousand_go_unasked(clock: TestClock) -> None:
    require_confirmation(visitor(clock), ASKED, None, MUCH - 1)


def test_the_word_is_good_after_the_grace_and_until_it_is_old(clock: TestClock) -> None:
    here = visitor(clock)
    word = word_for(here)
    clock.advance(seconds=GRACE_S - 1)
    with pytest.raises(MuchAtOnce) as early:
        require_confirmation(here, ASKED, word, MUCH)
    assert early.value.confirmation == word  # asking too early does not begin anew
    clock.advance(seconds=1)
    require_confirmation(here, ASKED, word, MUCH)
    clock.advance(seconds=LASTS_S - GRACE_S + 1)
    with pytest.raises(MuchAtOnce) as late:
        require_confirmation(here, ASKED, word, MUCH)
    assert late.value.confirmation not in (None, word)


def test_a_word_is_for_one_request_of_one_caller(clock: TestClock) -> None:
    here = visitor(clock)
    word = word_for(here)
    clock.advance(seconds=GRACE_S)
    other = msgspec.structs.replace(ASKED, ground="subject-request")
    for someone, asked, said in (
        (visitor(clock, secret=b"z" * 32), ASKED, word), (here, other, word), (here, ASKED, "1-00"), (here, ASKED, "é"),
        (here, ASKED, f"{int(word.partition('-')[0]) - 5}-{word.partition('-')[2]}"),
    ):  # fmt: skip
        with pytest.raises(MuchAtOnce):
            require_confirmation(someone, asked, said, MUCH)


@pytest.mark.slow
def test_over_the_api_a_thousand_and_one_are_told_and_untouched_and_then_go(house: ApiHouse) -> None:
    tenant = house.tenant("Much at once")

    async def keep(custody: Custody) -> list[str]:
        now = dt.datetime.now(dt.UTC)
        return [
            str((await custody.keep(tenant.account, MessageContent(
                message_id=MessageId.new(), accepted_at=now, sender=Party("+441632960100"),
                recipient=Party("+441632960199"), text="x",
            ))).record)
            for _ in range(MUCH)
        ]  # fmt: skip

    records = house.in_custody(keep)
    body: dict[str, Any] = {"ground": "instruction", "records": records}
    first = house.ask("POST", "/v1/erasures", secret=tenant.secret, body=body)
    assert (first.status, first.code) == (409, "much-at-once")
    assert re.search(r"1,001 records and nothing has been done", first.json["detail"])
    assert house.ask("GET", "/v1/erasures", secret=tenant.secret).json["items"] == []
    confirmed = body | {"confirmation": first.json["confirmation"]}
    assert house.ask("POST", "/v1/erasures", secret=tenant.secret, body=confirmed).code == "much-at-once"
    time.sleep(GRACE_S + 1)
    third = house.ask("POST", "/v1/erasures", secret=tenant.secret, body=confirmed)
    assert third.status == 202, third
