"""What custody answers: kept, missing, erased."""

from __future__ import annotations

from sealwire.errors import Gone, Missing
from sealwire.vocabulary import Day, RecordId


class RecordMissing(Missing):
    """Nothing is known under this id."""


class RecordErased(Gone):
    """This record was erased; its certificate says when and how."""


class Kept:
    """What `keep` answers: the record's id, its commitment (repeated in every proof about it) and its due day.

    Where the account's period says never (0 days), `is_kept` is False: nothing was written, and the caller goes on.
    """

    __slots__ = ("commitment", "due_day", "is_kept", "record")

    def __init__(self, record: RecordId, commitment: bytes, due_day: Day, *, is_kept: bool = True) -> None:
        self.record, self.commitment, self.due_day, self.is_kept = record, commitment, due_day, is_kept
