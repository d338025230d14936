"""Which addresses of the Internet customers may have us connect to. A rule, no socket.

Judged is the very address that will be connected to, never a name: however it was written or resolved (decimal,
octal, IPv4 inside IPv6), it ends up here as 4 or 16 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from sealwire.config import SettingsRefused
from sealwire.errors import Refused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
PORTS_ALLOWED = frozenset({443})
PORT_FREE_MIN = 1024

_SPECIAL_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # public by its number, yet the inside of one cloud: it hands out credentials
    )
)  # fmt: skip
"""IANA's special-purpose IPv4 registry, and metadata services of clouds that are not in it."""

_GLOBAL_6 = IPv6Network("2000::/3")
_SPECIAL_6 = tuple(
    IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)  # fmt: skip
"""What is special inside 2000::/3 (Teredo, ORCHID, documentation, 6to4 …); all outside it is denied anyway."""

_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))


class AddressRefused(Refused):
    """This address may not be reached from here: take an https address with a public name and a usual port."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be connected to: public addresses, and networks the operator allows although they are special."""

    allowed: Sequence[Network] = ()

    @classmethod
    def parse(cls, allow: str) -> Reach:
        """From the setting `egress_allow`: networks in CIDR form, separated by commas."""
        try:
            return cls([ip_network(part.strip()) for part in allow.split(",") if part.strip()])
        except ValueError:
            raise SettingsRefused("egress_allow: write networks as 10.1.0.0/16, separated by commas") from None

    def is_allowed(self, address: Address) -> bool:
        """Whether the operator has allowed this address by name of its network."""
        address = _as_it_is_routed(address)
        is_inside = any(address in network for network in self.allowed if network.version == address.version)
        return is_inside and all(self.may_connect(inner) for inner in _translated_to(address))

    def may_connect(self, address: Address) -> bool:
        """Whether this address is public, or allowed."""
        address = _as_it_is_routed(address)
        return _is_public(address) or self.is_allowed(address)

    def permitted(self, found: Sequence[str], *, port: int, is_plain: bool) -> list[str]:
        """The addresses out of `found` that may be connected to; AddressRefused when none is left."""
        addresses = [ip_address(text.partition("%")[0]) for text in found]
        left = [
            str(address)
            for address in addresses
            if self.is_allowed(address) or (not is_plain and _is_public(_as_it_is_routed(address)) and usual(port))
        ]
        if not left:
            raise AddressRefused
        return left


def usual(port: int) -> bool:
    """Whether customers' pages may be at this port: 443 or one that is free for anybody, no well-known other."""
    return port in PORTS_ALLOWED or PORT_FREE_MIN <= port < 1 << 16


def _as_it_is_routed(address: Address) -> Address:
    """An IPv4-mapped address is an IPv4 address: the socket connects to that."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        return IPv6Address(int(address))  # without a zone
    return address


def _translated_to(address: Address) -> list[IPv4Address]:
    """The IPv4 address a translator would connect to (NAT64, RFC 6052; 6to4, RFC 3056)."""
    if isinstance(address, IPv4Address):
        return []
    found = [IPv4Address(int(address) & 0xFFFFFFFF)] if any(address in network for network in _TRANSLATED) else []
    return found + ([address.sixtofour] if address.sixtofour is not None else [])


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_4)
    return address in _GLOBAL_6 and not any(address in network for network in _SPECIAL_6)
