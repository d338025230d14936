"""What erasing a person or a number would do, as the API tells it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from sealwire.custody.requests.sorting import BY_LAW, Preview


class KeptByLaw(msgspec.Struct, kw_only=True):
    """What a law keeps, and what stays of it."""

    category: Annotated[str, Meta(examples=["billing-record"])]
    records: Annotated[int, Meta(examples=[3])]
    ground: Annotated[str, Meta(examples=[BY_LAW])]


class ErasurePreview(msgspec.Struct, kw_only=True):
    """What erasing this person would do, counted by category."""

    erased: Annotated[dict[str, int], Meta(description="Destroyed whole.", examples=[{"message-content": 4}])]
    without_the_person: Annotated[
        dict[str, int], Meta(description="Stays for another party, without this one.", examples=[{"call-record": 2}])
    ]
    held: Annotated[
        dict[str, int], Meta(description="Restricted or under a legal hold: stays.", examples=[{"recording": 1}])
    ]
    kept_by_law: list[KeptByLaw]


def preview_of(seen: Preview) -> ErasurePreview:
    """The counts, with the ground on which a law keeps what it keeps."""
    return ErasurePreview(
        erased=dict(seen.erased),
        without_the_person=dict(seen.without_the_person),
        held=dict(seen.held),
        kept_by_law=[KeptByLaw(category=name, records=records, ground=BY_LAW) for name, records in seen.by_law.items()],
    )
