"""Where the centre is, and which words people opt out with."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealwire.communications.messages.centre import (
    PASSWORD_FILE,
    Centre,
    CentreMalformed,
    CentreMissing,
    CentrePasswordMissing,
)
from sealwire.communications.messages.sending import relative_time
from sealwire.communications.messages.settings import MessageSettings, Word
from sealwire.config import Settings
from sealwire.doors.supervisor import MESSENGER, PARTS, Cloud


def configured(folder: Path, smsc: str, password: str | None = "secret42") -> Centre:
    settings = Settings(data_dir=folder, smsc=smsc)
    settings.secrets_dir.mkdir(exist_ok=True)
    file = settings.secrets_dir / PASSWORD_FILE
    if password is not None:
        file.write_text(password + "\n")
    return Centre.from_settings(settings)


def test_an_address_and_a_password_make_a_centre_that_does_not_show_the_password(tmp_path: Path) -> None:
    centre = configured(tmp_path, "smpp://acme-1@smsc.example.org:2775")
    assert (centre.host, centre.port, centre.system_id) == ("smsc.example.org", 2775, "acme-1")
    assert centre.password == "secret42"
    assert "secret42" not in repr(centre)
    assert configured(tmp_path, "smpp://a@[::1]:2775").host == "::1"


@pytest.mark.parametrize(
    "smsc",
    ["smsc.example.org:2775", "smpp://smsc.example.org:2775", "smpp://a@host", "smpps://a@host:2775",
     "smpp://a:password@host:2775", "smpp://a@host:0", "smpp://a@host:99999", "smpp://sixteen-letters-@host:1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(tmp_path: Path, smsc: str) -> None:
    with pytest.raises(CentreMalformed, match="SYSTEM_ID@HOST:PORT"):
        configured(tmp_path, smsc)


@pytest.mark.parametrize("password", [None, "", "nine-long", "ünsafe"])
def test_without_a_password_that_fits_it_says_where_to_put_one(tmp_path: Path, password: str | None) -> None:
    with pytest.raises(CentrePasswordMissing, match=r"secrets/smsc\.password"):
        configured(tmp_path, "smpp://a@host:2775", password)


def test_without_a_centre_it_says_so_and_the_messenger_is_not_started(tmp_path: Path) -> None:
    with pytest.raises(CentreMissing, match="no message centre"):
        configured(tmp_path, "")
    without = Cloud(Settings(data_dir=tmp_path))._parts
    with_one = Cloud(Settings(data_dir=tmp_path, smsc="smpp://a@host:2775"))._parts
    assert any(MESSENGER in group for group in PARTS)
    assert not any(MESSENGER in group for group in without)
    assert any(MESSENGER in group for group in with_one)


@pytest.mark.parametrize("text", ["STOP", "stop", " Stop. ", '"STOP!"', "UNSUBSCRIBE", "quit", "ＳＴＯＰ"])
def test_one_word_stops_in_any_case_and_with_punctuation(text: str) -> None:
    assert MessageSettings().word_in(text) is Word.STOP


@pytest.mark.parametrize("text", ["please stop", "STOP IT", "don't stop", "", "nonstop"])
def test_a_sentence_does_not(text: str) -> None:
    assert MessageSettings().word_in(text) is None


def test_start_and_help_have_words_too_and_an_account_may_have_its_own() -> None:
    assert MessageSettings().word_in("yes") is Word.START
    assert MessageSettings().word_in("Help?") is Word.HELP
    german = MessageSettings(stop_words=("STOPP", "ABMELDEN"), stop_reply="Abgemeldet.")
    assert german.word_in("abmelden") is Word.STOP
    assert german.word_in("STOP") is None
    assert german.reply_to(Word.STOP) == "Abgemeldet."


def test_periods_are_written_as_smpp_writes_them() -> None:
    assert relative_time(60) == "000000000100000R"
    assert relative_time(2 * 86_400 + 3 * 3600 + 4 * 60 + 5) == "000002030405000R"
