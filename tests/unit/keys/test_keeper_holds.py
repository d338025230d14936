"""Holds and periods in the keeper: what is held outlives all that destroys, its neighbour of the same day does not."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from tests.unit.keys.house import (
    FINDABLE,
    LOG_VKEY,
    NOON,
    TODAY,
    KeeperProcess,
    leaf_of,
    leased,
    new_account,
    open_keeper,
    opened,
    opened_by,
    prove,
    sealed_under,
)

from sealwire.custody.keys.client import KeeperClient, SealedItem
from sealwire.custody.keys.keeper import Keeper
from sealwire.custody.keys.messages import EraseReceipt
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.keys.refusals import (
    ClockSuspect,
    DayErased,
    Held,
    HoldMalformed,
    NotDue,
    OpenOnly,
    PastDue,
    PathMalformed,
    Restricted,
)
from sealwire.custody.keys.vault_format import Shard, open_shard, seal_shard
from sealwire.errors import SealwireError
from sealwire.ground.clock import SystemClock, TestClock, today
from sealwire.vocabulary import AccountId

CALLS, TALKS = DayPath(1, 0, TODAY), DayPath(2, 0, TODAY)
assert FINDABLE[1]


@pytest.fixture
def clock() -> TestClock:
    return TestClock(NOON)


@pytest.fixture
async def keeper(tmp_path: Path, clock: TestClock) -> Keeper:
    return await open_keeper(tmp_path, clock)


async def two_records(keeper: Keeper, day: DayPath = CALLS) -> tuple[AccountId, SealedItem, SealedItem]:
    account = await new_account(keeper)
    lease = await leased(keeper, account, day)
    return account, sealed_under(lease, 0, b"held"), sealed_under(lease, 1, b"neighbour")


async def hold(keeper: Keeper, account: AccountId, item: SealedItem, *, name: str = "hld_1", until: int = 400) -> None:
    missing = await keeper.hold(
        account, hold=name, leaves=[leaf_of(item)], days=[], until=TODAY + until, restricts=False
    )
    assert missing == []


@pytest.mark.parametrize("way", ["day", "closing", "sweep"])
async def test_a_held_record_outlives_whatever_destroys_its_day_and_its_neighbour_does_not(
    keeper: Keeper, clock: TestClock, way: str
) -> None:
    account, held, neighbour = await two_records(keeper)
    await hold(keeper, account, held)
    if way == "day":
        (receipt,) = await keeper.erase(account, erasure="ers_1", leaves=[], days=[CALLS])
        assert receipt.held == 1
    elif way == "closing":
        (receipt,) = await keeper.erase(account, erasure="ers_1", leaves=[], close_keeping=[3], confirmed=True)
        assert receipt.held == 1
    else:
        clock.advance(days=91)
        assert await keeper.sweep() == 1
    assert opened(keeper, account, [held, neighbour]) == [b"held", None]
    with pytest.raises(SealwireError):
        await leased(keeper, account, CALLS)
    await keeper.release(account, hold="hld_1")
    assert opened(keeper, account, [held, neighbour]) == [None, None]
    assert not keeper.load(account).tree.holds_any(CALLS.node)
    assert keeper.load(account).owed == frozenset()


async def test_no_block_is_given_out_on_an_erased_day_of_which_something_is_held(keeper: Keeper) -> None:
    account, held, _ = await two_records(keeper)
    await hold(keeper, account, held)
    await keeper.erase(account, erasure="ers_1", leaves=[], days=[CALLS])
    with pytest.raises(DayErased):
        await leased(keeper, account, CALLS)


async def test_what_is_asked_for_by_its_own_path_is_refused_and_names_the_holds(keeper: Keeper) -> None:
    account, held, neighbour = await two_records(keeper)
    await hold(keeper, account, held)
    with pytest.raises(Held, match="hld_1"):
        await keeper.erase(account, erasure="ers_1", leaves=[leaf_of(neighbour), leaf_of(held)])
    assert opened(keeper, account, [held, neighbour]) == [b"held", b"neighbour"]
    await keeper.hold(account, hold="hld_2", leaves=[], days=[CALLS], until=TODAY + 1, restricts=False)
    with pytest.raises(Held, match="hld_2"):
        await keeper.erase(account, erasure="ers_1", leaves=[], days=[CALLS])
    with pytest.raises(Held, match="hld_2"):
        await keeper.erase(account, erasure="ers_1", leaves=[leaf_of(neighbour)])


async def test_overlapping_holds_are_released_independently(keeper: Keeper) -> None:
    account, held, neighbour = await two_records(keeper)
    await hold(keeper, account, held, name="one")
    await hold(keeper, account, held, name="two")
    await keeper.hold(account, hold="day", leaves=[], days=[CALLS], until=TODAY + 9, restricts=False)
    await keeper.erase(account, erasure="ers_1", leaves=[], close_keeping=[], confirmed=True)
    assert opened(keeper, account, [held, neighbour]) == [b"held", b"neighbour"]
    await keeper.release(account, hold="day")
    assert opened(keeper, account, [held, neighbour]) == [b"held", None]
    await keeper.release(account, hold="one")
    assert opened(keeper, account, [held]) == [b"held"]
    await keeper.release(account, hold="two")
    await keeper.release(account, hold="two")
    assert opened(keeper, account, [held]) == [None]
    assert keeper.load(account).tree.nodes == {}


async def test_a_hold_on_a_day_keeps_the_whole_day_and_its_index(keeper: Keeper, clock: TestClock) -> None:
    account, one, two = await two_records(keeper)
    await keeper.hold(account, hold="hld_1", leaves=[], days=[CALLS], until=TODAY + 100, restricts=False)
    clock.advance(days=91)
    assert await keeper.sweep() == 0
    assert opened(keeper, account, [one, two]) == [b"held", b"neighbour"]
    assert keeper.load(account).tree.holds(CALLS.index_leaf.node)
    with pytest.raises(PastDue):
        await leased(keeper, account, CALLS)
    clock.advance(days=10)
    assert await keeper.sweep() == 1
    assert not keeper.load(account).tree.holds_any(CALLS.node)
    assert not keeper.load(account).tree.holds_any(CALLS.index_leaf.node)


async def test_a_hold_ends_by_itself_also_after_a_restart_and_what_was_due_goes_then(
    tmp_path: Path, clock: TestClock
) -> None:
    keeper = await open_keeper(tmp_path, clock)
    account, held, _ = await two_records(keeper, TALKS)
    await hold(keeper, account, held, until=50)
    clock.advance(days=40)
    await keeper.sweep()
    await keeper.close()
    keeper = await open_keeper(tmp_path, clock)
    clock.advance(days=10)
    await keeper.sweep()
    assert opened(keeper, account, [held]) == [b"held"]  # its last day
    clock.advance(days=1)
    assert opened(keeper, account, [held]) == [None]  # also before the sweep
    await keeper.sweep()
    assert keeper.load(account).holds == {}
    assert not keeper.load(account).tree.holds_any(TALKS.node)
    await keeper.close()


async def test_a_hold_is_extended_and_never_cut_short_by_placing_it_again(keeper: Keeper, clock: TestClock) -> None:
    account, held, _ = await two_records(keeper)
    await hold(keeper, account, held, until=200)
    await hold(keeper, account, held, until=300)
    await hold(keeper, account, held, until=100)
    clock.advance(days=300)
    await keeper.sweep()
    assert opened(keeper, account, [held]) == [b"held"]


async def test_what_is_destroyed_already_cannot_be_held_and_the_answer_says_so(keeper: Keeper) -> None:
    account, one, two = await two_records(keeper)
    await keeper.erase(account, erasure="ers_1", leaves=[leaf_of(one)], days=[TALKS])
    missing = await keeper.hold(
        account, hold="h", leaves=[leaf_of(one), leaf_of(two)], days=[TALKS], until=TODAY, restricts=False
    )
    assert missing == [leaf_of(one), TALKS]
    await keeper.erase(account, erasure="ers_2", leaves=[], close_keeping=[], confirmed=True)
    assert opened(keeper, account, [one, two]) == [None, b"neighbour"]


@pytest.mark.parametrize("bad", ["past end", "nothing", "no name", "no such path"])
async def test_a_hold_without_an_end_to_come_or_anything_to_hold_is_refused(keeper: Keeper, bad: str) -> None:
    account, held, _ = await two_records(keeper)
    leaves = {"nothing": [], "no such path": [LeafPath(1, 0, TODAY, 1 << 24)]}.get(bad, [leaf_of(held)])
    until = TODAY - 1 if bad == "past end" else TODAY + 1
    with pytest.raises(PathMalformed if bad == "no such path" else HoldMalformed):
        await keeper.hold(
            account, hold="" if bad == "no name" else "h", leaves=leaves, days=[], until=until, restricts=False
        )
    assert keeper.load(account).holds == {}


async def test_what_is_restricted_opens_for_a_subject_request_or_a_legal_claim_only(keeper: Keeper) -> None:
    account, held, neighbour = await two_records(keeper)
    await keeper.hold(account, hold="h", leaves=[leaf_of(held)], days=[], until=TODAY + 9, restricts=True)

    def opened_for(purpose: str, items: list[SealedItem]) -> list[bytes | None]:
        contexts = [item.context for item in items]
        proof = prove(account, keeper.challenges.give(), contexts, changes={"purpose": purpose})
        return keeper.opening.records(account, proof, items)

    for purpose in ("service-operation", "quality-assurance", "billing-dispute"):
        with pytest.raises(Restricted):
            opened_for(purpose, [neighbour, held])
        assert opened_for(purpose, [neighbour]) == [b"neighbour"]
        proof = prove(account, keeper.challenges.give(), [held.context], changes={"purpose": purpose})
        with pytest.raises(Restricted):
            keeper.opening.media(account, proof, SealedItem(held.context))
    for purpose in ("subject-request", "legal-claim"):
        assert opened_for(purpose, [held]) == [b"held"]
    await keeper.release(account, hold="h")
    assert opened_for("service-operation", [held]) == [b"held"]


async def test_the_ledger_says_what_was_held_taken_out_and_released(keeper: Keeper) -> None:
    account, held, _ = await two_records(keeper)
    await hold(keeper, account, held)
    (receipt,) = await keeper.erase(account, erasure="ers_1", leaves=[], days=[CALLS])
    await keeper.release(account, hold="hld_1")
    acts = [json.loads(line)["acts"][0] for line in keeper.vault.ledger.path.read_text().splitlines()][-3:]
    assert [act["act"] for act in acts] == ["hold.placed", "erased", "hold.released"]
    assert acts[0]["paths"] == acts[1]["spared"] == [leaf_of(held).text]
    assert acts[2]["holds"] == ["hld_1"]
    assert b'"held":1' in receipt.signed_bytes()
    assert msgspec.convert(acts[1]["receipts"][0], EraseReceipt) == receipt


async def test_a_shorter_period_acts_at_once_and_a_longer_one_brings_nothing_back(
    keeper: Keeper, clock: TestClock
) -> None:
    account, one, _ = await two_records(keeper)
    talk = sealed_under(await leased(keeper, account, TALKS), 0, b"talk")
    clock.advance(days=20)
    await keeper.set_periods(account, {"1/0": 10, "9/1": 5})
    assert opened(keeper, account, [one, talk]) == [None, b"talk"]
    await keeper.erase(account, erasure="e", leaves=[leaf_of(one)], due_only=True)
    assert await keeper.sweep() == 1
    await keeper.set_periods(account, {"1/0": 3000, "2/0": 100})
    assert opened(keeper, account, [one]) == [None]
    clock.advance(days=20)  # 40: past the period that the journal first had for the talk
    assert await keeper.sweep() == 0
    assert opened(keeper, account, [talk]) == [b"talk"]
    with pytest.raises(NotDue):
        await keeper.erase(account, erasure="e", leaves=[leaf_of(talk)], due_only=True)
    clock.advance(days=61)
    assert await keeper.sweep() == 1
    assert keeper.load(account).periods["9/1"] == 5


async def test_periods_set_anew_hold_after_a_restart(tmp_path: Path, clock: TestClock) -> None:
    keeper = await open_keeper(tmp_path, clock)
    account, one, _ = await two_records(keeper)
    await keeper.set_periods(account, {"1/0": 10})
    await keeper.close()
    keeper = await open_keeper(tmp_path, clock)
    clock.advance(days=11)
    assert await keeper.sweep() == 1
    assert not keeper.load(account).tree.holds_any(leaf_of(one).node)
    await keeper.close()


def test_a_shard_of_the_version_before_holds_is_read_as_holding_nothing() -> None:
    account, nodes = AccountId.new(), (1).to_bytes(8, "big") + b"k" * 32
    old = msgspec.msgpack.encode([LOG_VKEY, {"1/0": 90}, None, nodes])
    assert msgspec.msgpack.decode(old, type=Shard) == Shard(LOG_VKEY, {"1/0": 90}, None, nodes)
    key = b"s" * 32
    assert open_shard(key, account, seal_shard(key, account, 7, Shard(LOG_VKEY, {}, None, nodes))).holds == {}


async def test_a_clock_six_minutes_off_is_suspect_and_four_are_not(keeper: Keeper, clock: TestClock) -> None:
    clock._now = NOON.replace(minute=4)
    assert keeper.calendar.today() == TODAY
    clock._now = NOON.replace(minute=6)
    with pytest.raises(ClockSuspect):
        keeper.calendar.today()


async def test_a_connection_that_opens_only_can_do_nothing_else(tmp_path: Path) -> None:
    process = KeeperProcess(tmp_path)
    client = await process.client()
    account = await new_account(client)
    lease = await client.lease(account, category=1, retention_class=0, day=int(process_today()))
    item = sealed_under(lease, 0, b"open me")
    drill = KeeperClient.open_only(process.settings.keeper_socket)
    assert await opened_by(drill, account, [item]) == [b"open me"]
    assert (await drill.status()).accounts == 1
    leaf, day = leaf_of(item), leaf_of(item).day_path
    for attempt in (
        drill.erase(account, erasure="e", leaves=[leaf]),
        drill.sweep(),
        drill.set_periods(account, {"1/0": 1}),
        drill.hold(account, hold="h", leaves=[leaf], until=int(day.day) + 1),
        drill.release(account, hold="h"),
        drill.lease(account, category=1, retention_class=0, day=day.day),
        drill.admit_categories(account, {"9/0": 1}),
    ):
        with pytest.raises(OpenOnly):
            await attempt
    await drill.close()
    await client.close()
    assert await process.stop() == 0


async def test_holds_cross_the_wire_and_outlive_the_process(tmp_path: Path) -> None:
    process = KeeperProcess(tmp_path)
    client = await process.client()
    account, day = await new_account(client), process_today()
    lease = await client.lease(account, category=1, retention_class=0, day=day)
    item, gone = sealed_under(lease, 0, b"held"), LeafPath(1, 0, day, 1)
    await client.erase(account, erasure="e", leaves=[gone])
    assert await client.hold(account, hold="h", leaves=[leaf_of(item), gone], until=day + 9) == [gone]
    process.process.kill()
    await process.wait()
    await client.close()
    process = KeeperProcess(tmp_path)
    client = await process.client()
    (receipt,) = await client.erase(account, erasure="e2", leaves=[], days=[DayPath(1, 0, day)])
    assert receipt.held == 1
    assert await opened_by(client, account, [item]) == [b"held"]
    with pytest.raises(Held, match="h"):
        await client.erase(account, erasure="e3", leaves=[leaf_of(item)])
    await client.release(account, hold="h")
    assert await opened_by(client, account, [item]) == [None]
    await client.close()
    assert await process.stop() == 0


def process_today() -> int:
    return int(today(SystemClock()))
