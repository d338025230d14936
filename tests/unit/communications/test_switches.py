"""The dialect of the engine ends at its port; its settings say what a running engine was found to need."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealwire.communications import prompts
from sealwire.communications.prompts import SoundUnknown
from sealwire.communications.switches.baresip.engine import BaresipEngine
from sealwire.communications.switches.baresip.leg import party_of
from sealwire.communications.switches.baresip.line import cause_of
from sealwire.communications.switches.baresip.stack_settings import StackSettings
from sealwire.config import SettingsRefused
from sealwire.doors.call_load import long_speech
from sealwire.doors.caller import demo_speech
from sealwire.vocabulary import HangupCause


@pytest.mark.parametrize(
    ("uri", "party"),
    [
        ("sip:+441632960123@127.0.0.1", "+441632960123"),
        ('"Ann" <sip:441632960123@host:5060;user=phone>;tag=1', "+441632960123"),
        ("<sip:Reception@host>", "reception"),
        ("sip:host.without.user", "anonymous"),
        ("<sip:anonymous@anonymous.invalid>", "anonymous"),
        ('<sip:";drop table"@host>', "anonymous"),
        ("", "anonymous"),
    ],
)
def test_a_sip_address_becomes_a_party(uri, party):
    assert party_of(uri).text == party


@pytest.mark.parametrize(
    ("text", "answered", "cause"),
    [
        ("Connection reset by peer [104]", True, HangupCause.NORMAL),
        ("Connection reset by peer [104]", False, HangupCause.CANCELLED),
        ("Connection timed out [110]", True, HangupCause.MEDIA_TIMEOUT),
        ("481 Call Does Not Exist", True, HangupCause.MEDIA_TIMEOUT),
        ("rtp stream error", True, HangupCause.MEDIA_TIMEOUT),
        ("486 Busy Here", False, HangupCause.BUSY),
        ("404 Not Found", False, HangupCause.NUMBER_UNKNOWN),
        ("603 Decline", False, HangupCause.REJECTED),
        ("488 Not Acceptable Here", False, HangupCause.CODEC_MISMATCH),
        ("401 Unauthorized", False, HangupCause.REJECTED),
        ("408 Request Timeout", False, HangupCause.NO_ANSWER),
        ("500 Call Error", False, HangupCause.SERVICE_UNAVAILABLE),
        ("", True, HangupCause.NORMAL),
    ],
)
def test_the_engines_closing_words_become_a_cause(text, answered, cause):
    assert cause_of(text, answered=answered) is cause


def stacks(**settings: object) -> list[StackSettings]:
    given = {"sip_listen": "127.0.0.1:5060", "rtp_ports": "20000-20999", "work_dir": Path("/nowhere")} | settings
    return BaresipEngine(**given)._stacks  # type: ignore[arg-type]


def test_workers_share_ports_without_overlap_and_leave_room_for_tls():
    first, second, third = stacks(workers=3)
    assert (first.sip_port, second.sip_port, third.sip_port) == (5060, 5062, 5064)
    assert first.rtp_first == 20000
    assert first.rtp_last < second.rtp_first < second.rtp_last < third.rtp_first
    assert third.rtp_last <= 20999
    assert second.rtp_first % 2 == 0


@pytest.mark.parametrize(
    "settings",
    [{"sip_listen": "5060"}, {"rtp_ports": "20000"}, {"workers": 0}, {"workers": 400}, {"rtp_ports": "65000-70000"}],
)
def test_settings_that_cannot_work_are_refused_with_a_sentence(settings):
    with pytest.raises(SettingsRefused, match="rtp_ports"):
        stacks(**settings)


def test_the_stack_is_told_what_it_needs():
    (stack,) = stacks()
    assert "rtp_rxmode main" in stack.text
    assert "audio_jitter_buffer_type off" in stack.text
    assert "sip_certificate" not in stack.text
    assert (
        "sip_certificate /c.pem"
        in StackSettings(sip_host="::1", sip_port=5060, rtp_first=20000, rtp_last=20100, certificate="/c.pem").text
    )


def test_every_sound_is_telephone_pcm_of_a_sensible_length():
    for name, at_least in (("welcome", 4), ("goodbye", 2), ("not-recorded", 2), ("tone", 0.3)):
        assert at_least <= len(prompts.sound(name)) / 16_000 < 8
    with pytest.raises(SoundUnknown, match="no sound of this name"):
        prompts.sound("unheard-of")


def test_the_two_demo_callers_say_different_things_for_four_to_six_seconds():
    one, two = demo_speech("caller-one"), demo_speech("caller-two")
    assert all(4 <= len(speech) / 16_000 <= 6 for speech in (one, two))
    assert one != two
    assert len(long_speech(13.5)) == 13.5 * 16_000
