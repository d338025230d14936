"""Which way a call goes out and whose trunk one comes in by, with trunks in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.conftest import ModuleDatabase, OpenDatabase

from sealwire.communications.addresses import AddressRefused, Reach
from sealwire.communications.carriers import book
from sealwire.communications.carriers.book import (
    OPERATORS,
    CallerNotYours,
    TooManyTrunks,
    Trunk,
    TrunkChange,
    TrunkMissing,
)
from sealwire.communications.carriers.dialling import DialRule, Transport, TrunkSettings
from sealwire.communications.carriers.trunks import Carriers, NoRoute
from sealwire.governance import accounts
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.database import Database
from sealwire.ground.secretbox import SecretBox, SecretUnreadable
from sealwire.vocabulary import E164, AccountId, CredentialId, Party, TrunkId

CLOCK, BOX, BY = SystemClock(), SecretBox(b"k" * 32), CredentialId.new()
ANYWHERE, PUBLIC_ONLY = Reach.parse("127.0.0.0/8,192.0.2.0/24,203.0.113.0/24"), Reach()
CALLEE, THEIRS = Party("+441632960999"), Party("+441632960998")
NUMBERS = (E164(f"+44163297{at:04}") for at in range(10_000))


@dataclass(frozen=True)
class House:
    database: Database
    account: AccountId
    other: AccountId
    number: E164

    def carriers(self, reach: Reach = ANYWHERE) -> Carriers:
        return Carriers(self.database, BOX, reach=reach)


@pytest.fixture
async def house(database: OpenDatabase, module_database: ModuleDatabase) -> House:
    service = await database()
    made = House(service, AccountId.new(), AccountId.new(), next(NUMBERS))
    for account in (made.account, made.other):
        async with service.account(account) as connection:
            await accounts.create(connection, account, name="x", log_origin="x", log_vkey="x", clock=CLOCK)
    async with service.account(made.account) as connection:
        await accounts.assign_number(connection, made.account, made.number, service=None, clock=CLOCK)
    async with service.account(OPERATORS) as connection:
        await connection.execute("DELETE FROM communications.trunk")
    return made


async def trunk(
    house: House, account: AccountId | None = None, *, secret: str | None = None, reach: Reach = ANYWHERE, **more: Any
) -> Trunk:
    settings = TrunkSettings(**({"name": "t", "host": "192.0.2.7"} | more))
    owner = account or house.account
    async with house.database.account(owner) as connection:
        return await book.create_trunk(
            connection, owner, settings, secret=secret, by=BY, box=BOX, reach=reach, clock=CLOCK
        )


async def test_a_call_goes_where_the_trunk_says_with_its_credentials(house: House) -> None:
    await trunk(
        house,
        port=5070,
        transport=Transport.TCP,
        username="u",
        secret="p",
        rules=[DialRule(prefix="+44", strip=3, add="0")],
    )
    target = await house.carriers().target(house.account, callee=CALLEE, caller=Party(house.number.text))
    assert (target.address, target.transport, target.username, target.password) == ("192.0.2.7:5070", "tcp", "u", "p")
    assert (target.callee.text, target.caller.text) == ("01632960999", house.number.text)
    assert "960999" not in repr(target)
    assert "'p'" not in repr(target)


async def test_without_a_trunk_that_carries_it_there_is_no_route(house: House) -> None:
    with pytest.raises(NoRoute):
        await house.carriers().target(house.account, callee=CALLEE, caller=None)
    await trunk(house, rules=[DialRule(prefix="+49")])
    with pytest.raises(NoRoute):
        await house.carriers().target(house.account, callee=CALLEE, caller=None)
    with pytest.raises(NoRoute):
        await house.carriers().target(house.account, callee=Party("somebody"), caller=None)


async def test_anothers_trunk_carries_nothing_of_ours_but_the_operators_does(house: House) -> None:
    await trunk(house, house.other)
    with pytest.raises(NoRoute):
        await house.carriers().target(house.account, callee=CALLEE, caller=None)
    await trunk(house, OPERATORS, host="carrier.example", priority=500)
    target = await house.carriers().target(house.account, callee=CALLEE, caller=None)
    assert target.address == "carrier.example:5060"


async def test_the_better_priority_wins_and_a_change_counts_from_the_next_call(house: House) -> None:
    one = await trunk(house, host="192.0.2.1", priority=1)
    await trunk(house, host="192.0.2.2", priority=2)
    assert (await house.carriers().target(house.account, callee=CALLEE, caller=None)).address == "192.0.2.1:5060"
    async with house.database.account(house.account) as connection:
        change = TrunkChange(priority=3)
        await book.change_trunk(
            connection, house.account, one.trunk, change, by=BY, box=BOX, reach=ANYWHERE, clock=CLOCK
        )
    assert (await house.carriers().target(house.account, callee=CALLEE, caller=None)).address == "192.0.2.2:5060"


async def test_a_caller_that_is_not_the_accounts_is_refused(house: House) -> None:
    await trunk(house)
    for caller in (THEIRS, Party("ceo"), Party("+441632960000")):
        with pytest.raises(CallerNotYours):
            await house.carriers().target(house.account, callee=CALLEE, caller=caller)


async def test_a_caller_that_the_operator_verified_is_shown(house: House) -> None:
    await trunk(house, caller_plus=False)
    mobile = next(NUMBERS)
    async with house.database.account(house.account) as connection:
        await accounts.assign_number(connection, house.account, mobile, service=None, caller_only=True, clock=CLOCK)
    target = await house.carriers().target(house.account, callee=CALLEE, caller=Party(mobile.text))
    assert target.caller.text == mobile.text[1:]


async def test_no_caller_stated_shows_the_trunks_default_else_the_accounts_first_number(house: House) -> None:
    made = await trunk(house)
    carriers = house.carriers()
    assert (await carriers.target(house.account, callee=CALLEE, caller=None)).caller.text == house.number.text
    second = next(NUMBERS)
    async with house.database.account(house.account) as connection:
        assigned = await accounts.assign_number(connection, house.account, second, service=None, clock=CLOCK)
        await book.change_trunk(
            connection, house.account, made.trunk, TrunkChange(default_caller=second.text), by=BY, box=BOX,
            reach=ANYWHERE, clock=CLOCK,
        )  # fmt: skip
    assert (await carriers.target(house.account, callee=CALLEE, caller=None)).caller.text == second.text
    async with house.database.account(house.account) as connection:
        await accounts.remove_number(connection, house.account, assigned, clock=CLOCK)
    assert (await carriers.target(house.account, callee=CALLEE, caller=None)).caller.text == house.number.text
    hidden = await carriers.target(house.account, callee=CALLEE, caller=Party("anonymous"))
    assert hidden.caller.text == "anonymous"


async def test_a_default_caller_must_be_the_accounts(house: House) -> None:
    with pytest.raises(CallerNotYours):
        await trunk(house, default_caller=THEIRS.text)
    assert await trunk(house, OPERATORS, default_caller=THEIRS.text)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]"])
async def test_an_accounts_trunk_leads_to_no_inside_address(house: House, host: str) -> None:
    with pytest.raises(AddressRefused):
        await trunk(house, host=host, reach=PUBLIC_ONLY)
    assert await trunk(house, OPERATORS, host=host, reach=PUBLIC_ONLY)


async def test_a_name_that_leads_inside_is_refused_when_it_is_resolved(house: House) -> None:
    await trunk(house, host="localhost", reach=PUBLIC_ONLY)
    with pytest.raises(AddressRefused):
        await house.carriers(PUBLIC_ONLY).target(house.account, callee=CALLEE, caller=None)
    target = await house.carriers(Reach.parse("127.0.0.0/8,::1/128")).target(house.account, callee=CALLEE, caller=None)
    assert target.address in ("127.0.0.1:5060", "[::1]:5060")


async def test_a_name_that_is_not_known_is_no_route_and_not_a_crash(house: House) -> None:
    await trunk(house, host="nothing.invalid")
    with pytest.raises(NoRoute, match="not known at the moment"):
        await house.carriers().target(house.account, callee=CALLEE, caller=None)


async def test_a_password_is_stored_sealed_for_its_own_trunk_and_can_be_taken_away(house: House) -> None:
    one, two = await trunk(house, secret="correct horse"), await trunk(house, secret="battery")
    assert one.secret is not None
    assert b"horse" not in one.secret
    assert one.password(BOX) == "correct horse"
    with pytest.raises(SecretUnreadable):
        Trunk(two.account, two.trunk, two.settings, one.secret, CLOCK.now(), CLOCK.now()).password(BOX)
    async with house.database.account(house.account) as connection:
        changed = [
            await book.change_trunk(
                connection, house.account, one.trunk, change, by=BY, box=BOX, reach=ANYWHERE, clock=CLOCK
            )
            for change in (TrunkChange(priority=1), TrunkChange(secret="new"), TrunkChange(secret=None))
        ]
    assert [each.password(BOX) for each in changed] == ["correct horse", "new", ""]


async def test_whose_trunk_a_call_comes_in_by_is_told_by_its_address(house: House) -> None:
    carriers = house.carriers()
    assert await carriers.identify("203.0.113.7:5060") is None
    await trunk(house, OPERATORS, sources=["203.0.113.0/24"])
    assert await carriers.identify("203.0.113.7:5060") is None
    await trunk(house, sources=["203.0.113.0/28", "192.0.2.1"])
    assert await carriers.identify("203.0.113.7:5060") == house.account
    assert await carriers.identify("203.0.113.77:5060") is None
    assert await carriers.identify("[::ffff:192.0.2.1]:5060") == house.account
    assert await carriers.identify("") is None
    await trunk(house, house.other, sources=["203.0.113.0/28"])
    assert await carriers.identify("203.0.113.7:5060") is None
    async with house.database.account(house.other) as connection:
        await connection.execute("DELETE FROM communications.trunk")
    async with house.database.account(house.account) as connection:
        await connection.execute("DELETE FROM communications.trunk WHERE account_id = $1", house.account.value)


async def test_anybody_may_call_until_sources_are_listed_and_then_only_they(house: House) -> None:
    carriers = house.carriers()
    assert await carriers.admits(house.account, "198.51.100.1:5060")
    await trunk(house, sources=["203.0.113.0/24"])
    assert await carriers.admits(house.account, "203.0.113.9:5060")
    assert not await carriers.admits(house.account, "198.51.100.1:5060")
    assert not await carriers.admits(house.account, "")
    assert await carriers.admits(house.other, "198.51.100.1:5060")
    await trunk(house, OPERATORS, sources=["198.51.100.0/24"])
    assert await carriers.admits(house.account, "198.51.100.1:5060")
    assert not await carriers.admits(house.other, "203.0.113.9:5060")


async def test_a_foreign_trunk_is_as_unknown_as_a_random_one_and_so_is_the_operators(house: House) -> None:
    foreign, shared = await trunk(house, house.other), await trunk(house, OPERATORS)
    async with house.database.account(house.account) as connection:
        for which in (foreign.trunk, shared.trunk, TrunkId.new()):
            with pytest.raises(TrunkMissing):
                await book.find_trunk(connection, house.account, which)
            with pytest.raises(TrunkMissing):
                await book.remove_trunk(connection, house.account, which, by=BY, clock=CLOCK)
        assert await connection.execute("DELETE FROM communications.trunk") == "DELETE 0"
        assert await book.list_trunks(connection, house.account, before=None, limit=10) == []


async def test_an_account_has_a_hundred_trunks_at_most(house: House) -> None:
    for _ in range(book.TRUNKS_MAX):
        await trunk(house)
    with pytest.raises(TooManyTrunks):
        await trunk(house)
    assert await trunk(house, house.other)
