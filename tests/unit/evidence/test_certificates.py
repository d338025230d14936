"""A certificate made from a real log verifies with the separate verifier, at each stage of an erasure."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
from base64 import b64decode

import pytest
from tests.unit.evidence.house import Holder, policy_text, running_sequencer, served

from sealwire.evidence import certificates as module
from sealwire.evidence.certificates import CertificatePending, CertificateRequest, make_certificate
from sealwire.evidence.client import SequencerClient
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_kept
from sealwire.ground.clock import SystemClock, rfc3339
from sealwire.vocabulary import AccountId, ErasureId, RecordId
from sealwire_verifier.certificate import verify
from sealwire_verifier.errors import StepFailed
from sealwire_verifier.policy import Policy
from sealwire_verifier.proof import Proof

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("evidence")


@pytest.fixture
async def logs(database, folder):
    pool, socket = await database("sealwire_sequencer"), folder / "s.sock"
    async with running_sequencer(pool, folder) as sequencer, served(sequencer, socket):
        client = SequencerClient(socket)
        yield client, await database("sealwire_worker")
        await client.close()


async def keep(worker, account, count):
    records = {RecordId.new(): os.urandom(32) for _ in range(count)}
    async with worker.account(account) as connection:
        for record, commitment in records.items():
            await post_kept(connection, account, record, category=1, commitment=commitment)
    return records


async def request_for(client, account, holder, records, **more):
    now, log = CLOCK.now(), (await client.open_log(account)).origin
    erasure = ErasureId.new()
    return CertificateRequest(
        erasure=str(erasure),
        ground="subject-request",
        records=list(records),
        commitments=list(records.values()),
        receipts=[holder.receipt(log, erasure, destroyed_at=now)],
        hidden_at=now - dt.timedelta(seconds=1),
        gone_from_backups_by=now.date() + dt.timedelta(days=35),
        **more,
    )


def changed(request, **fields):
    return CertificateRequest(**{name: getattr(request, name) for name in request.__slots__} | fields)


async def test_a_certificate_made_right_after_keeping_lists_each_record_with_its_proof(logs):
    client, worker = logs
    account, holder = AccountId.new(), Holder()
    vkey = (await client.open_log(account)).vkey
    policy = Policy.parse(policy_text(log_vkey=vkey, holder_vkeys=[holder.vkey]))
    await keep(worker, account, 3)
    request = await request_for(client, account, holder, await keep(worker, account, 2))
    text = await make_certificate(worker, client, account, request, clock=CLOCK)
    verified = verify(text.encode(), policy)
    assert (verified.records, verified.records_listed, verified.removed_at) == (2, 2, None)

    await client.include(account, leaf_class=LeafClass.RECORD_OPENED, payload={})
    again = await make_certificate(worker, client, account, request, clock=CLOCK)
    assert verify(again.encode(), policy).size > verified.size
    later = changed(request, removed_at=CLOCK.now())
    removed = verify((await make_certificate(worker, client, account, later, clock=CLOCK)).encode(), policy)
    assert removed.removed_at is not None
    async with worker.account(account) as connection:
        assert await connection.fetchval("SELECT count(*) FROM evidence.statement") == 2


async def test_a_day_is_certified_first_as_a_day_and_then_with_its_records(logs):
    client, worker = logs
    account, holder = AccountId.new(), Holder()
    vkey = (await client.open_log(account)).vkey
    policy = Policy.parse(policy_text(log_vkey=vkey, holder_vkeys=[holder.vkey]))
    records = await keep(worker, account, 1_200)
    request = await request_for(client, account, holder, {}, days=["1/0/20780"])
    first = verify((await make_certificate(worker, client, account, request, clock=CLOCK)).encode(), policy)
    assert (first.records, first.days, first.removed_at) == (None, ["1/0/20780"], None)
    later = changed(request, records=list(records), commitments=list(records.values()), removed_at=CLOCK.now())
    second = verify((await make_certificate(worker, client, account, later, clock=CLOCK)).encode(), policy)
    assert (second.records, second.records_listed) == (1_200, 0)


async def test_unreadable_is_when_the_tokens_were_gone_too(logs):
    client, worker = logs
    account, holder = AccountId.new(), Holder()
    policy = Policy.parse(policy_text(log_vkey=(await client.open_log(account)).vkey, holder_vkeys=[holder.vkey]))
    records = await keep(worker, account, 1)
    for later_ms in (-5_000, 0, 40):
        request = await request_for(client, account, holder, records)
        destroyed_at = dt.datetime.fromisoformat(request.receipts[0]["destroyed_at"])
        tokens_gone_at = destroyed_at + dt.timedelta(milliseconds=later_ms)
        await asyncio.sleep(0.05)
        request = changed(request, unreadable_at=tokens_gone_at)
        text = await make_certificate(worker, client, account, request, clock=CLOCK)
        assert verify(text.encode(), policy).unreadable_at == rfc3339(max(destroyed_at, tokens_gone_at))


async def test_a_certificate_waits_for_the_proof_that_its_records_were_kept(logs, monkeypatch):
    monkeypatch.setattr(module, "WAIT_S", 0.3)
    client, worker = logs
    account, holder = AccountId.new(), Holder()
    policy = Policy.parse(policy_text(log_vkey=(await client.open_log(account)).vkey, holder_vkeys=[holder.vkey]))
    records = {RecordId.new(): os.urandom(32)}
    request = await request_for(client, account, holder, records)
    with pytest.raises(CertificatePending):
        await make_certificate(worker, client, account, request, clock=CLOCK)
    async with worker.account(account) as connection:
        assert await connection.fetchval("SELECT count(*) FROM evidence.statement") == 0
        for record, commitment in records.items():
            await post_kept(connection, account, record, category=1, commitment=commitment)
    monkeypatch.setattr(module, "WAIT_S", 10.0)
    text = await make_certificate(worker, client, account, request, clock=CLOCK)
    assert verify(text.encode(), policy).records_listed == 1


async def test_receipts_other_than_the_stated_ones_do_not_make_a_certificate_that_verifies(logs):
    client, worker = logs
    account, holder = AccountId.new(), Holder()
    vkey = (await client.open_log(account)).vkey
    policy = Policy.parse(policy_text(log_vkey=vkey, holder_vkeys=[holder.vkey]))
    request = await request_for(client, account, holder, await keep(worker, account, 1))
    await make_certificate(worker, client, account, request, clock=CLOCK)
    forged = changed(request, receipts=[request.receipts[0] | {"epoch_after": 99}])
    with pytest.raises(StepFailed, match="step 4"):
        verify((await make_certificate(worker, client, account, forged, clock=CLOCK)).encode(), policy)


async def test_a_certificate_holds_no_record_id(logs):
    client, worker = logs
    account, holder = AccountId.new(), Holder()
    await client.open_log(account)
    records = await keep(worker, account, 2)
    text = await make_certificate(
        worker, client, account, await request_for(client, account, holder, records), clock=CLOCK
    )
    extra = Proof.parse(text.encode()).extra
    for record in records:
        assert str(record).encode() not in extra
        assert record.value.hex.encode() not in extra


async def test_a_certificate_names_the_log_and_never_the_account(logs):
    client, worker = logs
    account, holder = AccountId.new(), Holder()
    request = await request_for(client, account, holder, await keep(worker, account, 1), removed_at=CLOCK.now())
    request = changed(request, removed_at=CLOCK.now() + dt.timedelta(seconds=1))
    body = json.loads(
        Proof.parse((await make_certificate(worker, client, account, request, clock=CLOCK)).encode()).extra
    )
    leaves = [body["statement"], body["levels"]["removed"]["statement"], *(kept["leaf"] for kept in body["kept"])]
    opened = json.dumps(body).encode() + b"".join(b64decode(leaf["payload"]) for leaf in leaves)
    assert account.value.hex.encode() not in opened
