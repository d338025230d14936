"""Services: what answers a number or drives an outbound call. Configuration of an account, not a record.

A service holds nothing about the people who call. Its addresses must carry no number either: they are configuration.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from sealwire.vocabulary import AccountId, ServiceId

PageAddress = Annotated[
    str,
    Meta(
        description="An https address of yours. Where its name leads is judged each time it is asked.",
        min_length=1, max_length=2000, extra_json_schema={"pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s]+$"},
    ),
]  # fmt: skip


class Pages(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="pages"):
    """REST pages: the cloud asks these what to do. Requests are signed with the service's secret."""

    first_page: PageAddress
    error_page: PageAddress | None = None
    final_page: PageAddress | None = None


class Program(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="program"):
    """A customer's own program (UAS) that has registered this application."""

    application: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]


class BuiltIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="built-in"):
    """One of ours: greeting, voicemail, echo, not-in-service."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[a-z-]{1,40}\Z",
            extra_json_schema={"enum": ["greeting", "voicemail", "echo", "not-in-service"]},
        ),
    ]


Logic = Pages | Program | BuiltIn


class Consent(StrEnum):
    """What must happen before a byte is recorded."""

    NONE = "none"
    PROMPT = "prompt"
    """Say that it is recorded; recording starts after the prompt."""
    GATE = "gate"
    """Ask; record only when the caller presses 1."""


class RecordingPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How calls of a service are recorded."""

    whole_call: bool = False
    channels: Annotated[int, Meta(ge=1, le=2)] = 1
    eliminate_dtmf: bool = True
    beep: bool = False
    consent: Consent = Consent.NONE
    consent_text: Annotated[str, Meta(max_length=1000)] = ""
    sealed_to_customer: bool = False
    """Seal to the account's public keys; without a valid one nothing is recorded, and that is said."""


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"
    BOTH = "both"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service of an account as it is now."""

    account: AccountId
    service: ServiceId
    name: str
    direction: Direction
    logic: Logic
    recording: RecordingPolicy = RecordingPolicy()
    seconds_max: int = 14_400
    retention_class: int = 0
    early_media: bool = False
    """Inbound: let the application decide when to answer; otherwise the call is answered before its first action."""


def kind_of(service: Service) -> str:
    """What drives it, in the words of application records: pages, program, built-in."""
    match service.logic:
        case Pages():
            return "pages"
        case Program():
            return "program"
        case BuiltIn():
            return "built-in"
