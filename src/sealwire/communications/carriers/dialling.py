"""How a trunk is described, which one a number takes, and how the number is written for it. Rules without wires."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from sealwire.vocabulary import E164

Host = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
        r"|\[[0-9A-Fa-f:.]{2,45}\])\Z",
        max_length=253,
        description="A name, an IPv4 address, or an IPv6 address in brackets.",
        examples=["sip.carrier.example"],
    ),
]
Network = Annotated[str, Meta(max_length=50, examples=["192.0.2.0/24"])]


class Transport(StrEnum):
    """How the trunk is reached; with TLS the audio is SRTP, always."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class DialRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers that begin with `prefix` take this trunk: `strip` characters off the front, then `add` before the rest.

    `+441632960123` with prefix `+44`, strip 3 and add `0` becomes `01632960123`.
    """

    prefix: Annotated[str, Meta(pattern=r"^\+[0-9]{0,15}\Z", description="`+` for every number.", examples=["+44"])]
    strip: Annotated[int, Meta(ge=0, le=16, examples=[1])] = 0
    add: Annotated[str, Meta(pattern=r"^[0-9+*#]{0,20}\Z", examples=["00"])] = ""


EVERY_NUMBER = (DialRule(prefix="+"),)


class TrunkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One trunk as its owner describes it, without its password."""

    name: Annotated[str, Meta(min_length=1, max_length=100, examples=["carrier"])]
    host: Host
    port: Annotated[int, Meta(ge=1, le=65535, examples=[5061])] = 5060
    transport: Annotated[Transport, Meta(examples=["tls"])] = Transport.UDP
    username: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9._~+@-]{0,64}\Z", description="For digest authentication.", examples=["u1234"])
    ] = ""
    sources: Annotated[
        list[Network],
        Meta(max_length=50, description="Where its calls come from. Once any is listed, calls from elsewhere are not "
             "taken for the account.", examples=[["192.0.2.0/24"]]),
    ] = []  # fmt: skip
    default_caller: Annotated[
        Annotated[str, Meta(max_length=40, extra_json_schema={"pattern": r"^\+[1-9][0-9]{6,14}$"})] | None,
        Meta(description="Shown when a call states no caller; a number of the account.", examples=["+441632960123"]),
    ] = None
    caller_plus: Annotated[
        bool, Meta(description="Whether the carrier wants callers with the `+`.", examples=[True])
    ] = True
    rules: Annotated[
        list[DialRule],
        Meta(max_length=100, description="Which numbers take this trunk; all, as they are, when empty.",
             examples=[[{"prefix": "+44", "strip": 3, "add": "0"}]]),
    ] = []  # fmt: skip
    priority: Annotated[int, Meta(ge=0, le=1000, description="The lowest that fits is taken.", examples=[10])] = 100
    outbound: Annotated[bool, Meta(description="False: only for calls that come in.", examples=[True])] = True


def rule_for(settings: TrunkSettings, callee: E164) -> DialRule | None:
    """The rule of the longest prefix that fits; None when the number does not take this trunk."""
    fitting = [rule for rule in settings.rules or EVERY_NUMBER if callee.text.startswith(rule.prefix)]
    return max(fitting, key=lambda rule: len(rule.prefix), default=None) if settings.outbound else None


def as_dialled(rule: DialRule, callee: E164) -> str:
    """The number as the trunk wants it."""
    return rule.add + callee.text[rule.strip :]


def as_shown(settings: TrunkSettings, caller: str) -> str:
    """The caller as the trunk wants it."""
    return caller if settings.caller_plus else caller.removeprefix("+")


def in_order(trunks: Iterable[tuple[bool, TrunkSettings, str]], callee: E164) -> list[str]:
    """The trunks that carry this number, best first: (is the account's own, settings, id) by priority.

    At the same priority the account's own goes before the operator's, then the longer prefix; the id decides the rest,
    so that a number takes the same way every time.
    """
    fitting = [
        (settings.priority, not is_own, -len(rule.prefix), identity)
        for is_own, settings, identity in trunks
        if (rule := rule_for(settings, callee)) is not None
    ]
    return [identity for *_, identity in sorted(fitting)]
