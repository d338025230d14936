"""The account's evidence log, as static files (C2SP tlog-tiles) and as proofs on request."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.params import PathParameter, QueryParameter
from msgspec import Meta

from sealwire.doors.api.authentication import Who, operation
from sealwire.doors.api.fields import base64_text
from sealwire.doors.api.parts import Here
from sealwire.evidence import reader
from sealwire.evidence.log import LogUnknown
from sealwire.evidence.reader import PathUnknown, SizeOutOfRange
from sealwire.governance import accounts

FOREVER = "private, max-age=31536000, immutable"
TEXT = "text/plain"
Path = Annotated[list[str], Meta(description="Hashes in base64, leaf side first (RFC 6962).", examples=[["q83v..."]])]
INDEX_MAX = (1 << 53) - 1  # what every reader of JSON can tell from its neighbours


class InclusionSeen(msgspec.Struct, kw_only=True):
    """The proof that a leaf stands in the log."""

    index: Annotated[int, Meta(examples=[12])]
    size: Annotated[int, Meta(description="Of the tree it is proved in.", examples=[40])]
    leaf: Annotated[str, Meta(description="The 34 bytes of the leaf (base64).", examples=["AQYk..."])]
    path: Path


class ConsistencySeen(msgspec.Struct, kw_only=True):
    """The proof that an earlier log is the beginning of a later one."""

    first: Annotated[int, Meta(examples=[12])]
    second: Annotated[int, Meta(examples=[40])]
    path: Path


@get(
    "/v1/log/key",
    media_type="text/plain",
    **operation("get-log-key", "Evidence log", Who.ANY_OF_ACCOUNT, summary="The log's key"),
)
async def get_log_key(here: Here) -> Response[str]:
    """The verifier key (C2SP signed-note) that your agreement's annex pins. Compare the two."""
    async with here.parts.database.account(here.account) as connection:
        account = await accounts.find(connection, here.account)
    return Response(account.log_vkey + "\n", media_type=TEXT)


@get(
    "/v1/log/checkpoint",
    media_type="text/plain",
    **operation(
        "get-checkpoint", "Evidence log", Who.ANY_OF_ACCOUNT, summary="The latest checkpoint", raises=(LogUnknown,)
    ),
)
async def get_checkpoint(here: Here) -> Response[bytes]:
    """Size and root of the log, signed (C2SP checkpoint)."""
    async with here.parts.database.account(here.account) as connection:
        checkpoint = await reader.render(connection, here.account, "checkpoint")
    return Response(checkpoint, media_type=TEXT)


@get(
    "/v1/log/tile/{path:path}",
    media_type="application/octet-stream",
    **operation("get-tile", "Evidence log", Who.ANY_OF_ACCOUNT, summary="A tile", raises=(PathUnknown, LogUnknown)),
)
async def get_tile(
    here: Here,
    path: Annotated[
        str,
        PathParameter(
            description="`<L>/<N>[.p/<W>]` or `entries/<N>[.p/<W>]`.", schema_extra={"examples": ["0/000.p/1"]}
        ),
    ],
) -> Response[bytes]:
    """Hashes or entries of the log (C2SP tlog-tiles). Full tiles never change, and say so."""
    name = f"tile/{path.strip('/')}"
    async with here.parts.database.account(here.account) as connection:
        content = await reader.render(connection, here.account, name)
    cache = "no-cache" if ".p/" in name else FOREVER
    headers = {"Cache-Control": cache, "Vary": "Authorization"}
    return Response(content, media_type="application/octet-stream", headers=headers)


@get(
    "/v1/log/proofs/inclusion",
    **operation(
        "prove-inclusion", "Evidence log", Who.ANY_OF_ACCOUNT, summary="Prove that a leaf is in the log",
        raises=(SizeOutOfRange, LogUnknown),
    ),
)  # fmt: skip
async def prove_inclusion(
    here: Here,
    index: Annotated[
        int, QueryParameter(ge=0, le=INDEX_MAX, description="The leaf's index.", schema_extra={"examples": [0]})
    ],
    size: Annotated[
        int | None,
        QueryParameter(ge=1, le=INDEX_MAX, description="The tree's size; the latest signed one when left out."),
    ] = None,
) -> InclusionSeen:
    """Checks against the root of a checkpoint of this size."""
    async with here.parts.database.account(here.account) as connection:
        proof = await reader.inclusion_proof(connection, here.account, index, size=size)
    return InclusionSeen(
        index=proof.index,
        size=proof.size,
        leaf=base64_text(proof.leaf),
        path=[base64_text(each) for each in proof.path],
    )


@get(
    "/v1/log/proofs/consistency",
    **operation(
        "prove-consistency", "Evidence log", Who.ANY_OF_ACCOUNT, summary="Prove that the log only grew",
        raises=(SizeOutOfRange, LogUnknown),
    ),
)  # fmt: skip
async def prove_consistency(
    here: Here,
    first: Annotated[
        int,
        QueryParameter(
            name="from", ge=1, le=INDEX_MAX, description="The earlier size.", schema_extra={"examples": [1]}
        ),
    ],
    second: Annotated[
        int,
        QueryParameter(name="to", ge=1, le=INDEX_MAX, description="The later size.", schema_extra={"examples": [2]}),
    ],
) -> ConsistencySeen:
    """Between two checkpoints you kept: nothing was changed and nothing taken out in between."""
    async with here.parts.database.account(here.account) as connection:
        path = await reader.consistency_proof(connection, here.account, first, second)
    return ConsistencySeen(first=first, second=second, path=[base64_text(each) for each in path])
