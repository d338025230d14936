"""Leaves get into logs: asked for with a proof, or posted with the act; many accounts in one commit."""

from __future__ import annotations

import asyncio
import os

import asyncpg
import pytest
from tests.unit.evidence.house import TestSealer, running_sequencer, served, until

from sealwire.custody.keys.refusals import (
    AccountClosed,
    BlocksExhausted,
    ClockSuspect,
    DayErased,
    PastDue,
    PeriodMissing,
    Punctured,
)
from sealwire.errors import Malformed
from sealwire.evidence import reader
from sealwire.evidence.client import SequencerClient
from sealwire.evidence.leaves import LeafClass, PayloadMalformed
from sealwire.evidence.outbox import post_event, post_kept
from sealwire.evidence.sequencer import EvidenceUnavailable
from sealwire.vocabulary import AccountId, RecordId
from sealwire_verifier.checkpoint import parse_checkpoint
from sealwire_verifier.leaf import leaf_bytes
from sealwire_verifier.log import verify_log
from sealwire_verifier.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from sealwire_verifier.policy import Policy
from sealwire_verifier.tiles import Tile, tiles_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The log key and lock file that belong to this module's database."""
    return tmp_path_factory.mktemp("evidence")


@pytest.fixture
async def logs(database, folder):
    """(client, sequencer, service database, sealer)."""
    sealer, pool = TestSealer(), await database("sealwire_sequencer")
    async with running_sequencer(pool, folder, sealer) as sequencer, served(sequencer, folder / "s.sock") as socket:
        client = SequencerClient(socket)
        yield client, sequencer, await database("sealwire_service"), sealer
        await client.close()


async def export(service, account, folder):
    """The log as static files, as the API serves them."""
    async with service.account(account) as connection:
        head = await reader.signed_head(connection, account)
        paths = ["checkpoint"]
        for tile in tiles_of(head.size):
            paths += [str(tile)] + ([str(Tile(None, tile.n, tile.width))] if tile.level == 0 else [])
        for path in paths:
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(await reader.render(connection, account, path))
    return Policy.parse(f"log {head.vkey}\nquorum none\n")


async def test_include_answers_with_a_proof_that_verifies_against_the_pinned_key(logs):
    client, *_ = logs
    account = AccountId.new()
    opened = await client.open_log(account)
    assert await client.open_log(account) == opened
    for number in range(5):
        got = await client.include(account, leaf_class=LeafClass.RECORD_OPENED, payload={"nonce": str(number)})
        head = parse_checkpoint(got.checkpoint, opened.vkey)
        assert (head.origin, head.size, got.index) == (opened.origin, got.size, number)
        leaf = leaf_hash(leaf_bytes(got.leaf_class, got.salt, got.payload))
        verify_inclusion(leaf, got.index, got.size, got.path, head.root)


async def test_concurrent_includes_share_commits_and_each_gets_its_own_index(logs):
    client, *_ = logs
    accounts = [AccountId.new() for _ in range(5)]
    jobs = [
        client.include(a, leaf_class=LeafClass.RECORD_OPENED, payload={"n": n}) for n in range(60) for a in accounts
    ]
    answers = await asyncio.gather(*jobs)
    for offset in range(5):
        assert sorted(answer.index for answer in answers[offset::5]) == list(range(60))
    assert len({answer.checkpoint for answer in answers}) < 150


async def test_a_log_of_many_sizes_verifies_whole_and_each_state_continues_the_one_before(logs, tmp_path):
    client, sequencer, service, _ = logs
    account = AccountId.new()
    vkey = (await client.open_log(account)).vkey
    heads = []
    for size in (1, 255, 256, 257, 600):
        held = heads[-1].size if heads else 0
        async with service.account(account) as connection:
            for number in range(held, size):
                await post_event(connection, account, LeafClass.BACKUP_MADE, {"n": number})
        sequencer.nudge()

        async def caught_up(size=size):
            async with service.account(account) as connection:
                return (await reader.signed_head(connection, account)).size == size

        await until(caught_up)
        async with service.account(account) as connection:
            heads.append(parse_checkpoint((await reader.signed_head(connection, account)).checkpoint, vkey))
    policy = await export(service, account, tmp_path / "log")
    assert verify_log(tmp_path / "log", policy).size == 600
    async with service.account(account) as connection:
        for older in heads:
            path = await reader.consistency_proof(connection, account, older.size, 600)
            verify_consistency(older.size, 600, path, older.root, heads[-1].root)
        for index in (0, 255, 256, 511, 512, 599):
            proof = await reader.inclusion_proof(connection, account, index)
            verify_inclusion(leaf_hash(proof.leaf), index, 600, proof.path, heads[-1].root)
        with pytest.raises(reader.SizeOutOfRange):
            await reader.inclusion_proof(connection, account, 600)
        for path in ("tile/0/002", "tile/0/002.p/89", "tile/3/000.p/1", "tile/0/2", "entries", "../checkpoint"):
            with pytest.raises(reader.PathUnknown):
                await reader.render(connection, account, path)


async def test_kept_records_become_one_batch_leaf_with_a_proof_for_each(logs):
    _, sequencer, service, _ = logs
    account = AccountId.new()
    records = {RecordId.new(): os.urandom(32) for _ in range(37)}
    async with service.account(account) as connection:
        for record, commitment in records.items():
            await post_kept(connection, account, record, category=1, commitment=commitment)
    sequencer.nudge()

    async def drained():
        async with service.account(account) as connection:
            return len(await reader.kept_proofs(connection, account, records)) == 37

    await until(drained)
    async with service.account(account) as connection:
        assert (await reader.signed_head(connection, account)).size == 1
        proofs = await reader.kept_proofs(connection, account, records)
    root = root_of([proof.commitment for proof in sorted(proofs, key=lambda proof: proof.batch_index)])
    for proof in proofs:
        assert records[proof.record] == proof.commitment
        verify_inclusion(leaf_hash(proof.commitment), proof.batch_index, 37, proof.batch_path, root)
        assert b'"count":37' in proof.payload


async def test_what_the_log_says_of_a_record_is_found_sealed_and_opens(logs):
    client, _, service, sealer = logs
    account, record = AccountId.new(), RecordId.new()
    got = await client.include(account, leaf_class=LeafClass.RECORD_OPENED, payload={"purpose": "x"}, mentions=[record])
    async with service.account(account) as connection:
        (row,) = await reader.payload_rows(connection, account, record)
    assert (row.index, row.leaf_class) == (got.index, LeafClass.RECORD_OPENED)
    assert sealer.open(row) == got.salt + got.payload
    assert b"purpose" not in row.sealed


async def test_an_account_whose_payloads_cannot_be_sealed_does_not_hold_up_others(logs):
    client, sequencer, service, sealer = logs
    blocked, closed, well = AccountId.new(), AccountId.new(), AccountId.new()
    sealer.refuses = {blocked: EvidenceUnavailable(), closed: AccountClosed()}
    for account in (blocked, closed, well):
        await client.open_log(account)
        async with service.account(account) as connection:
            await post_event(connection, account, LeafClass.ACCOUNT_CREATED, {})
    sequencer.nudge()

    async def written(account):
        async with service.account(account) as connection:
            return (await reader.signed_head(connection, account)).size == 1

    for account in (well, closed):
        await until(lambda account=account: written(account))
    assert not await written(blocked)
    sealer.refuses = {}
    await until(lambda: written(blocked))


@pytest.mark.parametrize("error", [ClockSuspect(), BlocksExhausted(), PeriodMissing(), KeyError("odd")])
async def test_only_keys_that_are_gone_for_good_cost_a_payload(logs, error):
    client, sequencer, service, sealer = logs
    account, record = AccountId.new(), RecordId.new()
    await client.open_log(account)
    sealer.refuses = {account: error}
    async with service.account(account) as connection:
        await post_event(connection, account, LeafClass.ERASURE_REQUESTED, {"n": 1}, mentions=[record])
    sequencer.nudge()

    async def tried():
        return account in sequencer._deferred

    async def written():
        async with service.account(account) as connection:
            return (await reader.signed_head(connection, account)).size == 1

    await until(tried)
    assert not await written()
    sealer.refuses = {}
    await until(written)
    async with service.account(account) as connection:
        (row,) = await reader.payload_rows(connection, account, record)
    assert b'"n":1' in sealer.open(row)


@pytest.mark.parametrize("error", [AccountClosed(), DayErased(), PastDue(), Punctured()])
async def test_what_no_key_will_ever_seal_is_in_the_log_without_its_payload(logs, error):
    client, sequencer, service, sealer = logs
    account, record = AccountId.new(), RecordId.new()
    await client.open_log(account)
    sealer.refuses = {account: error}
    async with service.account(account) as connection:
        await post_event(connection, account, LeafClass.ERASURE_REQUESTED, {}, mentions=[record])
    sequencer.nudge()

    async def written():
        async with service.account(account) as connection:
            return (await reader.signed_head(connection, account)).size == 1

    await until(written)
    async with service.account(account) as connection:
        assert await reader.payload_rows(connection, account, record) == []


POISON = {
    "a class of no meaning": (200, b'{"type":"record.opened"}', []),
    "a payload of another class": (6, b'{"type":"credential.issued"}', []),
    "no JSON": (6, b"\xff{", []),
    "no object": (6, b"[1]", []),
    "no type": (6, b"{}", []),
    "a statement about nothing": (9, b'{"type":"erasure.unreadable"}', []),
    "a mention of nothing": (6, b'{"type":"record.opened"}', [None]),
}


async def test_a_poisoned_row_is_put_aside_and_stops_nobody(logs, module_database):
    _, sequencer, service, _ = logs
    poisoned, well = AccountId.new(), AccountId.new()
    owner = await asyncpg.connect(module_database.dsn("sealwire_owner"))
    rule = await owner.fetchval("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'posted_class'")
    await owner.execute("ALTER TABLE evidence.event_outbox DROP CONSTRAINT posted_class")  # as if it were an older one
    statement = "INSERT INTO evidence.event_outbox (account_id, event_id, leaf_class, payload, mentions) VALUES "
    for leaf_class, payload, mentions in POISON.values():
        await owner.execute(
            statement + "($1, gen_random_uuid(), $2, $3, $4)", poisoned.value, leaf_class, payload, mentions
        )
    for account in (poisoned, well):
        async with service.account(account) as connection:
            await post_event(connection, account, LeafClass.ACCOUNT_CREATED, {})
    sequencer.nudge()

    async def written(account):
        async with service.account(account) as connection:
            size = await connection.fetchval("SELECT signed_size FROM evidence.head")
        return size == 1

    for account in (well, poisoned):
        await until(lambda account=account: written(account))
    assert await owner.fetchval("SELECT count(*) FROM evidence.event_outbox") == 0
    kept = await owner.fetch("SELECT account_id, leaf_class, payload FROM evidence.quarantine ORDER BY posted")
    assert [tuple(row) for row in kept] == [(poisoned.value, *rest[:2]) for rest in POISON.values()]
    await owner.execute("TRUNCATE evidence.quarantine")
    await owner.execute(statement + "($1, gen_random_uuid(), 200, '', '{}')", poisoned.value)

    async def aside():  # also when there is nothing else to write
        return await owner.fetchval("SELECT count(*) FROM evidence.quarantine") == 1

    await until(aside)
    await owner.execute(f"ALTER TABLE evidence.event_outbox ADD CONSTRAINT posted_class {rule}")
    await owner.close()
    async with service.account(poisoned) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM evidence.quarantine")


@pytest.mark.parametrize("leaf_class", [0, 5, 9, 10, 42, 43, 256])
async def test_the_outbox_takes_no_class_that_is_not_posted(logs, leaf_class):
    _, _, service, _ = logs
    account = AccountId.new()
    with pytest.raises(asyncpg.CheckViolationError):
        async with service.account(account) as connection:
            await connection.execute(
                "INSERT INTO evidence.event_outbox (account_id, event_id, leaf_class, payload, mentions)"
                " VALUES ($1, gen_random_uuid(), $2, '{}', '{}')",
                account.value,
                leaf_class,
            )


async def include_raw(client, account, leaf_class, payload, mentions=()):
    return await client._call(
        "include",
        account=str(account),
        leaf_class=leaf_class,
        payload=payload,
        salt=b"s" * 32,
        mentions=[str(record) for record in mentions],
    )


async def test_a_leaf_is_of_the_class_its_payload_names(logs):
    client, *_ = logs
    account = AccountId.new()
    for payload in (b'{"type":"credential.issued"}', b"{}", b"[]", b'"record.opened"', b"{", b"\xff"):
        with pytest.raises(PayloadMalformed):
            await include_raw(client, account, 6, payload)
    with pytest.raises(PayloadMalformed):
        await client.include(account, leaf_class=LeafClass.RECORD_OPENED, payload={"type": "subject.searched"})
    await include_raw(client, account, 6, b'{"type":"record.opened"}')


async def test_a_record_that_a_payload_names_finds_it_whatever_was_asked(logs):
    client, _, service, _ = logs
    account, named, other = AccountId.new(), RecordId.new(), RecordId.new()
    await client.open_log(account)
    payload = b'{"records":["%s"],"type":"record.opened"}' % str(named).encode()
    await include_raw(client, account, 6, payload, mentions=[other])
    async with service.account(account) as connection:
        assert len(await reader.payload_rows(connection, account, named)) == 1
        assert await reader.payload_rows(connection, account, other) == []
    for odd in (b"3", b'["rec_1"]', b"[3]", b'"all"'):
        with pytest.raises(Malformed):
            await include_raw(client, account, 6, b'{"records":%s,"type":"record.opened"}' % odd)


async def test_nobody_is_answered_with_a_checkpoint_that_a_crash_of_the_database_could_take_back(logs, module_database):
    client, *_ = logs
    account = AccountId.new()
    owner = await asyncpg.connect(module_database.dsn("sealwire_owner"))
    flushed = 0
    for _ in range(10):
        await client.include(account, leaf_class=LeafClass.RECORD_OPENED, payload={})
        flushed += await owner.fetchval("SELECT pg_current_wal_insert_lsn() <= pg_current_wal_flush_lsn()")
    assert flushed >= 8  # the server's own housekeeping may write between
    await owner.close()


async def test_bad_payloads_are_refused_before_anything_is_written(logs):
    client, *_ = logs
    account = AccountId.new()
    with pytest.raises(PayloadMalformed):
        await client.include(account, leaf_class=LeafClass.RECORD_OPENED, payload={"x": object()})
    with pytest.raises(PayloadMalformed):
        await client.include(account, leaf_class=LeafClass.RECORD_OPENED, payload={"x": "y" * 300_000})
    with pytest.raises(PayloadMalformed):
        await client.include(account, leaf_class=LeafClass.RECORD_KEPT, payload={})


async def test_without_a_sequencer_nothing_is_included_and_the_sentence_says_so(tmp_path):
    client = SequencerClient(tmp_path / "nobody.sock")
    with pytest.raises(EvidenceUnavailable, match="nothing was opened"):
        await client.include(AccountId.new(), leaf_class=LeafClass.RECORD_OPENED, payload={})
    await client.nudge()


async def test_an_account_sees_no_other_log_and_the_service_cannot_write_one(logs):
    client, _, service, _ = logs
    mine, other = AccountId.new(), AccountId.new()
    await client.include(other, leaf_class=LeafClass.RECORD_OPENED, payload={})
    async with service.account(mine) as connection:
        for table in ("head", "leaf_entry", "tile", "payload", "mention", "kept_batch", "statement"):
            assert await connection.fetchval(f"SELECT count(*) FROM evidence.{table}") == 0
        with pytest.raises(reader.LogUnknown):
            await reader.render(connection, other, "checkpoint")
    for statement in (
        "UPDATE evidence.head SET size = 0",
        "DELETE FROM evidence.leaf_entry",
        "SELECT * FROM evidence.event_outbox",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with service.account(mine) as connection:
                await connection.execute(statement)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with service.account(mine) as connection:
            await post_event(connection, other, LeafClass.ACCOUNT_CREATED, {})
