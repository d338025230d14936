"""Which way a call goes out, and whose trunk one comes in by."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

from sealwire.communications.addresses import Reach
from sealwire.communications.carriers.book import OPERATORS, CallerNotYours, Trunk, require_reachable, trunks_for
from sealwire.communications.carriers.dialling import Transport, as_dialled, as_shown, in_order, rule_for
from sealwire.communications.switches.port import DialTarget
from sealwire.config import Settings
from sealwire.errors import Malformed, Refused
from sealwire.governance.accounts import numbers_shown
from sealwire.ground.postgres.database import Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.ground.secretbox import SecretBox
from sealwire.vocabulary import E164, AccountId, Party

_queries = load_queries(__package__)
RESOLVE_S_MAX = 3.0
ANONYMOUS = "anonymous"

__all__ = ["CallerNotYours", "Carriers", "NoRoute"]


class NoRoute(Refused):
    """No trunk carries calls to this number; add one at /v1/trunks, or ask the operator for theirs."""


class Carriers:
    """The trunks of this installation, looked up for each call, so that a change counts from the next one on."""

    def __init__(self, database: Database, box: SecretBox, *, reach: Reach) -> None:
        self._database, self._box, self._reach = database, box, reach

    @classmethod
    def of(cls, settings: Settings, database: Database, box: SecretBox) -> Carriers:
        """With what the operator allows customers' trunks to reach."""
        return cls(database, box, reach=Reach.parse(settings.egress_allow))

    async def target(self, account: AccountId, *, callee: Party, caller: Party | None) -> DialTarget:
        """Where a leg to this number goes: the best trunk that carries it.

        NoRoute, CallerNotYours when the caller is no number of the account, AddressRefused when the trunk leads
        where a customer's may not.
        """
        try:
            number = E164.parse(callee.text)
        except Malformed:
            raise NoRoute from None
        async with self._database.account(account) as connection:
            trunks = {str(trunk.trunk): trunk for trunk in await trunks_for(connection, account)}
            shown = await numbers_shown(connection, account)
        listed = [(not trunk.is_operators, trunk.settings, name) for name, trunk in trunks.items()]
        best = next(iter(in_order(listed, number)), None)
        if best is None:
            raise NoRoute
        return await self._target(trunks[best], number, _caller(trunks[best], caller, shown))

    async def identify(self, leg_source: str, headers: Mapping[str, str] | None = None) -> AccountId | None:
        """The one account whose trunk a call from HOST:PORT comes in by; None: nobody's, the operator's, or several's.

        By the connection's address alone: headers can be written by anybody.
        """
        del headers
        address = address_of(leg_source)
        if address is None:
            return None
        async with self._database.system() as connection:
            rows = await connection.fetch(_queries.trunks_at, address)
        narrowest = {row["account_id"] for row in rows if row["narrowness"] == rows[0]["narrowness"]}
        (only,) = narrowest if len(narrowest) == 1 else (OPERATORS.value,)
        return AccountId(only) if only != OPERATORS.value else None

    async def admits(self, account: AccountId, leg_source: str) -> bool:
        """Whether a call from HOST:PORT to a number of this account may be taken.

        Anybody's, while neither the account's trunks nor the operator's list where calls come from; else theirs only.
        """
        return bool(await self._database.call(_queries.may_come_in, account.value, address_of(leg_source)))

    async def _target(self, trunk: Trunk, number: E164, caller: str) -> DialTarget:
        settings = trunk.settings
        rule = rule_for(settings, number)
        assert rule is not None
        host = settings.host if trunk.is_operators else await self._judged(trunk)
        return DialTarget(
            callee=Party(as_dialled(rule, number)), caller=Party(caller), address=f"{host}:{settings.port}",
            transport=settings.transport.value, username=settings.username, password=trunk.password(self._box),
        )  # fmt: skip

    async def _judged(self, trunk: Trunk) -> str:
        """The host of a customer's trunk after its address was judged: pinned, so that its name cannot change after.

        With TLS the name stays, since the certificate is checked against it: a host inside could not show one.
        """
        settings = trunk.settings
        try:
            async with asyncio.timeout(RESOLVE_S_MAX):
                found = await asyncio.get_running_loop().getaddrinfo(
                    settings.host.strip("[]"), settings.port, type=socket.SOCK_DGRAM
                )
        except (OSError, TimeoutError, UnicodeError):
            raise NoRoute("the name of the trunk for this number is not known at the moment; see its host") from None
        addresses = [str(each[4][0]) for each in found]
        for address in addresses:
            require_reachable(address.partition("%")[0], settings.port, self._reach)
        if settings.transport is Transport.TLS:
            return settings.host
        return f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]


def _caller(trunk: Trunk, caller: Party | None, shown: list[str]) -> str:
    """Who is shown: the stated caller when it is the account's, else the trunk's default, else the account's first."""
    if caller is not None and caller.text != ANONYMOUS:
        if caller.text not in shown:
            raise CallerNotYours
        return as_shown(trunk.settings, caller.text)
    if caller is not None:
        return ANONYMOUS
    default = trunk.settings.default_caller
    if default is not None and (trunk.is_operators or default in shown):
        return as_shown(trunk.settings, default)
    return as_shown(trunk.settings, shown[0]) if shown else ANONYMOUS


def address_of(leg_source: str) -> IPv4Address | IPv6Address | None:
    """The address in HOST:PORT; None when there is none."""
    host = leg_source.rpartition(":")[0].strip("[]")
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
