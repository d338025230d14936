"""A process that forks, for each order on its standard input, a child that takes a ritual's steps and dies at one.

`python -m tests.crash.killed_process DATA`. It starts no thread and opens nothing before a fork, so a child is as new
as a worker that was just started, without the second that its imports take. An order is a line of JSON; the answer is
how the child ended. A child dies as by SIGKILL: `os._exit`, without one more instruction of ours.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import asyncpg
import obstore

from sealwire.config import Settings, load_settings
from sealwire.custody.backups import ending, take
from sealwire.custody.backups.gate import Gate, pending
from sealwire.custody.backups.putback import put_back
from sealwire.custody.closure.book import queries as closure_queries
from sealwire.custody.eraser import Eraser
from sealwire.custody.lifecycle import keeper_client
from sealwire.custody.retention.expiry import expire_due
from sealwire.custody.store import queries
from sealwire.doors.worker import closer
from sealwire.evidence.client import SequencerClient
from sealwire.ground import wire
from sealwire.ground.clock import SystemClock
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from tests.crash import mutants

KILLED = 137
_STATEMENTS = ("execute", "fetch", "fetchval", "fetchrow", "executemany")
_STORE = ("delete_async", "delete", "put", "put_async", "open_writer", "open_writer_async")
_FILES = ("fsync", "fdatasync", "rename", "replace", "unlink", "remove", "mkdir", "rmdir", "ftruncate", "link")
_LISTS_OF_ALL = {queries.accounts, queries.erasures_in_state, closure_queries.closures_to_do}


class Death:
    """Counts what the process does to the database, to the other processes and to files, and dies before the nth."""

    def __init__(self, at: int, account: str, told: Path | None) -> None:
        self._at, self._account, self._count = at, account, itertools.count()
        self._told = told.open("w") if told is not None else None

    def step(self, what: str) -> None:
        """One more effect is about to be asked for."""
        if next(self._count) == self._at:
            os._exit(KILLED)
        if self._told is not None:
            self._told.write(what + "\n")
            self._told.flush()

    def lie_in_wait(self) -> None:
        for name in _STATEMENTS:
            setattr(asyncpg.Connection, name, self._statement(name, getattr(asyncpg.Connection, name)))
        for owner, names in ((obstore, _STORE), (os, _FILES)):
            for name in names:
                setattr(owner, name, self._call(name, getattr(owner, name)))
        wire.Peer.call = self._asked(wire.Peer.call)  # type: ignore[method-assign]
        io.open = self._file(io.open)  # type: ignore[assignment]

    def _statement(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        async def call(connection: Any, query: str, *arguments: Any, **named: Any) -> Any:
            self.step(f"sql {' '.join(query.split())[:90]}")
            answer = await real(connection, query, *arguments, **named)
            if (
                name == "fetch" and query in _LISTS_OF_ALL and self._account
            ):  # the others' turn comes in their own child
                return [row for row in answer if row["account_id"].hex == self._account.removeprefix("acc_")]
            return answer

        return call

    def _call(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.step(f"file {name}")
            return real(*arguments, **named)

        return call

    def _file(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            if any(letter in mode for letter in "wax+"):
                self.step("file open")
            return real(path, mode, *arguments, **named)

        return call

    def _asked(self, real: Callable[..., Any]) -> Callable[..., Any]:
        async def call(peer: Any, name: str, /, **body: Any) -> Any:
            self.step(f"ask {name}")
            return await real(peer, name, **body)

        return call


async def _expiry(settings: Settings) -> None:
    clock, database = SystemClock(), await _worker(settings)
    await expire_due(database, clock, backup_cycle_days=settings.backup_cycle_days)
    eraser = Eraser(
        database=database, keeper=keeper_client(settings), sequencer=SequencerClient(settings.sequencer_socket),
        objects=Objects.of(settings), clock=clock,
    )  # fmt: skip
    await eraser.make_pending_unreadable()
    await eraser.remove_pending()


async def _closure(settings: Settings) -> None:
    closes = closer(
        settings, await _worker(settings), keeper=keeper_client(settings),
        sequencer=SequencerClient(settings.sequencer_socket), objects=Objects.of(settings),
    )  # fmt: skip
    await closes.make_due_unreadable()
    await closes.remove_pending()


async def _backup(settings: Settings) -> None:
    keeper = keeper_client(settings)
    status = await keeper.status()
    await take.take(
        settings, keeper_epoch=status.epoch, effaceability_class=status.effaceability_class, clock=SystemClock()
    )


async def _end_of_backups(settings: Settings) -> None:
    clock = SystemClock()
    clock.now = lambda: SystemClock().now().replace(year=2027)  # type: ignore[method-assign]
    await ending.end_backups(settings, await _worker(settings), clock)


async def _put_back(settings: Settings, source: str) -> None:
    await put_back(source, settings, clock=SystemClock())


async def _gate(settings: Settings) -> None:
    """Database and keeper run, the sequencer does not yet."""
    if (restored := pending(settings)) is not None:
        gate = Gate(settings, keeper=keeper_client(settings), objects=Objects.of(settings), clock=SystemClock())
        await gate.reconcile(restored)


async def _worker(settings: Settings) -> Database:
    return await Database.connect(dsn(settings, "sealwire_worker"), size_max=4)


RITUALS: dict[str, Callable[[Settings], Coroutine[Any, Any, None]]] = {
    "expiry": _expiry,
    "closure": _closure,
    "backup": _backup,
    "end": _end_of_backups,
    "gate": _gate,
}


def _child(settings: Settings, order: dict[str, Any]) -> None:
    code = 1
    try:
        sys.stdin.close()
        if order.get("mutant"):
            mutants.WORKER[order["mutant"]]()
        death = Death(order["at"], order.get("account", ""), Path(order["told"]) if "told" in order else None)
        death.lie_in_wait()
        if "data" in order:
            settings = load_settings(Path(order["data"]), backup_every_hours=0)
        ritual = _put_back(settings, order["source"]) if "source" in order else RITUALS[order["ritual"]](settings)
        asyncio.run(ritual)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main(data: str) -> None:
    settings, children = load_settings(Path(data)), dict[int, str]()
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _child(settings, order)
        children[child] = order["name"]
        _, status = os.waitpid(child, 0)
        print(json.dumps({"name": order["name"], "code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
