"""The parts of the embedded engine that can be held still: what was given, where a call goes, what is native."""

from __future__ import annotations

import asyncio
import ctypes
from collections import OrderedDict
from types import SimpleNamespace

import pytest
from baresip import _native
from baresip.events import Event
from hypothesis import given
from hypothesis import strategies as st

from sealwire.communications.switches.baresip.arrivals import Arrivals
from sealwire.communications.switches.baresip.line import Line, cause_of, status_of
from sealwire.communications.switches.baresip.mouth import AHEAD_BYTES, FLUSH_SECONDS, Given, Mouth
from sealwire.communications.switches.baresip.native import _FUNCTIONS
from sealwire.communications.switches.baresip.placing import AGENTS_MAX, Outbound, Placing, transfer_uri
from sealwire.communications.switches.port import CallNotPlaced
from sealwire.vocabulary import HangupCause

SECOND = 16_000


def placing(**changes: object) -> Placing:
    usual = {"leg": "out1", "callee": "+441632960777", "caller": "+441632960123", "address": "trunk.example:5060"}
    return Placing(**(usual | {"transport": "udp", "username": "", "password": "", "headers": {}} | changes))  # type: ignore[arg-type]


def test_the_pinned_library_has_every_function_that_is_called_past_the_binding():
    library = ctypes.CDLL(_native.__file__)
    assert all(hasattr(library, name) for name in _FUNCTIONS)
    assert _native.lib.bp_bevent_max() > Event.CALL_RTCP


def test_a_sound_within_a_stretch_has_silence_before_and_after_it():
    record = Given(100.0)
    record.wrote(b"\1" * SECOND, 101.0)
    record.gone(0)
    assert record.taken(103.0) == bytes(SECOND) + b"\1" * SECOND + bytes(SECOND)
    assert record.taken(104.0) == b""


def test_what_the_engine_still_holds_was_not_heard_yet():
    record = Given(100.0)
    record.wrote(b"\1" * SECOND, 100.0)
    record.gone(SECOND // 2)
    assert record.taken(100.5) == b"\1" * (SECOND // 2)
    record.gone(SECOND // 4)
    record.forget()
    assert record.taken(101.5) == b"\1" * (SECOND // 4) + bytes(SECOND * 3 // 4)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 20)), max_size=40))
def test_what_was_given_is_as_long_as_the_time_it_covers(steps):
    """Frames of 20 ms written ahead and sent by a clock of its own, never more than was due."""
    record, held, covered, now = Given(0.0), 0, 0, 0.0
    for written, passed in steps:
        if written:
            record.wrote(b"\1\1" * 160 * written, now)
            held += 320 * written
        held -= min(held, 320 * passed)
        now += 0.02 * passed
        record.gone(held)
        out = record.taken(now)
        due = round(now * 8000) * 2
        assert not out or covered + len(out) <= due + 2
        covered = covered + len(out) if out else max(covered, due)
        assert abs(covered - due) <= 962


class Telephone:
    """Rings in memory, sent by hand."""

    def __init__(self) -> None:
        self.pcm = bytearray()

    def write(self, pcm: bytes | memoryview) -> int:
        self.pcm += pcm
        return len(pcm)

    def held(self) -> int:
        return len(self.pcm)

    def flush(self) -> None:
        self.pcm.clear()


async def test_a_sound_is_written_only_a_little_ahead_and_its_end_is_told_once():
    ended: list[int] = []
    line = Telephone()
    mouth = Mouth(line, ended.append)  # type: ignore[arg-type]
    mouth.play(b"\1" * SECOND, 5)
    assert line.held() == AHEAD_BYTES < SECOND * 0.31
    for _ in range(20):
        del line.pcm[:1600]
        mouth.feed()
    assert ended == [5]
    assert not mouth.is_playing


async def test_what_follows_a_flush_waits_until_the_engine_has_dropped_what_was_flushed():
    ended: list[int] = []
    line = Telephone()
    mouth = Mouth(line, ended.append)  # type: ignore[arg-type]
    mouth.play(b"\1" * SECOND, 1)
    mouth.play(b"\2" * SECOND, 2)
    assert (ended, line.held()) == ([1], 0)
    await asyncio.sleep(FLUSH_SECONDS * 2)
    assert bytes(line.pcm) == b"\2" * AHEAD_BYTES


def test_a_number_a_caller_and_a_trunk_become_sip_addresses():
    assert placing().to_uri == b"sip:+441632960777@trunk.example:5060;transport=udp"
    assert placing().from_uri == b"sip:+441632960123@trunk.example"
    assert placing(caller="anonymous").from_uri == b"sip:anonymous@anonymous.invalid"
    assert placing(callee="a#b@c").to_uri == b"sip:a%23b%40c@trunk.example:5060;transport=udp"
    assert placing(address="[::1]:5060").host == "[::1]"


@pytest.mark.parametrize(
    "changes",
    [
        {"callee": ""},
        {"transport": "ws"},
        {"address": "a b"},
        {"address": "h>;x"},
        {"headers": {"X": "a\nb"}},
        {"headers": {"X:": "a"}},
        {"headers": {"X": "\u00e9"}},
        {"transport": "tls", "address": "192.0.2.1:5061"},
    ],
)
def test_what_cannot_travel_in_a_request_is_refused(changes):
    placing().refuse_what_cannot_travel()
    with pytest.raises(CallNotPlaced):
        placing(**changes).refuse_what_cannot_travel()


@pytest.mark.parametrize(
    ("peer", "uri"),
    [
        ("sip:+441632960123@192.0.2.1:5062;transport=udp", "sip:+441632960888@192.0.2.1:5062"),
        ('"A" <sips:a@carrier.example>', "sip:+441632960888@carrier.example"),
        ("", "sip:+441632960888@anonymous.invalid"),
    ],
)
def test_a_transfer_goes_to_the_far_ends_own_host(peer, uri):
    assert transfer_uri("+441632960888", peer) == uri


@pytest.mark.parametrize(
    ("text", "status"), [("486 Busy Here", 486), ("486", 486), ("4860 x", 0), ("", 0), ("rtp stream error", 0)]
)
def test_the_status_is_what_the_closing_words_begin_with(text, status):
    assert status_of(text) == status


def test_an_outbound_call_that_ends_without_a_status_was_not_answered():
    assert cause_of("Connection refused", answered=False, outbound=True) is HangupCause.NO_ANSWER


class SeenArrivals(Arrivals):
    """As the trace handler sees them, without an engine: the source is written as it stands."""

    def __init__(self) -> None:
        self._asked = OrderedDict()

    def _address(self, source: object) -> str:
        return str(source)


def invite(call_id: str) -> bytes:
    return f"INVITE sip:+441632960999@x SIP/2.0\r\nCall-ID: {call_id}\r\n\r\n".encode()


def test_a_call_that_two_addresses_claim_to_have_sent_came_from_nowhere():
    """Else a forged packet with the same Call-ID would lend a caller the address of a trunk."""
    arrivals = SeenArrivals()
    for source in ("192.0.2.1:5060", "192.0.2.1:5060"):  # a packet that was sent twice
        arrivals._keep(invite("one"), source, 0)
    assert arrivals.take("one").source == "192.0.2.1:5060"
    for source in ("198.51.100.7:5060", "192.0.2.1:5060"):
        arrivals._keep(invite("two"), source, 0)
    assert arrivals.take("two").source == ""


class BusyLibrary:
    """Agents that all have a call."""

    def __init__(self) -> None:
        self.agents, self.destroyed = 0, []

    def ua_alloc(self, made: object, _: bytes) -> int:
        self.agents += 1
        made._obj.value = self.agents  # type: ignore[attr-defined]
        return 0

    def ua_calls(self, agent: int) -> int:
        return agent

    def list_count(self, agent: int) -> int:
        return int(agent != self.agents)  # the newest has none yet

    def ua_destroy(self, agent: int) -> None:
        self.destroyed.append(agent)


def test_when_every_agent_is_busy_a_new_one_is_used_all_the_same():
    library = BusyLibrary()
    outbound = Outbound(SimpleNamespace(library=library), None, sip_host="127.0.0.1")
    for number in range(AGENTS_MAX + 3):
        assert outbound._agent(placing(username=f"user{number}")) == number + 1
    assert library.destroyed == []


def test_a_second_listener_does_not_cost_the_first_what_was_not_handed_over_yet():
    line = object.__new__(Line)
    line._unheard, line.listening, line.leg = [b"said"], True, "1"
    line._rings = SimpleNamespace(read=lambda: b"lost")
    line.mouth = SimpleNamespace(keep_given=lambda _: None, taken=lambda _: b"")
    line.start_listening(played=True)
    assert line._handed_over(1.0).spoken == b"said"
