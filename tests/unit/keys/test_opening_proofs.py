"""No leaf, no plaintext: each numbered check refuses on its own."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.unit.keys.house import (
    LOG_KEY,
    NOON,
    OTHER_LOG_KEY,
    TODAY,
    leaf_of,
    leased,
    new_account,
    open_keeper,
    opened,
    prove,
    sealed_under,
)

from sealwire.custody.keys.keeper import Keeper
from sealwire.custody.keys.messages import OpenProof, SealedItem
from sealwire.custody.keys.opening import MediaStream
from sealwire.custody.keys.paths import DayPath
from sealwire.custody.keys.proof import NONCES_MAX, Challenges
from sealwire.custody.keys.refusals import ContextRefused, MediaEnded, ProofRefused, Punctured
from sealwire.custody.keys.tree import index_token, leaf_keys
from sealwire.custody.sealing.envelope import Context, LookupSaltMalformed, MediaSealer, SealBroken, lookup_commitment
from sealwire.ground.clock import TestClock
from sealwire.vocabulary import AccountId

CALLS = DayPath(1, 0, TODAY)
NUMBER, SALT = "+441632960123", b"s" * 32


class Case:
    """One account with one sealed record, and the means to prove an opening of it."""

    def __init__(self, keeper: Keeper, clock: TestClock, account: AccountId, item: SealedItem) -> None:
        self.keeper, self.clock, self.account, self.item = keeper, clock, account, item

    def proof(self, **options: object) -> OpenProof:
        return prove(self.account, self.keeper.challenges.give(), [self.item.context], **options)  # type: ignore[arg-type]

    def refuses(self, proof: OpenProof, step: int) -> None:
        with pytest.raises(ProofRefused, match=rf"^step {step}:"):
            self.keeper.opening.records(self.account, proof, [self.item])


@pytest.fixture
async def case(tmp_path: Path) -> Case:
    clock = TestClock(NOON)
    keeper = await open_keeper(tmp_path, clock)
    account = await new_account(keeper)
    return Case(keeper, clock, account, sealed_under(await leased(keeper, account, CALLS), 0, b"hello"))


def test_a_good_proof_opens_once(case: Case) -> None:
    proof = case.proof()
    assert case.keeper.opening.records(case.account, proof, [case.item]) == [b"hello"]
    case.refuses(proof, 3)


def test_a_payload_that_is_not_a_json_object_is_refused(case: Case) -> None:
    for payload in (b"\xff", b"[]", b"{"):
        case.refuses(msgspec.structs.replace(case.proof(), payload=payload), 0)


def test_a_checkpoint_of_another_log_is_refused(case: Case) -> None:
    case.refuses(case.proof(key=OTHER_LOG_KEY), 1)


def test_a_checkpoint_changed_after_signing_is_refused(case: Case) -> None:
    proof = case.proof()
    case.refuses(msgspec.structs.replace(proof, checkpoint=proof.checkpoint.replace(b"\n7\n", b"\n8\n", 1)), 1)


@pytest.mark.parametrize(
    "change", [{"salt": b"s" * 32}, {"leaf_class": 7}, {"index": 2}, {"size": 8}, {"path": []}, {"payload": b"{}"}]
)
def test_a_leaf_that_is_not_included_is_refused(case: Case, change: dict[str, object]) -> None:
    case.refuses(msgspec.structs.replace(case.proof(), **change), 2)


def test_a_leaf_of_another_account_is_refused(case: Case) -> None:
    case.refuses(case.proof(changes={"account": str(AccountId.new())}), 3)


def test_the_log_origin_stands_for_the_account(case: Case) -> None:
    proof = case.proof(changes={"account": LOG_KEY.name})
    assert case.keeper.opening.records(case.account, proof, [case.item]) == [b"hello"]


@pytest.mark.parametrize("nonce", ["00" * 16, None, 7, ["x"]])
def test_a_nonce_that_was_never_given_is_refused(case: Case, nonce: object) -> None:
    case.refuses(case.proof(changes={"nonce": nonce}), 3)


def test_a_nonce_older_than_a_minute_is_refused(case: Case) -> None:
    proof = case.proof()
    case.clock.advance(seconds=61)
    case.refuses(proof, 3)


def test_a_nonce_is_used_up_by_a_proof_that_fails(case: Case) -> None:
    nonce = case.keeper.challenges.give()
    contexts = [case.item.context]
    case.refuses(prove(case.account, nonce, contexts, key=OTHER_LOG_KEY), 1)
    case.refuses(prove(case.account, nonce, contexts), 3)


def test_a_leaf_that_commits_to_other_records_is_refused(case: Case) -> None:
    case.refuses(case.proof(changes={"items_root": "AAAA"}), 4)
    other = prove(case.account, case.keeper.challenges.give(), [case.item.context, "more"])
    case.refuses(other, 4)


def test_a_leaf_of_another_type_is_refused(case: Case) -> None:
    case.refuses(case.proof(kind="record.kept"), 5)


def test_a_context_of_another_account_is_refused_even_under_a_good_proof(case: Case) -> None:
    context = Context.parse(case.item.context)
    foreign = Context(AccountId.new(), 1, 0, context.day, context.slot).text
    proof = prove(case.account, case.keeper.challenges.give(), [foreign])
    with pytest.raises(ContextRefused):
        case.keeper.opening.records(case.account, proof, [SealedItem(foreign, case.item.blob)])


def test_a_blob_that_was_changed_or_moved_is_told_by_its_context(case: Case) -> None:
    changed = SealedItem(case.item.context, case.item.blob[:-1] + bytes([case.item.blob[-1] ^ 1]))
    with pytest.raises(SealBroken, match=str(case.account)):
        opened(case.keeper, case.account, [changed])
    context = Context.parse(case.item.context)
    moved = SealedItem(Context(case.account, 1, 0, context.day, context.slot ^ 1).text, case.item.blob)
    with pytest.raises(SealBroken):
        opened(case.keeper, case.account, [moved])


def lookup_proof(case: Case, number: str, days: list[DayPath], salt: bytes = SALT) -> OpenProof:
    changes: dict[str, object] = {"lookup": lookup_commitment(salt, number, days)}
    return prove(case.account, case.keeper.challenges.give(), [], kind="subject.searched", changes=changes)


@pytest.mark.parametrize("change", ["number", "days", "salt", "none"])
def test_a_lookup_of_anything_but_what_its_leaf_commits_to_is_refused(case: Case, change: str) -> None:
    proof = lookup_proof(case, NUMBER, [CALLS])
    if change == "none":
        proof = prove(case.account, case.keeper.challenges.give(), [], kind="subject.searched")
    number = "+441632960124" if change == "number" else NUMBER
    days = [CALLS, CALLS] if change == "days" else [CALLS]
    salt = b"t" * 32 if change == "salt" else SALT
    with pytest.raises(ProofRefused, match=r"^step 4:"):
        case.keeper.opening.index_tokens(case.account, proof, number, days, salt=salt)


def test_the_commitment_to_a_lookup_does_not_depend_on_the_order_of_days_and_needs_a_whole_salt() -> None:
    other = DayPath(1, 0, TODAY - 1)
    assert lookup_commitment(SALT, NUMBER, [CALLS, other]) == lookup_commitment(SALT, NUMBER, [tuple(other), CALLS])
    with pytest.raises(LookupSaltMalformed):
        lookup_commitment(b"", NUMBER, [CALLS])


@pytest.mark.parametrize("leaf_class", [4, 14])
def test_a_payload_in_a_leaf_of_another_class_than_it_names_is_refused(case: Case, leaf_class: int) -> None:
    case.refuses(case.proof(leaf_class=leaf_class), 5)


@pytest.mark.parametrize(
    "changes", [{"principal": ""}, {"principal": None}, {"purpose": "curiosity"}, {"purpose": None}]
)
def test_a_leaf_that_does_not_say_who_and_why_is_refused(case: Case, changes: dict[str, object]) -> None:
    case.refuses(case.proof(changes=changes), 6)


@pytest.mark.parametrize("items", [0, 2, True, "1", None])
def test_a_leaf_with_another_number_of_records_is_refused(case: Case, items: object) -> None:
    case.refuses(case.proof(changes={"items": items}), 4)


def test_a_payload_that_is_not_canonical_or_names_a_member_twice_is_refused(case: Case) -> None:
    payload = case.proof().payload
    for other in (b'{"type":"x",' + payload[1:], payload.replace(b":", b": ", 1), payload[:1] + b"\n" + payload[1:]):
        case.refuses(msgspec.structs.replace(case.proof(), payload=other), 0)


def test_records_and_payloads_of_the_log_are_not_opened_together(case: Case) -> None:
    audit = SealedItem(Context(case.account, 4, 0, TODAY, 7).text)
    proof = prove(case.account, case.keeper.challenges.give(), [case.item.context, audit.context])
    with pytest.raises(ContextRefused, match="never opened under one leaf"):
        case.keeper.opening.records(case.account, proof, [case.item, audit])


def test_waiting_nonces_are_limited_and_the_oldest_go_first() -> None:
    challenges = Challenges(TestClock(NOON))
    first = challenges.give()
    rest = [challenges.give() for _ in range(NONCES_MAX)]
    assert not challenges.take(first.hex())
    assert challenges.take(rest[-1].hex())
    assert not challenges.take(rest[-1].hex())


async def test_index_tokens_come_for_living_days_only(case: Case) -> None:
    lease = await leased(case.keeper, case.account, CALLS)
    yesterday = DayPath(1, 0, TODAY - 1)
    await case.keeper.erase(case.account, erasure="e", leaves=[], days=[yesterday])
    days = [CALLS, yesterday, DayPath(1, 0, TODAY - 91), DayPath(6, 0, TODAY)]
    proof = lookup_proof(case, NUMBER, days)
    tokens = case.keeper.opening.index_tokens(case.account, proof, NUMBER, days, salt=SALT)
    assert lease.index_key is not None
    assert tokens == [index_token(lease.index_key, "+441632960123"), None, None, None]


async def test_reindexing_gives_the_tokens_that_keeping_gave_and_no_plaintext(case: Case) -> None:
    lease = await leased(case.keeper, case.account, CALLS)
    assert lease.index_key is not None
    fields = ["+441632960123", "anonymous", None, 17, "+441632960456"]
    item = sealed_under(lease, 0, msgspec.msgpack.encode(fields))
    gone = sealed_under(lease, 1, msgspec.msgpack.encode(fields))
    await case.keeper.erase(case.account, erasure="e", leaves=[leaf_of(gone)])
    proof = prove(case.account, case.keeper.challenges.give(), [item.context, gone.context], kind="index.rebuilt")
    tokens = case.keeper.opening.reindex(case.account, proof, [item, gone])
    expected = [index_token(lease.index_key, number) for number in ("+441632960123", "+441632960456")]
    assert tokens == [expected, []]


async def test_media_open_piece_by_piece_and_end_when_their_leaf_is_destroyed(case: Case) -> None:
    lease = await leased(case.keeper, case.account, CALLS)
    item = sealed_under(lease, 3, b"")
    context = Context.parse(item.context)
    keys = case.keeper.load(case.account)
    sealer = MediaSealer(leaf_keys(keys.tree.derive(leaf_of(item))).media, context)
    sealed = sealer.update(b"a" * 100_000) + sealer.finalize()

    def begin() -> MediaStream:
        proof = prove(case.account, case.keeper.challenges.give(), [item.context])
        return case.keeper.opening.media(case.account, proof, SealedItem(item.context))

    stream = begin()
    assert stream.update(sealed) + stream.finalize() == b"a" * 100_000
    running, neighbour = begin(), case.keeper.opening.media(case.account, case.proof(), case.item)
    assert running.update(sealed[:70_000])
    await case.keeper.erase(case.account, erasure="e", leaves=[leaf_of(item)])
    with pytest.raises(MediaEnded):
        running.update(sealed[70_000:])
    assert neighbour.update(b"") == b""
    with pytest.raises(Punctured):
        begin()
