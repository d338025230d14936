"""The keeper in one process under a clock of our own: leasing, erasing, expiring, closing."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from pathlib import Path

import msgspec
import pytest
import rfc8785
from tests.unit.keys.house import (
    LOG_KEY,
    LOG_VKEY,
    NOON,
    OTHER_LOG_KEY,
    PERIODS,
    TODAY,
    HolderStub,
    leaf_of,
    leased,
    new_account,
    open_keeper,
    opened,
    sealed_under,
)

from sealwire.custody.keys import book, tick
from sealwire.custody.keys import files as durable_files
from sealwire.custody.keys.keeper import Keeper
from sealwire.custody.keys.messages import Lease
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.keys.receipts import EraseReceipt, paths_root
from sealwire.custody.keys.refusals import (
    AccountClosed,
    AccountDiffers,
    AccountUnknown,
    ClockSuspect,
    DayErased,
    EpochNotDestroyed,
    KeeperStopping,
    PastDue,
    PathMalformed,
    PeriodMissing,
    Punctured,
)
from sealwire.custody.keys.tick import TickFailed
from sealwire.ground.clock import TestClock
from sealwire.vocabulary import AccountId
from sealwire_verifier.note import parse_vkey

CALLS = DayPath(1, 0, TODAY)


@pytest.fixture
def clock() -> TestClock:
    return TestClock(NOON)


@pytest.fixture
async def keeper(tmp_path: Path, clock: TestClock) -> Keeper:
    return await open_keeper(tmp_path, clock)


async def test_an_account_made_twice_alike_is_one_and_otherwise_refused(keeper: Keeper) -> None:
    account = await new_account(keeper)
    epoch = keeper.vault.epoch.number
    await keeper.create_account(account, log_vkey=LOG_VKEY, periods=PERIODS)
    assert keeper.vault.epoch.number == epoch
    with pytest.raises(AccountDiffers):
        await keeper.create_account(account, log_vkey=LOG_VKEY, periods=PERIODS | {"1/0": 91})
    with pytest.raises(AccountDiffers):
        await keeper.create_account(account, log_vkey=str(OTHER_LOG_KEY.vkey), periods=PERIODS)


async def test_an_upgrade_adds_categories_and_never_changes_a_period(keeper: Keeper) -> None:
    account = await new_account(keeper)
    epoch = keeper.vault.epoch.number
    assert await keeper.admit_categories(account, PERIODS) == []
    assert keeper.vault.epoch.number == epoch
    await keeper.set_periods(account, {"1/0": 30})
    assert await keeper.admit_categories(account, PERIODS | {"7/0": 90}) == ["7/0"]
    assert keeper.load(account).periods == PERIODS | {"1/0": 30, "7/0": 90}


@pytest.mark.parametrize("periods", [{"1": 90}, {"01/0": 90}, {"1/16": 1}, {"256/0": 1}, {"5/0": 1}, {"1/0": -1}])
async def test_periods_that_do_not_fit_the_tree_are_refused(keeper: Keeper, periods: dict[str, int]) -> None:
    with pytest.raises(PathMalformed):
        await keeper.create_account(AccountId.new(), log_vkey=LOG_VKEY, periods=periods)


async def test_an_account_without_a_usable_log_key_is_refused(keeper: Keeper) -> None:
    with pytest.raises(PathMalformed):
        await keeper.create_account(AccountId.new(), log_vkey="sealwire.local/log/x+00000000+AA==", periods=PERIODS)


async def test_two_concurrent_makings_of_one_account_agree_or_one_is_refused(keeper: Keeper) -> None:
    account = AccountId.new()
    one, two = PERIODS, PERIODS | {"1/0": 1}
    outcomes = await asyncio.gather(
        *(keeper.create_account(account, log_vkey=LOG_VKEY, periods=periods) for periods in (one, one, two)),
        return_exceptions=True,
    )
    assert outcomes[:2] == [None, None]
    assert isinstance(outcomes[2], AccountDiffers)


async def test_a_record_sealed_under_a_lease_opens_also_after_a_restart(tmp_path: Path) -> None:
    keeper = await open_keeper(tmp_path)
    account = await new_account(keeper)
    item = sealed_under(await leased(keeper, account, CALLS), 7, b"hello")
    assert opened(keeper, account, [item]) == [b"hello"]
    await keeper.close()
    keeper = await open_keeper(tmp_path)
    assert opened(keeper, account, [item]) == [b"hello"]
    await keeper.close()


async def test_leases_are_refused_with_a_reason(keeper: Keeper) -> None:
    account, holder = await new_account(keeper), HolderStub()
    for day, refusal in (
        (DayPath(1, 0, TODAY - 91), PastDue),
        (DayPath(6, 0, TODAY), PeriodMissing),
        (DayPath(5, 1, TODAY), PathMalformed),
        (DayPath(1, 16, TODAY), PathMalformed),
    ):
        with pytest.raises(refusal):
            await keeper.lease(account, day, holder)
    with pytest.raises(AccountUnknown):
        await keeper.lease(AccountId.new(), CALLS, holder)
    await keeper.lease(account, DayPath(1, 0, TODAY - 90), holder)


async def test_no_two_leases_share_a_block_and_audit_leases_have_no_index_key(keeper: Keeper) -> None:
    account = await new_account(keeper)
    leases = await asyncio.gather(*(leased(keeper, account, CALLS) for _ in range(300)))
    assert len({lease.block for lease in leases}) == 300
    assert len({lease.index_key for lease in leases}) == 1
    assert (await leased(keeper, account, DayPath(4, 0, TODAY))).index_key is None


async def test_an_erased_leaf_does_not_open_and_its_neighbours_do(keeper: Keeper) -> None:
    account, other = await new_account(keeper), await new_account(keeper)
    lease = await leased(keeper, account, CALLS)
    items = [sealed_under(lease, offset, b"%d" % offset) for offset in range(3)]
    others = [sealed_under(await leased(keeper, other, CALLS), 0, b"other")]
    await keeper.erase(account, erasure="ers_1", leaves=[leaf_of(items[1])])
    assert opened(keeper, account, items) == [b"0", None, b"2"]
    assert opened(keeper, other, others) == [b"other"]


async def test_the_receipt_is_signed_by_the_holder_over_what_was_destroyed(keeper: Keeper) -> None:
    account = await new_account(keeper)
    leaves = [LeafPath(1, 0, TODAY, slot) for slot in (5, 4)]
    before = keeper.vault.epoch.number
    (receipt,) = await keeper.erase(account, erasure="ers_1", leaves=leaves, days=[DayPath(2, 0, TODAY)])
    assert (receipt.epoch_before, receipt.epoch_after, receipt.count) == (before, before + 1, 3)
    assert receipt.paths_root == paths_root([f"2/0/{TODAY}", f"1/0/{TODAY}/4", f"1/0/{TODAY}/5"])
    assert (receipt.log, receipt.erasure, receipt.effaceability_class) == (LOG_KEY.name, "ers_1", "unverified")
    assert str(account) not in receipt.signed_bytes().decode()
    vkey = parse_vkey(keeper.status().holder_vkey)
    assert receipt.holder == vkey.name
    vkey.check(receipt.signed_bytes(), b64decode(receipt.signature))
    fields = {name: getattr(receipt, name) for name in EraseReceipt.__struct_fields__ if name != "signature"}
    fields = {name: value for name, value in fields.items() if value is not msgspec.UNSET}
    assert receipt.signed_bytes() == rfc8785.dumps(fields)  # nothing is held, so that is not a member


async def test_the_ledger_has_one_line_for_each_epoch_with_the_receipts_in_it(keeper: Keeper) -> None:
    account = await new_account(keeper)
    (receipt,) = await keeper.erase(account, erasure="ers_1", leaves=[LeafPath(1, 0, TODAY, 5)])
    lines = [json.loads(line) for line in keeper.vault.ledger.path.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, keeper.vault.epoch.number + 1))
    assert lines[-1]["acts"][0]["paths"] == [f"1/0/{TODAY}/5"]
    assert lines[-1]["acts"][0]["receipts"][0]["signature"] == receipt.signature


async def test_erasing_a_day_takes_its_index_key_with_it(keeper: Keeper) -> None:
    account = await new_account(keeper)
    item = sealed_under(await leased(keeper, account, CALLS), 0, b"x")
    neighbour = sealed_under(await leased(keeper, account, DayPath(1, 0, TODAY - 1)), 0, b"y")
    await keeper.erase(account, erasure="ers_1", leaves=[], days=[CALLS])
    assert opened(keeper, account, [item, neighbour]) == [None, b"y"]
    with pytest.raises(Punctured):
        keeper.load(account).tree.derive(CALLS.index_leaf)
    assert keeper.load(account).tree.derive(DayPath(1, 0, TODAY - 1).index_leaf)
    with pytest.raises(DayErased):
        await keeper.lease(account, CALLS, HolderStub())


async def test_closing_an_account_leaves_what_is_kept_and_nothing_else(tmp_path: Path) -> None:
    keeper = await open_keeper(tmp_path)
    account = await new_account(keeper)
    call = sealed_under(await leased(keeper, account, CALLS), 0, b"call")
    bill = sealed_under(await leased(keeper, account, DayPath(3, 0, TODAY)), 0, b"bill")
    await keeper.erase(account, erasure="ers_1", leaves=[], close_keeping=[3], confirmed=True)
    await keeper.close()
    keeper = await open_keeper(tmp_path)
    assert opened(keeper, account, [call, bill], purpose="statutory-retention") == [None, b"bill"]
    assert opened(keeper, account, [call, bill]) == [None, None]  # for the statute's alone
    with pytest.raises(AccountClosed):
        await keeper.lease(account, CALLS, HolderStub())
    await keeper.close()


async def test_leases_on_what_is_erased_are_recalled_first_and_others_left(keeper: Keeper) -> None:
    account = await new_account(keeper)
    holder, bystander = HolderStub(), HolderStub()
    lease = await leased(keeper, account, CALLS, holder)
    await leased(keeper, account, CALLS, bystander)
    await keeper.erase(account, erasure="ers_1", leaves=[LeafPath(1, 0, TODAY, lease.block * 256 + 255)])
    assert [one.block for one in holder.recalled] == [lease.block]
    assert bystander.recalled == []
    assert keeper.status().leases_outstanding == 1
    await keeper.erase(account, erasure="ers_2", leaves=[], days=[CALLS])
    assert len(bystander.recalled) == 1
    assert keeper.status().leases_outstanding == 0


async def test_a_holder_that_does_not_answer_is_cut_off_and_erasing_goes_on(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "RECALL_SECONDS_MAX", 0.05)
    account, mute = await new_account(keeper), HolderStub(is_mute=True)
    item = sealed_under(await leased(keeper, account, CALLS, mute), 0, b"x")
    await keeper.erase(account, erasure="ers_1", leaves=[leaf_of(item)])
    assert mute.was_cut_off
    assert opened(keeper, account, [item]) == [None]


async def test_no_block_is_given_out_on_a_day_while_it_is_being_destroyed(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "RECALL_SECONDS_MAX", 0.2)
    account = await new_account(keeper)
    await leased(keeper, account, CALLS, HolderStub(is_mute=True))
    erasing = asyncio.create_task(keeper.erase(account, erasure="ers_1", leaves=[], days=[CALLS]))
    await asyncio.sleep(0.05)
    with pytest.raises(DayErased):
        await keeper.lease(account, CALLS, HolderStub())
    await keeper.lease(account, DayPath(1, 0, TODAY - 1), HolderStub())
    await erasing


async def test_leases_and_erasures_at_once_never_leave_a_live_lease_on_a_dead_day(keeper: Keeper) -> None:
    account = await new_account(keeper)
    holder = HolderStub()

    async def lease_on() -> Lease | None:
        try:
            return await leased(keeper, account, CALLS, holder)
        except DayErased:
            return None

    erasing = asyncio.create_task(keeper.erase(account, erasure="ers_1", leaves=[], days=[CALLS]))
    given = await asyncio.gather(*(lease_on() for _ in range(100)))
    await erasing
    assert {lease.block for lease in given if lease} == {lease.block for lease in holder.recalled}
    assert keeper.status().leases_outstanding == 0


async def test_what_is_past_due_does_not_open_even_before_it_is_swept(keeper: Keeper, clock: TestClock) -> None:
    account = await new_account(keeper)
    item = sealed_under(await leased(keeper, account, CALLS), 0, b"x")
    clock.advance(days=90)
    assert opened(keeper, account, [item]) == [b"x"]
    clock.advance(days=1)
    assert opened(keeper, account, [item]) == [None]


async def test_the_sweep_destroys_what_is_past_due_and_nothing_else(tmp_path: Path, clock: TestClock) -> None:
    keeper = await open_keeper(tmp_path, clock)
    account = await new_account(keeper)
    short = sealed_under(await leased(keeper, account, DayPath(1, 3, TODAY)), 0, b"short")
    long = sealed_under(await leased(keeper, account, CALLS), 0, b"long")
    assert await keeper.sweep() == 0
    clock.advance(days=11)
    assert await keeper.sweep() == 1
    tree = keeper.load(account).tree
    assert not tree.holds_any(leaf_of(short).day_path.node)
    assert not tree.holds_any(leaf_of(short).day_path.index_leaf.node)
    assert tree.holds(CALLS.index_leaf.node)
    assert opened(keeper, account, [short, long]) == [None, b"long"]
    assert await keeper.sweep() == 0
    await keeper.close()
    keeper = await open_keeper(tmp_path, clock)
    assert await keeper.sweep() == 0
    clock.advance(days=80)
    assert await keeper.sweep() == 1
    assert not keeper.load(account).tree.holds_any(CALLS.index_leaf.node)
    assert len(keeper.load(account).tree.nodes) < 100
    await keeper.close()


async def test_a_clock_that_jumps_stops_grants_and_sweeps(keeper: Keeper, clock: TestClock) -> None:
    account = await new_account(keeper)
    item = sealed_under(await leased(keeper, account, CALLS), 0, b"x")
    clock._now = clock.now().replace(year=2040)
    with pytest.raises(ClockSuspect):
        await keeper.sweep()
    with pytest.raises(ClockSuspect):
        await keeper.lease(account, CALLS, HolderStub())
    assert not keeper.status().clock_trusted
    clock._now = NOON
    assert opened(keeper, account, [item]) == [b"x"]


async def test_erasing_again_is_harmless_and_unknown_accounts_are_told(keeper: Keeper) -> None:
    account = await new_account(keeper)
    leaf = LeafPath(1, 0, TODAY, 5)
    (first,) = await keeper.erase(account, erasure="ers_1", leaves=[leaf])
    (second,) = await keeper.erase(account, erasure="ers_1", leaves=[leaf])
    assert second.epoch_after == first.epoch_after + 1
    with pytest.raises(AccountUnknown):
        await keeper.erase(AccountId.new(), erasure="ers_1", leaves=[leaf])


async def test_many_erasures_share_a_tick(keeper: Keeper) -> None:
    accounts = [await new_account(keeper) for _ in range(5)]
    before = keeper.vault.epoch.number
    receipts = await asyncio.gather(
        *(keeper.erase(one, erasure="e", leaves=[LeafPath(1, 0, TODAY, n)]) for one in accounts for n in range(4))
    )
    assert {receipt.epoch_after for (receipt,) in receipts} == {before + 1}
    for account in accounts:
        tree = keeper.load(account).tree
        assert not any(tree.holds(LeafPath(1, 0, TODAY, slot).node) for slot in range(4))
        assert tree.holds(LeafPath(1, 0, TODAY, 4).node)


async def test_a_disk_that_fills_before_the_commit_changes_nothing(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await new_account(keeper)
    item = sealed_under(await leased(keeper, account, CALLS), 0, b"x")
    epoch, files = keeper.vault.epoch, {path.name for path in keeper.vault.folder.rglob("*")}
    real = durable_files.write_durably

    def full(path: Path, data: bytes) -> None:
        if path.name.endswith(".new"):
            raise OSError(28, "No space left on device")
        real(path, data)

    monkeypatch.setattr(tick, "write_durably", full)
    with pytest.raises(TickFailed):
        await keeper.erase(account, erasure="e", leaves=[leaf_of(item)])
    assert keeper.vault.epoch == epoch
    assert {path.name for path in keeper.vault.folder.rglob("*")} == files
    assert opened(keeper, account, [item]) == [b"x"]
    monkeypatch.setattr(tick, "write_durably", real)
    await keeper.erase(account, erasure="e", leaves=[leaf_of(item)])
    assert opened(keeper, account, [item]) == [None]


async def test_an_old_key_that_cannot_be_destroyed_gives_no_receipt_and_stops_the_keeper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = await open_keeper(tmp_path)
    account = await new_account(keeper)
    item = sealed_under(await leased(keeper, account, CALLS), 0, b"x")

    def stuck(_slot: int, _key: bytes, **_options: object) -> None:
        raise EpochNotDestroyed

    monkeypatch.setattr(keeper.vault.slots, "destroy", stuck)
    with pytest.raises(EpochNotDestroyed):
        await keeper.erase(account, erasure="e", leaves=[leaf_of(item)])
    assert isinstance(keeper.broken.result(), EpochNotDestroyed)
    with pytest.raises(KeeperStopping):
        await keeper.erase(account, erasure="e", leaves=[leaf_of(item)])
    await keeper.close()
    again = await open_keeper(tmp_path)
    assert opened(again, account, [item]) == [None]
    await again.close()


async def test_accounts_are_loaded_one_by_one_and_let_go_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealwire.custody.keys.keeper.LOADED_ACCOUNTS_MAX", 3)
    keeper = await open_keeper(tmp_path)
    accounts = await asyncio.gather(*(new_account(keeper) for _ in range(8)))
    items = {account: sealed_under(await leased(keeper, account, CALLS), 0, b"x") for account in accounts}
    await keeper.erase(accounts[0], erasure="e", leaves=[leaf_of(items[accounts[0]])])
    for account, item in items.items():
        assert opened(keeper, account, [item]) == [None if account == accounts[0] else b"x"]
    assert len(keeper._loaded) <= 3
    await keeper.close()


async def test_neither_a_lease_nor_its_keys_print(keeper: Keeper) -> None:
    lease = await leased(keeper, await new_account(keeper), CALLS)
    assert lease.block_key.hex() not in repr(lease)
    assert repr(lease.block_key) not in repr(lease)
    assert b64encode(lease.block_key).decode() not in str(lease)
    keys = keeper.load(lease.account)
    assert not any(repr(node) in repr(keys) for node in keys.tree.nodes.values())
