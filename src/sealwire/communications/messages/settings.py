"""How an account wants its messages treated: what goes after delivery, and which words opt out, in and ask for help."""

from __future__ import annotations

import datetime as dt
import unicodedata
from dataclasses import dataclass
from enum import Enum

from sealwire.communications.messages.queue import Redaction, queries
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import AccountId

STOP_WORDS = ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT")
START_WORDS = ("START", "UNSTOP", "YES")
HELP_WORDS = ("HELP", "INFO")
_AROUND = " \t\r\n.!?\"'"


class Word(Enum):
    """What somebody wants who sends one word."""

    STOP = "stop"
    START = "start"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class MessageSettings:
    """Of one account. An empty reply sends none."""

    redaction: Redaction = Redaction.KEEP
    stop_words: tuple[str, ...] = STOP_WORDS
    start_words: tuple[str, ...] = START_WORDS
    help_words: tuple[str, ...] = HELP_WORDS
    stop_reply: str = ""
    start_reply: str = ""
    help_reply: str = ""
    retention_class: int = 0
    """Of messages under a name, or of a number that no service answers; others have that of their service."""

    def word_in(self, text: str) -> Word | None:
        """The word that a message consists of, in any case and with any punctuation around it; None for a sentence."""
        said = plain_word(text)
        if said in self.stop_words:
            return Word.STOP
        if said in self.start_words:
            return Word.START
        return Word.HELP if said in self.help_words else None

    def reply_to(self, word: Word) -> str:
        return {Word.STOP: self.stop_reply, Word.START: self.start_reply, Word.HELP: self.help_reply}[word]


def plain_word(text: str) -> str:
    """A word as words are compared: NFKC, capitals, without what stands around it."""
    return unicodedata.normalize("NFKC", text).strip(_AROUND).upper()


async def settings_of(connection: Connection, account: AccountId) -> MessageSettings:
    """The account's own, or the standard ones."""
    row = await connection.fetchrow(queries.find_settings, account.value)
    if row is None:
        return MessageSettings()
    words = {name: tuple(row[name]) for name in ("stop_words", "start_words", "help_words")}
    return MessageSettings(
        redaction=Redaction(row["redaction"]), stop_reply=row["stop_reply"], start_reply=row["start_reply"],
        help_reply=row["help_reply"], retention_class=row["retention_class"], **words,
    )  # fmt: skip


async def put_settings(
    connection: Connection, account: AccountId, settings: MessageSettings, *, at: dt.datetime
) -> None:
    """Replace the account's settings, in the caller's transaction."""
    await connection.execute(
        queries.put_settings, account.value, settings.redaction.value, list(settings.stop_words),
        list(settings.start_words), list(settings.help_words), settings.stop_reply, settings.start_reply,
        settings.help_reply, at, settings.retention_class,
    )  # fmt: skip


async def allow_sender_name(connection: Connection, account: AccountId, name: str, *, at: dt.datetime) -> list[str]:
    """Let an account send under a name; all the names it may send under."""
    await connection.execute(queries.insert_sender_name, account.value, name, at)
    return [row["name"] for row in await connection.fetch(queries.sender_names, account.value)]
