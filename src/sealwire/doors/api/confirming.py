"""Much at once is erased at the second asking, after a short grace in which nothing happens.

The first asking is refused with how much it is and with a word that belongs to exactly this request of exactly this
credential; sent again with the word, not before a minute and within an hour, it is carried out. Nothing is remembered
in between: the word is a keyed hash under a secret of the caller's, so it outlives a restart, and calling it off is not
sending it.
"""

from __future__ import annotations

import datetime as dt
import hmac

import msgspec

from sealwire.doors.api.parts import Visit
from sealwire.errors import Refused
from sealwire.ground.clock import rfc3339

GRACE_S, LASTS_S = 60, 3600


class MuchAtOnce(Refused):
    """This would erase many records at once; send it again with the `confirmation` it was answered with."""

    def __init__(self, detail: str | None = None, *, confirmation: str | None = None) -> None:
        super().__init__(detail)
        self.confirmation = confirmation


def require_confirmation(here: Visit, asked: msgspec.Struct, confirmation: str | None, records: int) -> None:
    """Pass when it is little, or confirmed in time; `asked` is the request without its confirmation."""
    if records <= here.parts.settings.erase_unasked_max:
        return
    now_s, body = int(here.parts.clock.now().timestamp()), msgspec.json.encode(asked)
    if confirmation is not None and (since_s := _given_at_s(here, body, confirmation)) is not None:
        if now_s - since_s > LASTS_S:
            confirmation = None
        elif now_s - since_s >= GRACE_S:
            return
    else:
        confirmation = None
    word = confirmation or _word(here, body, now_s)
    given_s = int(word.partition("-")[0])
    begin, end = (rfc3339(dt.datetime.fromtimestamp(given_s + s, dt.UTC)) for s in (GRACE_S, LASTS_S))
    raise MuchAtOnce(
        f"this would erase {records:,} records and nothing has been done; to go on send the same again with"
        f' "confirmation": "{word}" between {begin} and {end}',
        confirmation=word,
    )


def _word(here: Visit, body: bytes, given_s: int) -> str:
    digest = hmac.digest(here.hashing_key, b"confirmation\n%d\n" % given_s + body, "sha256")
    return f"{given_s}-{digest[:16].hex()}"


def _given_at_s(here: Visit, body: bytes, confirmation: str) -> int | None:
    """When this word was given for this request; None when it never was."""
    given = confirmation.partition("-")[0]
    if not (given.isascii() and given.isdigit() and len(given) <= 12):
        return None
    is_ours = hmac.compare_digest(confirmation.encode(), _word(here, body, int(given)).encode())
    return int(given) if is_ours else None
