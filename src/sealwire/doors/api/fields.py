"""What the fields of requests and answers are called, mean and look like, once for all resources."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Annotated, TypeVar

from litestar.params import HeaderParameter, PathParameter
from msgspec import Meta

from sealwire.doors.api.problems import IdMalformed
from sealwire.errors import Malformed
from sealwire.vocabulary import OpaqueId, Purpose

Id = TypeVar("Id", bound=OpaqueId)

_EXAMPLE = "5f0c1e2d9a7b4c6e8f10213243546576"


def id_pattern(*prefixes: str) -> dict[str, str]:
    """What an id looks like, for the document; who sends another is told so by the id's own parser."""
    return {"pattern": f"^({'|'.join(prefixes)})_[0-9a-f]{{32}}$"}


def id_meta(prefix: str, description: str) -> Meta:
    """How an id in a body is described."""
    return Meta(description=description, examples=[f"{prefix}_{_EXAMPLE}"], extra_json_schema=id_pattern(prefix))


RecordIdText = Annotated[str, id_meta("rec", "The record's id.")]
CallIdText = Annotated[str, id_meta("call", "The call's id; joins its call record and its recordings.")]
AccountIdText = Annotated[str, id_meta("acc", "The account's id.")]
CredentialIdText = Annotated[str, id_meta("cred", "The credential's id.")]
AgreementIdText = Annotated[str, id_meta("agr", "The agreement's id.")]
ErasureIdText = Annotated[str, id_meta("ers", "The erasure's id.")]
HoldIdText = Annotated[str, id_meta("hld", "The hold's id.")]
NumberIdText = Annotated[str, id_meta("num", "The number's id.")]
E164_PATTERN = r"^\+[1-9][0-9]{6,14}$"
NumberText = Annotated[
    str,
    Meta(
        description="A telephone number in E.164 form.", examples=["+441632960123"], max_length=40,
        extra_json_schema={"pattern": E164_PATTERN},
    ),
]  # fmt: skip
Sha256Hex = Annotated[
    str,
    Meta(
        description="A SHA-256 hash in hex.", examples=["9f86d081884c7d65" * 4], max_length=64,
        extra_json_schema={"pattern": "^[0-9a-f]{64}$"},
    ),
]  # fmt: skip
Commitment = Annotated[
    str,
    Meta(
        description="What the evidence log and every certificate know of this record (base64).",
        examples=["Y29tbWl0bWVudCBvZiB0aGlzIHJlY29yZCwgMzIgYnk="],
    ),
]
DueOn = Annotated[
    dt.date, Meta(description="The last day it is kept; after it, it is erased by itself.", examples=["2027-02-21"])
]
IsRestricted = Annotated[
    bool,
    Meta(
        description="Restricted (GDPR Art. 18): it is kept, and opens for a subject request or a legal claim only.",
        examples=[False],
    ),
]
Moment = Annotated[dt.datetime, Meta(description="UTC.", examples=["2026-11-23T11:30:00.000Z"])]
MomentOrNull = Annotated[dt.datetime | None, Meta(description="UTC, or null.", examples=[None])]
NextCursor = Annotated[
    str | None, Meta(description="Pass it as `cursor` for the next page; null on the last page.", examples=[None])
]
PurposeText = Annotated[
    str, Meta(description="Why the content was opened; it stands in the log.", examples=["quality-assurance"])
]
PurposeHeader = Annotated[
    str | None,
    HeaderParameter(
        name="Sealwire-Purpose",
        description="Why the content is opened: service-operation, quality-assurance, billing-dispute, legal-claim or "
        "subject-request. Needed unless the credential has a default purpose.",
        max_length=100,
        schema_extra={"enum": [purpose.value for purpose in Purpose]},
    ),
]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="Up to 200 characters of your choice. The same request with the same key acts once, for a day.",
        max_length=200,
        schema_extra={"pattern": "^[!-~]{1,200}$"},
    ),
]


def in_path(what: str, example: str, *also: str) -> PathParameter:
    """How an id in a path is described: like this example, or with one of these prefixes instead."""
    form = id_pattern(example.partition("_")[0], *also)
    return PathParameter(description=what, schema_extra={"examples": [example], **form}, max_length=100)


CallPath = Annotated[
    str, in_path("A call record's id (`rec_...`) or the call's id (`call_...`).", f"rec_{_EXAMPLE}", "call")
]
RecordPath = Annotated[str, in_path("The recording's record id.", f"rec_{_EXAMPLE}")]
AccountPath = Annotated[str, in_path("The account's id.", f"acc_{_EXAMPLE}")]
CredentialPath = Annotated[str, in_path("The credential's id.", f"cred_{_EXAMPLE}")]
NumberPath = Annotated[str, in_path("The number's id (not the number).", f"num_{_EXAMPLE}")]
ServicePath = Annotated[str, in_path("The service's id.", f"svc_{_EXAMPLE}")]
TrunkPath = Annotated[str, in_path("The trunk's id.", f"trk_{_EXAMPLE}")]
ApplicationPath = Annotated[str, in_path("The application's id.", f"app_{_EXAMPLE}")]
LiveCallPath = Annotated[str, in_path("The call's id.", f"call_{_EXAMPLE}")]
ProgramPath = Annotated[str, in_path("The program's id.", f"uas_{_EXAMPLE}")]
MediaPath = Annotated[str, in_path("The media file's id.", f"med_{_EXAMPLE}")]
RecipientPath = Annotated[str, in_path("The recipient's id.", f"rcp_{_EXAMPLE}")]
HoldPath = Annotated[str, in_path("The hold's id.", f"hld_{_EXAMPLE}")]
ErasurePath = Annotated[str, in_path("The erasure's id.", f"ers_{_EXAMPLE}")]


def id_in_address(kind: type[Id], text: str) -> Id:
    """An id from the address; IdMalformed when it is not one of this kind."""
    try:
        return kind.parse(text)
    except Malformed as error:
        raise IdMalformed(str(error)) from None


def base64_text(data: bytes) -> str:
    """Bytes as standard base64."""
    return base64.b64encode(data).decode()
