"""After every step: what was promised against what is there. Whoever asks here asks the product, or looks under it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from sealwire.custody.answers import RecordErased, RecordMissing
from sealwire.custody.categories import BY_NAME
from sealwire.custody.keys.refusals import Restricted
from sealwire.custody.store import StoredRecord
from sealwire.evidence.reader import signed_head
from sealwire.vocabulary import Purpose
from sealwire_verifier.certificate import verify
from sealwire_verifier.closure import verify_closure
from sealwire_verifier.errors import StepFailed
from sealwire_verifier.merkle import CompactRange, leaf_hash
from sealwire_verifier.policy import Policy
from sealwire_verifier.proof import Proof

from .life import Life
from .promise import RULES, Record, State

SERVICE, ASKED, LAW = Purpose.SERVICE_OPERATION, Purpose.SUBJECT_REQUEST, Purpose.STATUTORY_RETENTION
UNREADABLE = (State.GONE, State.NAMELESS)
_ROWS = {name: f"SELECT record_id, sealed FROM custody.{BY_NAME[name].table}" for name in RULES}

_ERASURES = "SELECT account_id, erasure_id AS id, certificate, 'erasure' AS kind FROM custody.erasure"
_CLOSURES = """SELECT account_id, closure_id AS id, certificate, 'closure' AS kind FROM custody.closure
WHERE state IN ('unreadable', 'removed')"""


class Broken(AssertionError):
    """A promise that does not hold."""


@dataclass
class Log:
    """As much of one account's log as was seen: enough to tell whether it was ever written anew."""

    range: CompactRange = field(default_factory=CompactRange)
    size: int = 0


@dataclass
class Oracle:
    """Asks about everything that was ever kept."""

    life: Life
    verified: dict[str, set[bytes]] = field(default_factory=dict)
    logs: dict[str, Log] = field(default_factory=dict)

    async def ask(self) -> None:
        await self._rows()
        for account in self.life.principals:
            await self._records(account)
        certified = await self._certificates()
        await self._certified(certified)
        for account in self.life.principals:
            await self._log(account)

    # What lies in the tables

    async def _rows(self) -> None:
        """No row, object or token of what is gone, a row of everything else; nothing that nobody knows."""
        town, promise = self.life.town, self.life.promise
        names = {record.value: name for name, record in self.life.ids.items()}
        objects = 0
        for category, statement in _ROWS.items():
            there = {row["record_id"]: row["sealed"] for row in await town.owner(statement)}
            for record in (one for one in promise.records.values() if one.category == category):
                state, key = promise.state(record.name), self.life.ids[record.name].value
                wanted = state not in (State.GONE, State.LOST)
                _must(wanted == (key in there), record, f"there is {'no' if wanted else 'still a'} row of it")
                _must(state is not State.NAMELESS or there[key] == b"", record, "its sealed part is still there")
                objects += wanted and category == "recording"
            _must(not (set(there) - set(names)), category, "there are rows of records that nobody kept")
        stored = sum(1 for path in town.settings.objects_dir.rglob("*") if path.is_file())
        _must(stored == objects, "objects", f"{stored} lie in the store and {objects} belong to recordings")
        tokens = await town.owner("SELECT DISTINCT record_id FROM custody.blind_index")
        for name in (names[row[0]] for row in tokens):
            _must(promise.state(name) not in UNREADABLE, promise.records[name], "a token still leads to it")
        waiting = await town.owner("SELECT state FROM custody.erasure WHERE state <> 'removed'")
        _must(not waiting, "erasures", f"{len(waiting)} did not come to their end")

    # What opens

    async def _records(self, account: str) -> None:
        promise = self.life.promise
        mine = [one for one in promise.records.values() if one.account == account]
        by_state = {state: [one for one in mine if promise.state(one.name) is state] for state in State}
        for record in mine:
            await self._found(record)
        for state in (State.OPENS, State.RESTRICTED, State.STATUTE):
            purpose = {State.OPENS: SERVICE, State.RESTRICTED: ASKED, State.STATUTE: LAW}[state]
            rows = [self.life.copies[one.name][-1] for one in by_state[state]]
            opened = {one.stored.record: one for one in await self._open(account, rows, purpose)}
            for record in by_state[state]:
                one = opened.get(self.life.ids[record.name])
                _must(one is not None, record, f"it does not open for {purpose.value}")
                content = one.content.reveal()  # type: ignore[union-attr]
                found = {role: str(content[role]) for role in record.parties}
                wanted = {role: who or "anonymous" for role, who in record.parties.items()}
                _must(found == wanted, record, f"it says {found}")
        # What every backup of then still has of it, opened with everything but the keys that were destroyed.
        old = [row for state in UNREADABLE for one in by_state[state] for row in self.life.copies[one.name]]
        old += [row for one in mine for row in self.life.copies[one.name][:-1]]
        left = [self.life.copies[one.name][-1] for one in by_state[State.STATUTE]]
        for purpose, rows in ((SERVICE, old + left), (ASKED, old + left), (LAW, old)):
            for one in await self._open(account, rows, purpose):
                _must(False, self._name(one.stored), f"an old copy of it opens for {purpose.value}")
        for record in by_state[State.RESTRICTED]:
            row = self.life.copies[record.name][-1]
            _must(not await self._open(account, [row], SERVICE), record, "it is restricted and opens")

    async def _found(self, record: Record) -> None:
        """Through the front door: what is gone says so, what is there has its date."""
        promise, custody, state = self.life.promise, self.life.town.custody, self.life.promise.state(record.name)
        account, category = self.life.principals[record.account].in_account(), BY_NAME[record.category]
        try:
            (row,) = await custody.find(account, [self.life.ids[record.name]], category=category)
        except RecordErased:
            was_sealed_anew = state is State.LOST and len(self.life.copies[record.name]) > 1
            _must(state is State.GONE or was_sealed_anew, record, "it says that it was erased")
        except RecordMissing:
            is_left = record.account in promise.closed
            _must(state is State.LOST or (state is State.GONE and is_left), record, "it is said that there is none")
        else:
            _must(state not in (State.GONE, State.LOST), record, "it is found")
            last, promised = int(row.due_day), promise.last_day(record)
            _must(last == promised, record, f"its last day is {last}, and {promised} was promised")
            _must(row.is_detached == (state is State.NAMELESS), record, "its person is not as promised")

    async def _open(self, account: str, rows: list[StoredRecord], purpose: Purpose) -> list[Any]:
        if not rows:
            return []
        custody, principal = self.life.town.custody, self.life.principals[account]
        try:
            return await custody.open_stored(principal, rows, purpose=purpose)
        except Restricted:
            if len(rows) == 1:
                return []
            return [one for row in rows for one in await self._open(account, [row], purpose)]

    def _name(self, row: StoredRecord) -> Record:
        return self.life.promise.records[next(iter(self.life.named([row])))]

    # What is certified

    async def _certificates(self) -> dict[str, set[bytes]]:
        """Each verifies by its own log and its own holder's key, and by nobody else's; what each says was destroyed."""
        town, found = self.life.town, {}
        rows = await town.owner(_ERASURES)
        rows += await town.owner(_CLOSURES)
        for row in rows:
            _must(row["certificate"] is not None, str(row["id"]), "it has no certificate")
            text = row["certificate"]
            if text not in self.verified:
                self.verified[text] = await self._verify(row, text.encode())
            found[f"{row['account_id']} {row['id']}"] = self.verified[text]
        return found

    async def _verify(self, row: Any, certificate: bytes) -> set[bytes]:
        check: Any = verify_closure if row["kind"] == "closure" else verify
        for account, principal in self.life.principals.items():
            is_its_own = principal.in_account().value == row["account_id"]
            try:
                check(certificate, await self._policy(account))
            except StepFailed as failure:
                _must(not is_its_own, str(row["id"]), f"its certificate does not verify: {failure}")
            else:
                _must(is_its_own, str(row["id"]), f"its certificate verifies as one of {account}, whose it is not")
        says = json.loads(Proof.parse(certificate).extra)
        if row["kind"] == "erasure":
            _must(says["erasure"] == f"ers_{row['id'].hex}", str(row["id"]), "its certificate is of another erasure")
        return {base64.b64decode(one) for one in says.get("commitments") or []}

    async def _policy(self, account: str) -> Policy:
        town = self.life.town
        log = await town.custody.sequencer.open_log(self.life.principals[account].in_account())
        status = await town.custody.keeper.status()
        return Policy.parse(f"log {log.vkey}\nholder {status.holder_vkey}\nquorum none\n")

    async def _certified(self, certified: dict[str, set[bytes]]) -> None:
        """Who is gone stands in the certificate of the erasure by which they went; who is there stands in none."""
        promise, everything = self.life.promise, set().union(*certified.values())
        gone = await self.life.town.owner("SELECT account_id, record_id, erasure_id, commitment FROM custody.gone")
        for row in gone:
            listed = certified.get(f"{row['account_id']} {row['erasure_id']}")
            if listed is not None and row["commitment"] is not None:
                _must(row["commitment"] in listed, str(row["record_id"]), "its certificate is of something else")
        for record in promise.alive():
            if promise.state(record.name) not in UNREADABLE:
                there = self.life.copies[record.name][-1].commitment
                _must(there not in everything, record, "a certificate says that it was destroyed")

    # The log

    async def _log(self, account: str) -> None:
        """It only grows: what was seen of it before, and what came since, give the root that is signed now."""
        where, log = self.life.principals[account].in_account(), self.logs.setdefault(account, Log())
        async with self.life.town.custody.database.account(where) as connection:
            head = await signed_head(connection, where)
        checkpoint, _ = (await self._policy(account)).signed_head(head.checkpoint)
        _must(checkpoint.size >= log.size, account, "its log became shorter")
        rows = await self.life.town.owner(
            "SELECT leaf FROM evidence.leaf_entry WHERE account_id = $1 AND idx >= $2 AND idx < $3 ORDER BY idx",
            where.value, log.size, checkpoint.size,
        )  # fmt: skip
        _must(len(rows) == checkpoint.size - log.size, account, "leaves of its log are missing")
        for row in rows:
            log.range.append(leaf_hash(row["leaf"]))
        log.size = checkpoint.size
        _must(log.range.root() == checkpoint.root, account, "its log was written anew")


def _must(holds: object, what: Record | str, otherwise: str) -> None:
    if not holds:
        who = what if isinstance(what, str) else f"{what.name} of {what.account}"
        raise Broken(f"{who}: {otherwise}")
