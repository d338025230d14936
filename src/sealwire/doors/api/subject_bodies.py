"""What comes with a subject request: who asks, and for each kind what it needs."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from sealwire.communications.encryption.age import Recipient
from sealwire.custody.holds.book import REASONS_OF
from sealwire.custody.holds.book import Kind as HoldKind
from sealwire.custody.requests.finding import person_of
from sealwire.doors.api.fields import RecordIdText
from sealwire.errors import Malformed
from sealwire.vocabulary import Party, RecordId

_REASONS = sorted(reason.value for reason in REASONS_OF[HoldKind.RESTRICTION])


class KindNeedsMore(Malformed):
    """A rectification says what is wrong (`rectify`), a restriction why and until when (`restrict`); others neither."""


class Rectify(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is wrong, and what is right."""

    record: RecordIdText
    field: Annotated[str, Meta(description="A sealed field of the record.", examples=["callee"], max_length=40)]
    value: Annotated[str, Meta(description="What it should be.", examples=["+441632960124"], max_length=4000)]


class Restrict(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why nothing may be opened, and until when."""

    reason: Annotated[
        Literal["accuracy-contested", "objection-pending", "processing-unlawful", "subject-needs-it"],
        Meta(description="As Art. 18(1) has it.", examples=["accuracy-contested"]),
    ]
    until: Annotated[
        dt.date, Meta(description="The last day; a hold without an end there is not.", examples=["2027-02-01"])
    ]


class NewSubjectRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Who asks for what. The identifier is in the body, so that it stands in no address and no log."""

    kind: Annotated[
        Literal["access", "portability", "rectification", "erasure", "restriction", "objection"],
        Meta(examples=["access"]),
    ]
    identifier: Annotated[
        str,
        Meta(
            description="A number in E.164 form, or the name before the @ of a SIP address.",
            examples=["+441632960123"], max_length=100,
        ),
    ]  # fmt: skip
    received_at: Annotated[
        dt.datetime | None, Meta(description="When it came in, with its offset; now.", examples=[None])
    ] = None
    recipient: Annotated[
        Annotated[str, Meta(max_length=200)] | None,
        Meta(description="An age public key, to which the archive is sealed.", examples=[None]),
    ] = None
    mixed_audio: Annotated[
        bool,
        Meta(description="The controller's word that recordings of both parties may be handed out.", examples=[False]),
    ] = False
    rectify: Rectify | None = None
    restrict: Restrict | None = None


def details_of(data: NewSubjectRequest) -> tuple[Party, dict[str, Any]]:
    """Who asks, and what is sealed beside it; refused here when it could not be carried out later."""
    if (data.kind == "rectification") != (data.rectify is not None) or (data.kind == "restriction") != (
        data.restrict is not None
    ):
        raise KindNeedsMore
    details: dict[str, Any] = {"mixed_audio": data.mixed_audio}
    if data.recipient is not None:
        details["recipient"] = Recipient.parse(data.recipient).text
    if data.rectify is not None:
        record = str(RecordId.parse(data.rectify.record))
        details["rectify"] = {"record": record, "field": data.rectify.field, "value": data.rectify.value}
    if data.restrict is not None:
        details["restrict"] = {"reason": data.restrict.reason, "until": data.restrict.until.isoformat()}
    return person_of(data.identifier), details
