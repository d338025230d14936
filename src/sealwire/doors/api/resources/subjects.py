"""Subject requests: everything held about one number (GDPR Art. 15)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK
from msgspec import Meta

from sealwire.custody.categories import Category, Recording, category_of
from sealwire.custody.categories.codec import as_json
from sealwire.custody.requests import Holding, IndexRebuilding, subject_report
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import Commitment, DueOn, NumberText, PurposeHeader, RecordIdText, base64_text
from sealwire.doors.api.parts import Here
from sealwire.errors import Malformed, Unavailable
from sealwire.governance.principals import PurposeMissing, Scope
from sealwire.vocabulary import E164, Purpose


class SubjectQuestion(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A number, in the body, so that it stands in no address and no log."""

    number: NumberText
    purpose: Annotated[
        Purpose | None,
        Meta(description="As `Sealwire-Purpose`; this one counts when both are sent.", examples=["subject-request"]),
    ] = None


class LookSeen(msgspec.Struct, kw_only=True):
    """One opening of a record, as the evidence log has it."""

    at: Annotated[str, Meta(examples=["2026-11-23T11:30:00.000Z"])]
    principal: Annotated[str, Meta(description="The credential.", examples=["cred_5f0c1e2d9a7b4c6e8f10213243546576"])]
    purpose: Annotated[str, Meta(examples=["quality-assurance"])]
    leaf_index: Annotated[int, Meta(description="Where it stands in the account's log.", examples=[12])]


class HoldingSeen(msgspec.Struct, kw_only=True):
    """One record about the person: what, why, until when, and who has opened it before."""

    id: RecordIdText
    category: Annotated[str, Meta(examples=["call-record"])]
    purpose: Annotated[
        str, Meta(description="Why it is kept.", examples=["proof of service and statistics, on instruction"])
    ]
    role: Annotated[str, Meta(description="The operator's role: processor or controller.", examples=["processor"])]
    due_on: DueOn
    commitment: Commitment
    plain: Annotated[
        dict[str, Any],
        Meta(description="Fields that are not sealed.", examples=[{"started_at": "2026-11-23T11:30:00Z"}]),
    ]
    content: Annotated[
        dict[str, Any],
        Meta(
            description="Fields that were sealed.",
            examples=[{"caller": "+441632960123", "callee": "+441632960100", "digits": "5"}],
        ),
    ]
    audio: Annotated[str | None, Meta(description="Where its audio is, when it has any.", examples=[None])]
    looks: list[LookSeen]


class SubjectAnswer(msgspec.Struct, kw_only=True):
    """The complete answer."""

    holdings: list[HoldingSeen]
    searched_days: Annotated[
        int, Meta(description="How many days of records were searched, over all categories.", examples=[42])
    ]


@post(
    "/v1/subjects",
    status_code=HTTP_200_OK,
    **operation(
        "ask-subject", "Subject requests", Scope.OPEN, summary="What do you hold about this number?",
        raises=(IndexRebuilding, PurposeMissing, Malformed, Unavailable),
    ),
)  # fmt: skip
async def ask_subject(here: Here, data: JSONBody[SubjectQuestion], purpose: PurposeHeader = None) -> SubjectAnswer:
    """Everything about one number in every category: what, why, until when, who opened it. The search itself stands in
    the log. While the index of numbers is being rebuilt the answer is 503, never "nothing".
    """
    number = E164.parse(data.number)
    by_header = Purpose.parse(purpose) if purpose is not None else None
    stated = data.purpose or by_header or here.principal.purpose(None)
    report = await subject_report(here.parts.custody, here.principal, number, purpose=stated)
    return SubjectAnswer(holdings=[_seen(holding) for holding in report.holdings], searched_days=report.searched_days)


def _seen(holding: Holding) -> HoldingSeen:
    stored = holding.stored
    category: Category = stored.category
    return HoldingSeen(
        id=str(stored.record), category=category.name, purpose=category.purpose, role=category.role.value,
        due_on=stored.due_day.date, commitment=base64_text(stored.commitment),
        plain={name: as_json(value) for name, value in stored.plain.items()},
        content={name: as_json(value) for name, value in holding.content.reveal().items()},
        audio=f"/v1/recordings/{stored.record}/audio" if category is category_of(Recording) else None,
        looks=[
            LookSeen(at=look.at, principal=look.principal, purpose=look.purpose, leaf_index=look.leaf_index)
            for look in holding.looks
        ],
    )  # fmt: skip
