"""Erasing badly, one fault at a time: each of these must be caught by the sweep, the attacker or a certificate check.

They are subclasses that only a sweep makes, of steps that the real eraser takes; nothing here can be switched on in a
process of a cloud. `bad_keeper` holds the faults that lie in the keeper.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from sealwire.custody.categories import BY_NAME
from sealwire.custody.eraser import Eraser
from sealwire.custody.forensics.key_patterns import keys_of, oracle
from sealwire.custody.forensics.telephone_codes import mulaw_encode
from sealwire.custody.removal import Remover
from sealwire.custody.store import queries
from sealwire.doors.sweep.house import House, Subject, queries_here
from sealwire.ground.objects.s3 import S3Objects
from sealwire.vocabulary import AccountId, RecordId

SPOOLED = "recording"


class CaughtBy(StrEnum):
    """What is expected to catch a mutant; whatever does, counts."""

    SWEEP = "sweep"
    ATTACKER = "attacker"
    MEMORY = "memory"
    CERTIFICATE = "certificate"


class LeavesRows(Remover):
    """Says removed and leaves the rows where they were."""

    async def remove_records(self, *_: Any, **__: Any) -> None:
        return


class LeavesDeadRows(Remover):
    """Deletes rows and never rewrites the table they stood in."""

    async def _compact_table(self, *_: Any, **__: Any) -> None:
        return


class LeavesWal(Remover):
    """Rewrites the tables and leaves the write-ahead log as it is."""

    async def _retire_wal(self, *_: Any, **__: Any) -> bool:
        return True


class LeavesObjects(Remover):
    """Removes the rows and leaves the objects they named."""

    async def remove_objects(self, *_: Any, **__: Any) -> None:
        return


class LeavesTokens(Eraser):
    """Destroys the keys and leaves the records' tokens in the blind index."""

    async def _drop_tokens(self, *_: Any, **__: Any) -> None:
        return


class LeavesDeadTokens(Eraser):
    """Deletes the tokens and leaves their bytes in the file."""

    async def _drop_tokens(self, account: AccountId, records: list[RecordId], *_: Any) -> None:
        async with self._database.account(account) as connection:
            await connection.fetch(queries.remove_tokens, account.value, [record.value for record in records], None)


class _NobodyAsked:
    """A keeper's client that asks for nothing and hands back a receipt of something else."""

    def __init__(self, keeper: Any, receipts: list[Any]) -> None:
        self._keeper, self._receipts = keeper, receipts

    async def erase(self, *_: Any, **__: Any) -> list[Any]:
        return self._receipts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keeper, name)


class CertifiesUndone(Eraser):
    """Says unreadable and never asks the keeper; the receipt it shows is of another erasure."""

    receipts: list[Any]

    def __init__(self, **named: Any) -> None:
        super().__init__(**named | {"keeper": _NobodyAsked(named["keeper"], self.receipts)})


@dataclass(frozen=True, slots=True)
class Mutant:
    """One step switched off, in which category it is tried, and how."""

    name: str
    what: str
    category: str
    eraser: type[Eraser] = Eraser
    to: str = "removed"
    fault: str | None = None
    """Of `bad_keeper`."""
    careless: Callable[[House, Subject], Awaitable[None]] | None = None
    """What somebody does with the record beside its erasure."""
    expected: CaughtBy = CaughtBy.SWEEP


def removing_badly(remover: type[Remover]) -> type[Eraser]:
    """An eraser whose steps (5) and (6) are these."""
    return type(f"Eraser{remover.__name__}", (Eraser,), {"remover": remover})


async def log_the_number(house: House, subject: Subject) -> None:
    """A log line that quotes the caller."""
    with (house.settings.logs_dir / "switchboard.log").open("a") as log:
        log.write(f"no route from sip:{house.canaries.number(subject.serial)}@192.0.2.1, hanging up\n")


async def spool_the_audio(house: House, subject: Subject) -> None:
    """A temporary file with what was said."""
    samples = np.frombuffer(house.canaries.audio(subject.serial), "<i2")
    (house.settings.temp_dir / "spool").write_bytes(b"RIFF" + mulaw_encode(samples))


async def column_in_the_clear(house: House, subject: Subject) -> None:
    """A table somebody made for statistics."""
    await house.owner_fetch(queries_here.make_careless_table)
    await house.owner_fetch(queries_here.fill_careless_table, house.canaries.number(subject.serial))
    await house.owner_fetch(queries_here.checkpoint)


async def dump_the_key(house: House, subject: Subject) -> None:
    """A crash dump of a process that held the record's key, in base64 as a bug report has it."""
    snapshot = house.copy_keeper(f"dump-{subject.serial}", with_epoch=True)
    root_key = (house.settings.keeper_dir / "root.key").read_bytes()
    keys = keys_of(oracle(snapshot, root_key, house.account), [subject.leaf])
    key = keys[f"record key of {subject.leaf.text}"]
    (house.settings.temp_dir / "core.dump").write_bytes(b"frame 7: " + base64.b64encode(b"x" + key) + b"\n")
    shutil.rmtree(snapshot)


async def back_up_the_keeper(house: House, subject: Subject) -> None:
    """A backup of the whole data folder, keeper included, taken before the erasure."""
    del subject
    shutil.copytree(house.settings.keeper_dir, house.copies / "backup-with-keeper" / "keeper")


KEEPERS = (
    Mutant("epoch-kept", "the old epoch key is not overwritten", "call-record", fault="keep_the_old_epoch",
           to="unreadable", expected=CaughtBy.ATTACKER),
    Mutant("epoch-copied", "a holder keeps a copy of the old epoch key", "message-record", fault="copy_the_slots",
           to="unreadable", expected=CaughtBy.ATTACKER),
    Mutant("epoch-repeated", "the new epoch has the old key", "recording", fault="repeat_the_epoch",
           to="unreadable", expected=CaughtBy.ATTACKER),
    Mutant("epoch-logged", "epoch keys are written to a log", "opt-out", fault="log_the_epoch",
           to="unreadable", expected=CaughtBy.ATTACKER),
    Mutant("not-punctured", "the epoch turns and the tree stays", "call-record", fault="puncture_nothing",
           to="unreadable", expected=CaughtBy.ATTACKER),
    Mutant("not-recalled", "leased keys are not recalled", "message-record", fault="recall_nothing",
           to="unreadable", expected=CaughtBy.MEMORY),
)  # fmt: skip
"""Tried one after the other, each with a keeper of its queries_here."""

ATTACKED = (
    Mutant("keeper-backed-up", "a backup includes the keeper's folder", "call-record", to="unreadable",
           careless=back_up_the_keeper, expected=CaughtBy.ATTACKER),
    Mutant("nobody-asked", "certified without asking the keeper", "message-record", eraser=CertifiesUndone,
           to="unreadable", expected=CaughtBy.CERTIFICATE),
)  # fmt: skip
"""Caught by what an attacker reads, or by a receipt that does not fit."""

SWEPT = (
    Mutant("number-logged", "a number is written to a log", "call-record", careless=log_the_number),
    Mutant("audio-spooled", "what was said is left in a temporary file", SPOOLED, careless=spool_the_audio),
    Mutant("column-in-the-clear", "a table holds a number unsealed", "opt-out", careless=column_in_the_clear),
    Mutant("key-dumped", "a crash dump holds a record's key", "message-record", careless=dump_the_key),
    Mutant("rows-left", "rows are not removed", "application-record", eraser=removing_badly(LeavesRows)),
    Mutant("objects-left", "objects are not removed", "media-file", eraser=removing_badly(LeavesObjects)),
    Mutant("table-not-compacted", "tables are not rewritten", "webhook-delivery",
           eraser=removing_badly(LeavesDeadRows)),
    Mutant("wal-not-retired", "old write-ahead log is left", "message-content", eraser=removing_badly(LeavesWal)),
    Mutant("tokens-left", "index tokens are not removed", "call-record", eraser=LeavesTokens, to="unreadable"),
    Mutant("tokens-not-rewritten", "index files keep the bytes of removed tokens", "opt-out",
           eraser=LeavesDeadTokens, to="unreadable"),
)  # fmt: skip
"""Searched for together in the end, in an order in which none mends what another broke."""


class LeavesVersions(S3Objects):
    """Deletes as an S3 client does: a marker is put over the versions."""

    async def delete(self, name: str) -> bool:
        await self._ask("DELETE", name, {}, missing_is_fine=True)
        return True


class LeavesVolumes(S3Objects):
    """Deletes every version and never has the volumes compacted."""

    async def compact(self) -> bool:
        return True


ON_S3 = (
    Mutant("versions-left", "a delete marker is put over versions", "media-file"),
    Mutant("volumes-not-compacted", "deleted bytes stay in the volumes", "media-file"),
)
"""On a bucket only; tried last, each with an object store of its queries_here."""

STORES: dict[str, type[S3Objects]] = {"versions-left": LeavesVersions, "volumes-not-compacted": LeavesVolumes}

for _each in (*KEEPERS, *ATTACKED, *SWEPT, *ON_S3):
    assert _each.category in BY_NAME, _each.name
