"""Services as they are stored: made, changed, found, removed; and which one answers a dialled number.

Every change leaves a `configuration.changed` leaf with ids only: what a service does is the account's own business,
that it was changed is not.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
import secrets
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import asyncpg
import msgspec
from msgspec import UNSET, Meta, UnsetType

from sealwire.errors import Malformed, Missing, Refused
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.governance.services import BuiltIn, Direction, Logic, Pages, RecordingPolicy, Service
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Connection, Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.ground.secretbox import SecretBox
from sealwire.vocabulary import AccountId, CredentialId, OpaqueId, Party, ServiceId

_queries = load_queries(__package__)
BUILT_INS = ("greeting", "voicemail", "echo", "not-in-service")
SECONDS_MAX = 14_400
ROTATION_OVERLAP = dt.timedelta(hours=24)
_NUMBER = re.compile(r"(\+|%2[bB])[0-9]{7,15}")
_LOGIC = msgspec.json.Decoder(Logic)
_RECORDING = msgspec.json.Decoder(RecordingPolicy)


class ServiceMissing(Missing):
    """Nothing is known under this id."""


class ServiceInUse(Refused):
    """Numbers point to this service, so it cannot be removed; point them to another service first."""


class AddressHasNumber(Malformed):
    """A page's address has a telephone number in it; addresses are configuration and stand in logs: take an id."""


class RetentionClassUnnamed(Malformed):
    """This account has no such retention class; name it first (PUT /v1/retention/classes). Nothing was changed."""


class NotSigned(Refused):
    """This service asks no pages, so it has no signing secret to change."""


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an account says about one of its services."""

    name: Annotated[str, Meta(min_length=1, max_length=100, description="In your words.", examples=["reception"])]
    direction: Annotated[Direction, Meta(description="Which calls it takes.", examples=["inbound"])] = Direction.BOTH
    logic: Annotated[
        Logic,
        Meta(description="REST pages, a program of yours, or a built-in.",
             examples=[{"kind": "pages", "first_page": "https://example.org/first"}]),
    ]  # fmt: skip
    recording: Annotated[RecordingPolicy, Meta(examples=[{"whole_call": True, "consent": "prompt"}])] = (
        RecordingPolicy()
    )
    seconds_max: Annotated[int, Meta(ge=1, le=SECONDS_MAX, description="The longest call.", examples=[3600])] = (
        SECONDS_MAX
    )
    early_media: Annotated[
        bool, Meta(description="Inbound: the application decides when to answer.", examples=[False])
    ] = False
    retention_class: Annotated[
        int, Meta(ge=0, le=15, description="In which class its calls, recordings and messages are kept.", examples=[0])
    ] = 0


_SETTINGS = msgspec.json.Decoder(ServiceSettings)


class ServiceChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; a field that is left out stays as it is."""

    name: Annotated[str, Meta(min_length=1, max_length=100, examples=["reception"])] | UnsetType = UNSET
    direction: Annotated[Direction, Meta(examples=["inbound"])] | UnsetType = UNSET
    logic: Logic | UnsetType = UNSET
    recording: RecordingPolicy | UnsetType = UNSET
    seconds_max: Annotated[int, Meta(ge=1, le=SECONDS_MAX, examples=[3600])] | UnsetType = UNSET
    early_media: Annotated[bool, Meta(examples=[False])] | UnsetType = UNSET
    retention_class: Annotated[int, Meta(ge=0, le=15, examples=[0])] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """A service with what the book knows about it."""

    service: Service
    created_at: dt.datetime
    changed_at: dt.datetime
    is_signed: bool
    """Its page requests are signed."""
    old_secret_until: dt.datetime | None
    """Until then they are signed with the secret before the present one as well."""


@dataclass(frozen=True, slots=True)
class CallRoute:
    """Where a dialled number leads. `service` None: the number is the account's, but nothing answers it."""

    account: AccountId
    service: ServiceId | None
    agreed: bool


async def route_of_call(database: Database, callee: Party) -> CallRoute | None:
    """Which account and service answer this number, before any account is known; None: nobody's number."""
    row = await database.call(_queries.route_call, callee.text)
    if row is None:
        return None
    account, service, agreed = row
    return CallRoute(AccountId(account), ServiceId(service) if service else None, agreed)


async def service_of_call(database: Database, account: AccountId, service: ServiceId) -> Service:
    """As `find_service`, in a transaction of its own and one round trip."""
    found = await database.call(_queries.service_of, account.value, service.value)
    if found is None:
        raise ServiceMissing
    settings = _SETTINGS.decode(found)
    fields = {name: getattr(settings, name) for name in ServiceSettings.__struct_fields__}
    return Service(account=account, service=service, **fields)


async def find_service(connection: Connection, account: AccountId, service: ServiceId) -> Service:
    """The service as it is now; ServiceMissing."""
    return (await find_entry(connection, account, service)).service


async def find_entry(connection: Connection, account: AccountId, service: ServiceId) -> ServiceEntry:
    """The service with its dates; ServiceMissing."""
    row = await connection.fetchrow(_queries.find_service, account.value, service.value)
    if row is None:
        raise ServiceMissing
    return _entry(account, row)


async def list_services(
    connection: Connection, account: AccountId, *, before: tuple[dt.datetime, UUID] | None = None, limit: int = 201
) -> list[ServiceEntry]:
    """The account's services, newest first."""
    moment, last = before or (None, None)
    rows = await connection.fetch(_queries.list_services, account.value, moment, last, limit)
    return [_entry(account, row) for row in rows]


async def create_service(
    connection: Connection,
    account: AccountId,
    settings: ServiceSettings,
    *,
    by: CredentialId | None,
    box: SecretBox | None,
    clock: Clock,
) -> tuple[ServiceEntry, str | None]:
    """Write a new service, with its leaf. Pages get a signing secret (`whsec_...`), which is told here only."""
    _check(settings.logic)
    await require_class(connection, account, settings.retention_class)
    service, now = ServiceId.new(), clock.now()
    secret, sealed = _new_secret(account, service, box) if isinstance(settings.logic, Pages) else (None, None)
    await connection.execute(
        _queries.insert_service, account.value, service.value, settings.name, settings.direction.value,
        _json(settings.logic), _json(settings.recording), settings.seconds_max, settings.early_media, sealed, now,
        settings.retention_class,
    )  # fmt: skip
    await note_change(connection, account, "service.made", service, by=by, clock=clock)
    return await find_entry(connection, account, service), secret


async def change_service(
    connection: Connection,
    account: AccountId,
    service: ServiceId,
    change: ServiceChange,
    *,
    by: CredentialId,
    box: SecretBox,
    clock: Clock,
) -> tuple[ServiceEntry, str | None]:
    """Change what is stated; calls that are up go on as they began. A secret is told when it was made by this."""
    entry = await find_entry(connection, account, service)
    was = {name: getattr(entry.service, name) for name in ServiceSettings.__struct_fields__}
    stated = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
    wanted = ServiceSettings(**(was | stated))
    _check(wanted.logic)
    await require_class(connection, account, wanted.retention_class)
    needs_secret = isinstance(wanted.logic, Pages) and not entry.is_signed
    secret, sealed = _new_secret(account, service, box) if needs_secret else (None, None)
    await connection.execute(
        _queries.change_service, account.value, service.value, wanted.name, wanted.direction.value,
        _json(wanted.logic), _json(wanted.recording), wanted.seconds_max, wanted.early_media, sealed, clock.now(),
        wanted.retention_class,
    )  # fmt: skip
    await note_change(connection, account, "service.changed", service, by=by, clock=clock)
    return await find_entry(connection, account, service), secret


async def remove_service(
    connection: Connection, account: AccountId, service: ServiceId, *, by: CredentialId, clock: Clock
) -> None:
    """ServiceInUse while a number points to it, ServiceMissing."""
    try:
        removed = await connection.fetchrow(_queries.remove_service, account.value, service.value)
    except asyncpg.ForeignKeyViolationError:
        raise ServiceInUse from None
    if removed is None:
        raise ServiceMissing
    await note_change(connection, account, "service.removed", service, by=by, clock=clock)


async def built_in_service(connection: Connection, account: AccountId, name: str, *, clock: Clock) -> ServiceId:
    """The account's service that is this built-in; made when there is none."""
    if name not in BUILT_INS:
        raise Malformed(f"no such service; one of: {', '.join(BUILT_INS)}")
    found = await connection.fetchval(_queries.find_built_in, account.value, name)
    if found is not None:
        return ServiceId(found)
    wanted = ServiceSettings(name=name, direction=Direction.INBOUND, logic=BuiltIn(name=name))
    entry, _ = await create_service(connection, account, wanted, by=None, box=None, clock=clock)
    return entry.service.service


async def page_secrets(
    connection: Connection, account: AccountId, service: ServiceId, *, box: SecretBox, now: dt.datetime
) -> list[str]:
    """The secrets page requests are signed with, the present one first; two for a day after a rotation."""
    row = await connection.fetchrow(_queries.page_secrets, account.value, service.value)
    if row is None:
        raise ServiceMissing
    sealed = [row["page_secret"]] if row["page_secret"] else []
    if row["page_secret_before"] and row["page_secret_before_until"] > now:
        sealed.append(row["page_secret_before"])
    return [box.unseal(each, owner=_owner(account, service)) for each in sealed]


async def rotate_page_secret(
    connection: Connection, account: AccountId, service: ServiceId, *, by: CredentialId, box: SecretBox, clock: Clock
) -> str:
    """A new signing secret, told here only; requests carry signatures by both for a day."""
    secret, sealed = _new_secret(account, service, box)
    now = clock.now()
    until = now + ROTATION_OVERLAP
    done = await connection.fetchrow(_queries.rotate_page_secret, account.value, service.value, sealed, until, now)
    if done is None:
        await find_entry(connection, account, service)
        raise NotSigned
    await note_change(connection, account, "service.secret-rotated", service, by=by, clock=clock)
    return secret


async def note_change(
    connection: Connection, account: AccountId, what: str, which: OpaqueId, *, by: CredentialId | None, clock: Clock
) -> None:
    """The leaf of a change of configuration: what kind, which one, who (None: the operator), when."""
    payload = {"what": what, "which": str(which), "by": str(by) if by else "operator", "at": rfc3339(clock.now())}
    await post_event(connection, account, LeafClass.CONFIGURATION_CHANGED, payload, mentions=[])


async def require_class(connection: Connection, account: AccountId, retention_class: int) -> None:
    """RetentionClassUnnamed unless the account has named this class, or it is 0."""
    if retention_class and not await connection.fetchval(_queries.is_class_named, account.value, retention_class):
        raise RetentionClassUnnamed


def _check(logic: Logic) -> None:
    if isinstance(logic, BuiltIn) and logic.name not in BUILT_INS:
        raise Malformed(f"no such built-in; one of: {', '.join(BUILT_INS)}")
    if isinstance(logic, Pages) and any(_NUMBER.search(page or "") for page in msgspec.structs.astuple(logic)):
        raise AddressHasNumber


def _new_secret(account: AccountId, service: ServiceId, box: SecretBox | None) -> tuple[str, bytes]:
    assert box is not None
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    return secret, box.seal(secret, owner=_owner(account, service))


def _owner(account: AccountId, service: ServiceId) -> str:
    return f"{account}|page-secret|{service}"


def _json(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()


def _entry(account: AccountId, row: asyncpg.Record) -> ServiceEntry:
    service = Service(
        account=account, service=ServiceId(row["service_id"]), name=row["name"],
        direction=Direction(row["direction"]), logic=_LOGIC.decode(row["logic"]),
        recording=_RECORDING.decode(row["recording"]), seconds_max=row["seconds_max"], early_media=row["early_media"],
        retention_class=row["retention_class"],
    )  # fmt: skip
    return ServiceEntry(
        service, row["created_at"], row["changed_at"], row["is_signed"], row["page_secret_before_until"]
    )
