"""The records of processing and the retention table of a privacy policy, as the declarations have them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from msgspec import Meta

from sealwire.custody import register as papers
from sealwire.doors.api.authentication import Who, operation
from sealwire.doors.api.parts import Here


class ClearField(msgspec.Struct, kw_only=True):
    """A field in the clear."""

    name: Annotated[str, Meta(examples=["ended_at"])]
    reason: Annotated[str, Meta(description="Why it is not sealed.", examples=["starts the retention clock"])]


class RegisterLine(msgspec.Struct, kw_only=True):
    """One category in the records of processing."""

    category: Annotated[str, Meta(examples=["call-record"])]
    article: Annotated[str, Meta(description="30(2) as a processor, 30(1) as a controller.", examples=["30(2)"])]
    role: Annotated[str, Meta(examples=["processor"])]
    purpose: Annotated[str, Meta(examples=["proof of service and statistics, on the controller's instruction"])]
    what: Annotated[str, Meta(examples=["Who called whom, when, and how the call ended."])]
    personal_data: Annotated[list[str], Meta(description="Sealed fields.", examples=[["caller", "callee"]])]
    in_the_clear: list[ClearField]
    data_subjects: Annotated[str, Meta(examples=["caller, callee"])]
    days_default: Annotated[int, Meta(examples=[90])]
    days_min: Annotated[int, Meta(examples=[28])]
    days_max: Annotated[int, Meta(examples=[180])]
    counts_from: Annotated[str, Meta(description="When its period starts.", examples=["it ended"])]
    after_closure: Annotated[str, Meta(examples=["unreadable at closure"])]
    measures: Annotated[str, Meta(description="Technical and organisational measures.", examples=[papers.MEASURES])]


class PolicyLine(msgspec.Struct, kw_only=True):
    """One line of a privacy policy's table."""

    what: Annotated[str, Meta(examples=["Who called whom, when, and how the call ended"])]
    why: Annotated[str, Meta(examples=["proof of service and statistics, on the controller's instruction"])]
    how_long: Annotated[str, Meta(examples=["90 days after it ended; the customer may choose 28 to 180 days"])]


class Register(msgspec.Struct, kw_only=True):
    """Both papers."""

    operator: Annotated[str, Meta(description="As the operator calls itself.", examples=["Example Telecom"])]
    privacy_contact: Annotated[str, Meta(examples=["privacy@example.org"])]
    processing: Annotated[list[RegisterLine], Meta(description="Records of processing (GDPR Art. 30).")]
    privacy_policy: list[PolicyLine]


@get(
    "/v1/register",
    **operation(
        "get-register", "Retention", Who.ANY_OF_ACCOUNT, summary="Records of processing, from the declarations"
    ),
)
async def get_register(here: Here) -> Register:
    """Made from the same declarations as storage and erasure, under this operator's bounds; nothing is typed twice."""
    settings, policy = here.parts.settings, here.parts.retention_policy
    lines = []
    for entry in papers.register(policy):
        clear = [ClearField(name=name, reason=reason) for name, reason in entry.in_the_clear]
        fields = {name: getattr(entry, name) for name in RegisterLine.__struct_fields__ if name != "in_the_clear"}
        lines.append(RegisterLine(**(fields | {"personal_data": list(entry.personal_data)}), in_the_clear=clear))
    table = [PolicyLine(what=line.what, why=line.why, how_long=line.how_long) for line in papers.privacy_table(policy)]
    return Register(
        operator=settings.operator_name, privacy_contact=settings.privacy_contact, processing=lines,
        privacy_policy=table,
    )  # fmt: skip
