"""Trunks as they are stored: made, changed, removed by their account, or by the operator for every account."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated
from uuid import UUID

import asyncpg
import msgspec
from msgspec import UNSET, Meta, UnsetType

from sealwire.communications.addresses import AddressRefused, Reach, usual
from sealwire.communications.carriers.dialling import DialRule, Host, Network, Transport, TrunkSettings
from sealwire.errors import Missing, Refused
from sealwire.governance.accounts import numbers_shown
from sealwire.governance.credentials import networks
from sealwire.governance.service_book import note_change
from sealwire.ground.clock import Clock
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.ground.secretbox import SecretBox
from sealwire.vocabulary import E164, AccountId, CredentialId, TrunkId

_queries = load_queries(__package__)
_SETTINGS = msgspec.json.Decoder(TrunkSettings)
TRUNKS_MAX = 100
OPERATORS = AccountId(UUID(int=0))
"""Whose trunks carry for every account. No account has this id."""


class TrunkMissing(Missing):
    """Nothing is known under this id."""


class TooManyTrunks(Refused):
    """An account has at most 100 trunks, as all are looked through for each call; remove one first."""


class CallerNotYours(Refused):
    """This number is not the account's, so it is not shown as caller; the operator can verify one that is yours."""


class TrunkChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; a field that is left out stays as it is. A secret of null takes it away."""

    name: Annotated[str, Meta(min_length=1, max_length=100, examples=["carrier"])] | UnsetType = UNSET
    host: Host | UnsetType = UNSET
    port: Annotated[int, Meta(ge=1, le=65535, examples=[5061])] | UnsetType = UNSET
    transport: Transport | UnsetType = UNSET
    username: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~+@-]{0,64}\Z")] | UnsetType = UNSET
    secret: Annotated[str, Meta(max_length=200)] | UnsetType | None = UNSET
    sources: Annotated[list[Network], Meta(max_length=50)] | UnsetType = UNSET
    default_caller: Annotated[str, Meta(max_length=40)] | UnsetType | None = UNSET
    caller_plus: bool | UnsetType = UNSET
    rules: Annotated[list[DialRule], Meta(max_length=100)] | UnsetType = UNSET
    priority: Annotated[int, Meta(ge=0, le=1000, examples=[10])] | UnsetType = UNSET
    outbound: bool | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Trunk:
    """One trunk as it is now. Its password is still sealed."""

    account: AccountId
    trunk: TrunkId
    settings: TrunkSettings = field(repr=False)
    secret: bytes | None = field(repr=False)
    created_at: dt.datetime
    changed_at: dt.datetime

    @property
    def is_operators(self) -> bool:
        return self.account == OPERATORS

    def password(self, box: SecretBox) -> str:
        """In the clear, for the engine only."""
        return box.unseal(self.secret, owner=_owner(self.account, self.trunk)) if self.secret else ""


async def create_trunk(
    connection: Connection,
    account: AccountId,
    settings: TrunkSettings,
    *,
    secret: str | None,
    by: CredentialId,
    box: SecretBox,
    reach: Reach,
    clock: Clock,
) -> Trunk:
    """Write a new trunk, with its leaf."""
    settings = await _checked(connection, account, settings, reach=reach)
    if await connection.fetchval(_queries.count_trunks, account.value) >= TRUNKS_MAX:
        raise TooManyTrunks
    trunk, now = TrunkId.new(), clock.now()
    sealed = box.seal(secret, owner=_owner(account, trunk)) if secret else None
    text = msgspec.json.encode(settings).decode()
    await connection.execute(_queries.insert_trunk, account.value, trunk.value, text, sealed, settings.sources, now)
    await _note(connection, account, "trunk.made", trunk, by=by, clock=clock)
    return Trunk(account, trunk, settings, sealed, now, now)


async def change_trunk(
    connection: Connection,
    account: AccountId,
    trunk: TrunkId,
    change: TrunkChange,
    *,
    by: CredentialId,
    box: SecretBox,
    reach: Reach,
    clock: Clock,
) -> Trunk:
    """From the next call on; calls that are up keep their way. TrunkMissing."""
    found = await find_trunk(connection, account, trunk)
    stated = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
    secret = found.secret
    if "secret" in stated:
        given = stated.pop("secret")
        secret = box.seal(given, owner=_owner(account, trunk)) if given else None
    wanted = await _checked(connection, account, msgspec.structs.replace(found.settings, **stated), reach=reach)
    now, text = clock.now(), msgspec.json.encode(wanted).decode()
    await connection.execute(_queries.change_trunk, account.value, trunk.value, text, secret, wanted.sources, now)
    await _note(connection, account, "trunk.changed", trunk, by=by, clock=clock)
    return Trunk(account, trunk, wanted, secret, found.created_at, now)


async def remove_trunk(
    connection: Connection, account: AccountId, trunk: TrunkId, *, by: CredentialId, clock: Clock
) -> None:
    """No call goes out by it any more. TrunkMissing."""
    if await connection.fetchrow(_queries.remove_trunk, account.value, trunk.value) is None:
        raise TrunkMissing
    await _note(connection, account, "trunk.removed", trunk, by=by, clock=clock)


async def find_trunk(connection: Connection, account: AccountId, trunk: TrunkId) -> Trunk:
    """One trunk of this account; TrunkMissing."""
    row = await connection.fetchrow(_queries.find_trunk, account.value, trunk.value)
    if row is None:
        raise TrunkMissing
    return _trunk(row)


async def list_trunks(
    connection: Connection, account: AccountId, *, before: tuple[dt.datetime, UUID] | None, limit: int
) -> list[Trunk]:
    """The account's own trunks, newest first."""
    moment, last = before or (None, None)
    rows = await connection.fetch(_queries.list_trunks, account.value, moment, last, limit)
    return [_trunk(row) for row in rows]


async def trunks_for(connection: Connection, account: AccountId) -> list[Trunk]:
    """All trunks that may carry this account's calls: its own and the operator's."""
    rows = await connection.fetch(_queries.trunks_for, [account.value, OPERATORS.value])
    return [_trunk(row) for row in rows]


async def _checked(
    connection: Connection, account: AccountId, settings: TrunkSettings, *, reach: Reach
) -> TrunkSettings:
    """Networks and numbers in their one form; a customer's trunk must lead out, and its caller be theirs."""
    sources = networks(settings.sources) if settings.sources else []
    caller = E164.parse(settings.default_caller).text if settings.default_caller else None
    if account != OPERATORS:
        if caller is not None and caller not in await numbers_shown(connection, account):
            raise CallerNotYours
        require_reachable(settings.host, settings.port, reach)
    return msgspec.structs.replace(settings, sources=sources, default_caller=caller)


def require_reachable(host: str, port: int, reach: Reach) -> None:
    """AddressRefused for an address a customer's trunk may not have; a name is judged when it is resolved."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        if not usual(port) and not reach.allowed:
            raise AddressRefused from None
        return
    if not (reach.is_allowed(address) or (reach.may_connect(address) and usual(port))):
        raise AddressRefused("a trunk of an account leads to a public address and port 1024 or above, or where the "
                             "operator allows it")  # fmt: skip


async def _note(
    connection: Connection, account: AccountId, what: str, trunk: TrunkId, *, by: CredentialId, clock: Clock
) -> None:
    """The operator's own trunks belong to no account's log."""
    if account != OPERATORS:
        await note_change(connection, account, what, trunk, by=by, clock=clock)


def _owner(account: AccountId, trunk: TrunkId) -> str:
    return f"{account}|trunk|{trunk}"


def _trunk(row: asyncpg.Record) -> Trunk:
    return Trunk(
        AccountId(row["account_id"]), TrunkId(row["trunk_id"]), _SETTINGS.decode(row["settings"]), row["secret"],
        row["created_at"], row["changed_at"],
    )  # fmt: skip
