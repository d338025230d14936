"""Stories of a deployment as Hypothesis makes them up: any of these acts in any order, the oracle after each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from .life import ACCOUNTS, NUMBERS, Life
from .oracle import Oracle
from .promise import Record, State
from .town import Town

accounts, numbers = st.sampled_from(ACCOUNTS), st.sampled_from(NUMBERS)
some_days = st.sampled_from([1, 27, 30, 92, 200, 366])
periods = st.sampled_from(
    [("call-record", 0, 28), ("call-record", 0, 180), ("call-record", 0, 0), ("call-record", 1, 10),
     ("call-record", 1, 400), ("recording", 0, 180), ("recording", 1, 0), ("recording", 0, 28),
     ("message-record", 0, 28), ("message-content", 0, 90)]
)  # fmt: skip
which = st.integers(0, 7)


class Deployment(RuleBasedStateMachine):
    """Years of two accounts. `town` and `runner` are lent by the test."""

    town: ClassVar[Town]
    runner: ClassVar[asyncio.Runner]
    backups_max: ClassVar[int] = 0
    restores_max: ClassVar[int] = 0
    life: Life

    @initialize()
    def begin(self) -> None:
        self.life = self.runner.run(Life.begin(self.town))
        self.oracle = Oracle(self.life)
        self.restores = 0

    def tell(self, act: Awaitable[str]) -> None:
        """Do it, say it in one sentence, ask the oracle."""

        async def done() -> str:
            told = await act
            await self.oracle.ask()
            return told

        self.life.told.append("")
        try:
            self.life.told[-1] = self.runner.run(done())  # type: ignore[arg-type]
        finally:
            note(f"{len(self.life.told)}. {self.life.told[-1] or '(in this step)'}")

    # Keeping

    @rule(account=accounts, caller=numbers, callee=numbers, recorded=st.booleans(), at=st.sampled_from([0, 1]))
    def keep_call(self, account: str, caller: str, callee: str, recorded: bool, at: int) -> None:
        if self.life.is_open(account):
            self.tell(self.life.keep_call(account, caller, callee, recorded=recorded, retention_class=at))

    @rule(account=accounts, sender=numbers, recipient=numbers)
    def keep_message(self, account: str, sender: str, recipient: str) -> None:
        if self.life.is_open(account):
            self.tell(self.life.keep_message(account, sender, recipient))

    # Time

    @precondition(lambda self: self.life.ids)
    @rule(days=some_days)
    def wait(self, days: int) -> None:
        self.tell(self.life.wait(days))

    @precondition(lambda self: self.life.ids)
    @rule(days=st.sampled_from([1, 3, 29, 95]))
    def miss(self, days: int) -> None:
        self.tell(self.life.miss(days))

    @precondition(lambda self: self.life.ids)
    @rule(days=st.sampled_from([0, 2, 29, 40]), is_killed=st.booleans())
    def sleep(self, days: int, is_killed: bool) -> None:
        self.tell(self.life.sleep(days, is_killed=is_killed))

    @precondition(lambda self: self.life.ids)
    @rule(days=st.sampled_from([400, 40, -40]))
    def set_clock_wrong(self, days: int) -> None:
        self.tell(self.life.set_clock_wrong(days))

    # Periods and holds

    @precondition(lambda self: self.life.ids)
    @rule(account=accounts, period=periods)
    def change_period(self, account: str, period: tuple[str, int, int]) -> None:
        if self.life.is_open(account):
            self.tell(self.life.change_period(account, *period))

    @precondition(lambda self: self._named())
    @rule(at=which, days=some_days, whole_day=st.booleans(), restricts=st.booleans())
    def hold(self, at: int, days: int, whole_day: bool, restricts: bool) -> None:
        record = self._pick(self._named(), at)
        if record.account not in self.life.promise.closed:
            names = [] if whole_day else [record.name]
            places = [(record.category, record.retention_class, record.day)] if whole_day else []
            self.tell(self.life.hold(record.account, names, places, days=days, restricts=restricts))

    @precondition(lambda self: self.life.ids)
    @rule(account=accounts, number=numbers, days=some_days)
    def hold_number(self, account: str, number: str, days: int) -> None:
        if self.life.is_open(account):
            self.tell(self.life.hold_number(account, number, days=days))

    @precondition(lambda self: self._in_force())
    @rule(at=which)
    def release(self, at: int) -> None:
        holds = self._in_force()
        self.tell(self.life.release(holds[at % len(holds)]))

    # Erasing

    @precondition(lambda self: self._named())
    @rule(at=which, whole_day=st.booleans())
    def erase(self, at: int, whole_day: bool) -> None:
        record = self._pick(self._named(), at)
        if record.account in self.life.promise.closed:
            return
        if not whole_day:
            self.tell(self.life.erase(record.name))
        elif record.day < self.life.promise.today and not record.rule.keeps_row:
            self.tell(self.life.erase_day(record.name))

    @precondition(lambda self: self.life.ids)
    @rule(account=accounts, number=numbers)
    def forget(self, account: str, number: str) -> None:
        if self.life.is_open(account):
            self.tell(self.life.forget(account, number))

    @precondition(lambda self: self.life.ids)
    @rule(account=accounts, number=numbers, days=some_days)
    def restrict(self, account: str, number: str, days: int) -> None:
        if self.life.is_open(account):
            self.tell(self.life.restrict(account, number, days))

    # Leaving

    @precondition(lambda self: self.life.ids)
    @rule(account=accounts, grace=st.sampled_from([0, 7, 30]))
    def close(self, account: str, grace: int) -> None:
        if self.life.is_open(account):
            self.tell(self.life.close(account, grace))

    @precondition(lambda self: self.life.promise.leaving)
    @rule()
    def stay(self) -> None:
        self.tell(self.life.stay(min(self.life.promise.leaving)))

    # Power cuts

    @precondition(lambda self: self._named())
    @rule(
        at=which,
        point=st.sampled_from(["erasure-tokens-gone", "erasure-destroyed", "erasure-receipts-saved"]),
    )
    def erase_in_the_dark(self, at: int, point: str) -> None:
        record = self._pick(self._named(), at)
        if record.account not in self.life.promise.closed:
            self._cut(point, lambda: self.life.erase(record.name))

    @precondition(lambda self: self._named())
    @rule(at=which, point=st.sampled_from(["hold-rows-committed", "hold-kept", "hold-in-force"]), days=some_days)
    def hold_in_the_dark(self, at: int, point: str, days: int) -> None:
        record = self._pick(self._named(), at)
        if record.account not in self.life.promise.closed:
            self._cut(point, lambda: self.life.hold(record.account, [record.name], [], days=days))

    @precondition(lambda self: self._in_force())
    @rule(at=which, point=st.sampled_from(["hold-releasing", "hold-let-go", "hold-released"]))
    def release_in_the_dark(self, at: int, point: str) -> None:
        holds = self._in_force()
        self._cut(point, lambda: self.life.release(holds[at % len(holds)]))

    @precondition(lambda self: self.life.ids)
    @rule(
        account=accounts, number=numbers,
        point=st.sampled_from(["person-opened", "person-sealed-anew", "resealed-row", "person-not-committed",
                               "person-hidden", "erasure-destroyed"]),
    )  # fmt: skip
    def forget_in_the_dark(self, account: str, number: str, point: str) -> None:
        if self.life.is_open(account):
            self._cut(point, lambda: self.life.forget(account, number))

    @precondition(lambda self: self.life.ids)
    @rule(
        account=accounts,
        point=st.sampled_from(["closure-hidden", "closure-periods-set", "closure-punctured", "closure-receipts-saved",
                               "closure-unreadable", "closure-rows-removed", "closure-payloads-removed"]),
    )  # fmt: skip
    def close_in_the_dark(self, account: str, point: str) -> None:
        if self.life.is_open(account):
            self._cut(point, lambda: self.life.close(account, 0))

    # Backups

    @precondition(lambda self: self.life.ids and len(self.life.snapshots) < self.backups_max)
    @rule(wants_base=st.booleans())
    def back_up(self, wants_base: bool) -> None:
        self.tell(self.life.back_up(wants_base=wants_base))

    @precondition(lambda self: self.life.usable() and self.restores < self.restores_max)
    @rule(at=which)
    def restore(self, at: int) -> None:
        usable, self.restores = self.life.usable(), self.restores + 1
        self.tell(self.life.restore(usable[at % len(usable)]))

    def _cut(self, point: str, act: Callable[[], Awaitable[str]]) -> None:
        self.tell(self.life.cut_at(point, act))

    def _named(self) -> list[Record]:
        promise = self.life.promise
        return [one for one in promise.alive() if promise.state(one.name) in (State.OPENS, State.RESTRICTED)]

    @staticmethod
    def _pick(records: list[Record], at: int) -> Record:
        return records[at % len(records)]

    def _in_force(self) -> list[str]:
        promise = self.life.promise
        return [name for name, hold in promise.holds.items() if promise.today <= hold.until]


def lent(town: Town, runner: asyncio.Runner, **limits: Any) -> type[Deployment]:
    """The machine on this town."""
    return type("Deployment", (Deployment,), {"town": town, "runner": runner, **limits})
