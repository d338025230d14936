"""After an upgrade: accounts of an older version get the categories that came with this one, before anything starts.

Each gets them for as many days as the operator's policy says; accounts from before periods were written down have those
of the declarations, which is what their keeper has. What an account has is never changed by this; its log says which
categories are in force. A note in the data folder says which catalogue was admitted last, so that a start with an
unchanged one asks nobody anything.
"""

from __future__ import annotations

import json
from hashlib import sha256

import asyncpg

from sealwire.config import Settings
from sealwire.custody.categories import CATALOGUE, standard_periods
from sealwire.custody.lifecycle import KeeperClient, keeper_client
from sealwire.custody.retention.policy import policy_of
from sealwire.evidence.client import SequencerClient
from sealwire.evidence.leaves import LeafClass
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId

_queries = load_queries(__package__, "first_start.sql")
ROWS_VERSION = 2
"""Raised when accounts get more at an upgrade than new categories: 2 wrote their periods down."""


async def admit_new_categories(settings: Settings, dsn: str, clock: Clock) -> None:
    """Run while keeper and sequencer are up and nobody keeps anything; safe to repeat, and to be cut off."""
    policy = policy_of(settings).periods()
    fingerprint = sha256(json.dumps([ROWS_VERSION, standard_periods()], sort_keys=True).encode()).hexdigest()
    note = settings.data_dir / "admitted-categories"
    if note.exists() and note.read_text().strip() == fingerprint:
        return
    names = sorted(category.name for category in CATALOGUE)
    keeper, sequencer = keeper_client(settings), SequencerClient(settings.sequencer_socket)
    try:
        for account in await _open_accounts(dsn):
            await _admit(dsn, keeper, account, policy)
            payload = {
                "categories": names,
                "at": rfc3339(clock.now()),
            }  # told again after a crash rather than not at all
            await sequencer.include(account, leaf_class=LeafClass.CONFIGURATION_CHANGED, payload=payload, mentions=[])
            diagnostics.event("upgrade.categories-admitted", account=account)
    finally:
        await keeper.close()
        await sequencer.close()
    note.write_text(fingerprint + "\n")


async def _admit(dsn: str, keeper: KeeperClient, account: AccountId, policy: dict[str, int]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        known = {row["category"] for row in await connection.fetch(_queries.categories_of, account.value)}
        periods = policy if known else standard_periods()
        missing = {key: days for key, days in periods.items() if int(key.partition("/")[0]) not in known}
        await keeper.admit_categories(account, missing)
        keys = [tuple(map(int, key.split("/"))) for key in missing]
        await connection.execute(
            _queries.admit_periods, account.value, [code for code, _ in keys], [each for _, each in keys],
            list(missing.values()),
        )  # fmt: skip
    finally:
        await connection.close()


async def _open_accounts(dsn: str) -> list[AccountId]:
    connection = await asyncpg.connect(dsn)
    try:
        return [AccountId(row["account_id"]) for row in await connection.fetch(_queries.open_accounts)]
    finally:
        await connection.close()
