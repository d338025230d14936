"""Erasure certificates: one text file each, checked offline by the separate verifier."""

from __future__ import annotations

from litestar import Response, get

from sealwire.custody import erasure as erasing
from sealwire.custody.erasure import ErasureMissing
from sealwire.doors.api.authentication import Who, operation
from sealwire.doors.api.fields import ErasurePath, id_in_address
from sealwire.doors.api.parts import Here
from sealwire.doors.api.problems import IdMalformed
from sealwire.errors import Missing
from sealwire.vocabulary import ErasureId


class CertificateNotReady(Missing):
    """There is no certificate yet: it is made when the records are unreadable, within seconds. Wait and ask again."""


@get(
    "/v1/certificates/{erasure_id:str}",
    media_type="text/plain",
    **operation(
        "get-certificate", "Erasures", Who.ANY_OF_ACCOUNT, summary="Get an erasure's certificate",
        raises=(ErasureMissing, CertificateNotReady, IdMalformed),
    ),
)  # fmt: skip
async def get_certificate(here: Here, erasure_id: ErasurePath) -> Response[str]:
    """A `.tlog-proof` file (C2SP) without personal data, made anew when the erasure reaches its next level. Check it
    with `python -m sealwire_verifier certificate FILE --policy POLICY`.
    """
    wanted = id_in_address(ErasureId, erasure_id)
    async with here.parts.database.account(here.account) as connection:
        found = await erasing.find(connection, here.account, wanted)
    if found.certificate is None:
        raise CertificateNotReady
    return Response(
        found.certificate, media_type="text/plain",
        headers={"Content-Disposition": f'attachment; filename="{wanted}.tlog-proof"'},
    )  # fmt: skip
