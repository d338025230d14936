"""Services in the database: made, changed, pointed to, removed; and what a dialled number leads to at that moment."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

import asyncpg
import pytest
from tests.conftest import ModuleDatabase, OpenDatabase

from sealwire.errors import Malformed
from sealwire.governance import accounts, service_book
from sealwire.governance.accounts import NumberMissing, NumberTaken
from sealwire.governance.service_book import NotSigned, ServiceChange, ServiceInUse, ServiceMissing, ServiceSettings
from sealwire.governance.services import BuiltIn, Direction, Pages, Program, RecordingPolicy
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.database import Database
from sealwire.ground.secretbox import SecretBox, SecretUnreadable
from sealwire.vocabulary import E164, AccountId, CredentialId, NumberId, Party, ServiceId

CLOCK = SystemClock()
BOX = SecretBox(b"k" * 32)
BY = CredentialId.new()
PAGES = ServiceSettings(name="pages", logic=Pages(first_page="https://example.org/first"))
NUMBERS = (E164(f"+44163296{at:04}") for at in range(10_000))


@dataclass(frozen=True)
class House:
    database: Database
    account: AccountId
    other: AccountId


@pytest.fixture
async def house(database: OpenDatabase, module_database: ModuleDatabase) -> House:
    """Two accounts; ours has an agreement."""
    service = await database()
    made = House(service, AccountId.new(), AccountId.new())
    for account in (made.account, made.other):
        async with service.account(account) as connection:
            await accounts.create(connection, account, name="x", log_origin="x", log_vkey="x", clock=CLOCK)
    async with service.account(made.account) as connection:
        await connection.execute(
            """INSERT INTO governance.agreement
               (account_id, agreement_id, document, document_sha256, annex, accepted_by, accepted_at)
               VALUES ($1, $1, 'x', 'x', '{}', $1, $2)""",
            made.account.value, CLOCK.now(),
        )  # fmt: skip
    return made


async def make(house: House, settings: ServiceSettings = PAGES, account: AccountId | None = None) -> ServiceId:
    async with house.database.account(account or house.account) as connection:
        entry, _ = await service_book.create_service(
            connection, account or house.account, settings, by=BY, box=BOX, clock=CLOCK
        )
    return entry.service.service


async def assign(house: House, service: ServiceId | str | None, *, caller_only: bool = False) -> tuple[E164, NumberId]:
    number = next(NUMBERS)
    async with house.database.account(house.account) as connection:
        assigned = await accounts.assign_number(
            connection, house.account, number, service=service, caller_only=caller_only, clock=CLOCK
        )
    return number, assigned


async def test_a_service_comes_back_as_it_was_made(house: House) -> None:
    wanted = ServiceSettings(
        name="all", direction=Direction.INBOUND, logic=Program(application="ivr"),
        recording=RecordingPolicy(whole_call=True, channels=2, sealed_to_customer=True), seconds_max=60,
        early_media=True,
    )  # fmt: skip
    service = await make(house, wanted)
    async with house.database.account(house.account) as connection:
        found = await service_book.find_service(connection, house.account, service)
    assert {name: getattr(found, name) for name in wanted.__struct_fields__} == {
        name: getattr(wanted, name) for name in wanted.__struct_fields__
    }
    assert (found.account, found.service) == (house.account, service)


async def test_a_foreign_service_is_as_unknown_as_a_random_one(house: House) -> None:
    foreign = await make(house, account=house.other)
    async with house.database.account(house.account) as connection:
        for service in (foreign, ServiceId.new()):
            with pytest.raises(ServiceMissing):
                await service_book.find_service(connection, house.account, service)
            with pytest.raises(ServiceMissing):
                await service_book.remove_service(connection, house.account, service, by=BY, clock=CLOCK)
            with pytest.raises(ServiceMissing):
                await service_book.page_secrets(connection, house.account, service, box=BOX, now=CLOCK.now())


async def test_a_dialled_number_leads_to_its_service_with_the_very_next_look(house: House) -> None:
    one, two = await make(house), await make(house)
    number, assigned = await assign(house, one)
    routes = [await service_book.route_of_call(house.database, Party(number.text))]
    async with house.database.account(house.account) as connection:
        await accounts.point_number(connection, house.account, assigned, service=two, by=BY, clock=CLOCK)
    routes.append(await service_book.route_of_call(house.database, Party(number.text)))
    async with house.database.account(house.account) as connection:
        await accounts.point_number(connection, house.account, assigned, service=None, by=BY, clock=CLOCK)
    routes.append(await service_book.route_of_call(house.database, Party(number.text)))
    assert [(route.account, route.service, route.agreed) for route in routes if route] == [
        (house.account, one, True), (house.account, two, True), (house.account, None, True)
    ]  # fmt: skip
    async with house.database.account(house.account) as connection:
        await accounts.remove_number(connection, house.account, assigned, clock=CLOCK)
    assert await service_book.route_of_call(house.database, Party(number.text)) is None


async def test_nobodys_number_leads_nowhere(house: House) -> None:
    assert await service_book.route_of_call(house.database, Party("+441632961111")) is None
    assert await service_book.route_of_call(house.database, Party("anonymous")) is None


async def test_without_an_agreement_the_route_says_so(house: House) -> None:
    number = next(NUMBERS)
    async with house.database.account(house.other) as connection:
        await accounts.assign_number(connection, house.other, number, service="greeting", clock=CLOCK)
    route = await service_book.route_of_call(house.database, Party(number.text))
    assert route is not None
    assert (route.account, route.agreed) == (house.other, False)


async def test_a_built_ins_name_finds_one_service_however_often_it_is_used(house: House) -> None:
    first, _ = await assign(house, "greeting")
    second, _ = await assign(house, "greeting")
    routes = [await service_book.route_of_call(house.database, Party(number.text)) for number in (first, second)]
    assert routes[0] is not None
    assert routes[1] is not None
    assert routes[0].service == routes[1].service
    async with house.database.account(house.account) as connection:
        assert routes[0].service is not None
        found = await service_book.find_service(connection, house.account, routes[0].service)
    assert found.logic == BuiltIn(name="greeting")


async def test_a_name_that_is_no_built_in_is_refused(house: House) -> None:
    with pytest.raises(Malformed, match="greeting, voicemail, echo, not-in-service"):
        await assign(house, "nonsense")
    with pytest.raises(Malformed, match="no such built-in"):
        await make(house, ServiceSettings(name="x", logic=BuiltIn(name="nonsense")))


async def test_a_number_is_answered_for_one_account_but_shown_by_as_many_as_the_operator_verified(house: House) -> None:
    number, _ = await assign(house, None)
    with pytest.raises(NumberTaken):
        async with house.database.account(house.other) as connection:
            await accounts.assign_number(connection, house.other, number, service=None, clock=CLOCK)
    async with house.database.account(house.other) as connection:
        await accounts.assign_number(connection, house.other, number, service=None, caller_only=True, clock=CLOCK)
        assert await accounts.numbers_shown(connection, house.other) == [number.text]
    route = await service_book.route_of_call(house.database, Party(number.text))
    assert route is not None
    assert route.account == house.account


async def test_a_number_shown_as_caller_only_is_never_routed_nor_pointed(house: House) -> None:
    service = await make(house)
    number, assigned = await assign(house, None, caller_only=True)
    assert await service_book.route_of_call(house.database, Party(number.text)) is None
    with pytest.raises(Malformed, match="answered by no service"):
        await assign(house, service, caller_only=True)
    async with house.database.account(house.account) as connection:
        with pytest.raises(Malformed, match="shown as caller only"):
            await accounts.point_number(connection, house.account, assigned, service=service, by=BY, clock=CLOCK)


async def test_a_number_is_not_pointed_to_a_service_for_outbound_calls_or_of_others(house: House) -> None:
    outbound = await make(house, ServiceSettings(name="x", direction=Direction.OUTBOUND, logic=BuiltIn(name="echo")))
    foreign = await make(house, account=house.other)
    _, assigned = await assign(house, None)
    async with house.database.account(house.account) as connection:
        with pytest.raises(Malformed, match="outbound calls only"):
            await accounts.point_number(connection, house.account, assigned, service=outbound, by=BY, clock=CLOCK)
        with pytest.raises(ServiceMissing):
            await accounts.point_number(connection, house.account, assigned, service=foreign, by=BY, clock=CLOCK)
        with pytest.raises(NumberMissing):
            await accounts.point_number(connection, house.account, NumberId.new(), service=None, by=BY, clock=CLOCK)


async def test_even_the_database_points_no_number_to_anothers_service(house: House) -> None:
    foreign = await make(house, account=house.other)
    _, assigned = await assign(house, None)
    async with house.database.account(house.account) as connection:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute(
                "UPDATE governance.number SET service_id = $2 WHERE number_id = $1", assigned.value, foreign.value
            )


async def test_a_service_that_a_number_points_to_is_not_removed(house: House) -> None:
    service = await make(house)
    _, assigned = await assign(house, service)
    with pytest.raises(ServiceInUse):
        async with house.database.account(house.account) as connection:
            await service_book.remove_service(connection, house.account, service, by=BY, clock=CLOCK)
    async with house.database.account(house.account) as connection:
        await accounts.point_number(connection, house.account, assigned, service=None, by=BY, clock=CLOCK)
        await service_book.remove_service(connection, house.account, service, by=BY, clock=CLOCK)
        with pytest.raises(ServiceMissing):
            await service_book.find_service(connection, house.account, service)


async def test_the_page_secret_is_stored_sealed_for_its_own_service_only(house: House) -> None:
    async with house.database.account(house.account) as connection:
        entry, secret = await service_book.create_service(connection, house.account, PAGES, by=BY, box=BOX, clock=CLOCK)
        other, _ = await service_book.create_service(connection, house.account, PAGES, by=BY, box=BOX, clock=CLOCK)
        service, moved = entry.service.service, other.service.service
        assert secret is not None
        assert secret.startswith("whsec_")
        assert await service_book.page_secrets(
            connection, house.account, service, box=BOX, now=CLOCK.now()
        ) == [secret]  # fmt: skip
        stored = await connection.fetchval(
            "SELECT page_secret FROM governance.service WHERE service_id = $1", service.value
        )
        assert secret.encode() not in stored
        await connection.execute(
            "UPDATE governance.service SET page_secret = $2 WHERE service_id = $1", moved.value, stored
        )
        with pytest.raises(SecretUnreadable):
            await service_book.page_secrets(connection, house.account, moved, box=BOX, now=CLOCK.now())


async def test_after_a_rotation_both_secrets_sign_for_a_day_and_then_one(house: House) -> None:
    service = await make(house)
    async with house.database.account(house.account) as connection:
        (first,) = await service_book.page_secrets(connection, house.account, service, box=BOX, now=CLOCK.now())
        second = await service_book.rotate_page_secret(connection, house.account, service, by=BY, box=BOX, clock=CLOCK)
        soon, late = CLOCK.now() + dt.timedelta(hours=23), CLOCK.now() + dt.timedelta(hours=25)
        now = await service_book.page_secrets(connection, house.account, service, box=BOX, now=soon)
        then = await service_book.page_secrets(connection, house.account, service, box=BOX, now=late)
    assert (now, then) == ([second, first], [second])


async def test_what_asks_no_pages_has_no_secret_until_it_does(house: House) -> None:
    service = await make(house, ServiceSettings(name="x", logic=BuiltIn(name="echo")))
    async with house.database.account(house.account) as connection:
        with pytest.raises(NotSigned):
            await service_book.rotate_page_secret(connection, house.account, service, by=BY, box=BOX, clock=CLOCK)
        entry, secret = await service_book.change_service(
            connection, house.account, service, ServiceChange(logic=PAGES.logic), by=BY, box=BOX, clock=CLOCK
        )
        _, again = await service_book.change_service(
            connection, house.account, service, ServiceChange(name="y"), by=BY, box=BOX, clock=CLOCK
        )
    assert entry.service.logic == PAGES.logic
    assert secret is not None
    assert again is None


async def test_a_change_changes_what_it_states_and_nothing_else(house: House) -> None:
    service = await make(house)
    async with house.database.account(house.account) as connection:
        was = await service_book.find_service(connection, house.account, service)
        entry, _ = await service_book.change_service(
            connection, house.account, service, ServiceChange(seconds_max=30), by=BY, box=BOX, clock=CLOCK
        )
    assert entry.service.seconds_max == 30
    for name in set(ServiceSettings.__struct_fields__) - {"seconds_max"}:
        assert getattr(entry.service, name) == getattr(was, name)


async def test_every_change_leaves_a_leaf_with_ids_and_nothing_else(
    house: House, module_database: ModuleDatabase
) -> None:
    service = await make(house)
    number, assigned = await assign(house, service)
    async with house.database.account(house.account) as connection:
        await service_book.rotate_page_secret(connection, house.account, service, by=BY, box=BOX, clock=CLOCK)
        await service_book.change_service(
            connection, house.account, service, ServiceChange(name="n"), by=BY, box=BOX, clock=CLOCK
        )
        await accounts.point_number(connection, house.account, assigned, service=None, by=BY, clock=CLOCK)
        await service_book.remove_service(connection, house.account, service, by=BY, clock=CLOCK)
        await accounts.remove_number(connection, house.account, assigned, clock=CLOCK)
    owner = await asyncpg.connect(module_database.dsn("sealwire_owner"))
    rows = await owner.fetch(
        "SELECT payload FROM evidence.event_outbox WHERE account_id = $1 AND leaf_class = 16", house.account.value
    )
    await owner.close()
    payloads = [json.loads(row["payload"]) for row in rows]
    assert sorted(payload["what"] for payload in payloads) == sorted([
        "service.made", "number.assigned", "service.secret-rotated", "service.changed", "number.pointed",
        "service.removed", "number.removed",
    ])  # fmt: skip
    assert {payload["which"] for payload in payloads} == {str(service), str(assigned)}
    assert number.text not in json.dumps(payloads)
