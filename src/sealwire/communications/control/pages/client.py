"""Asks a customer's page: signs the request, sends it through the guarded way out, reads the answer strictly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

from sealwire.communications.control.pages.protocol import (
    PageAnswer,
    PageFault,
    PageRequest,
    read_answer,
    write_request,
)
from sealwire.communications.egress import (
    AddressMalformed,
    AddressRefused,
    Answered,
    Egress,
    ServerAnswerBroken,
    ServerAnswerTooLarge,
    ServerTooSlow,
    ServerUnreachable,
)
from sealwire.communications.signing import signed_headers
from sealwire.errors import SealwireError
from sealwire.governance.service_book import page_secrets
from sealwire.ground.clock import Clock
from sealwire.ground.postgres.database import Database
from sealwire.ground.secretbox import SecretBox
from sealwire.vocabulary import AccountId, ReturnCode, ServiceId

ANSWER_BYTES_MAX = 256 * 1024
SigningSecrets = Callable[[AccountId, ServiceId], Awaitable[Sequence[str]]]

_CODES: dict[type[SealwireError], ReturnCode] = {
    AddressMalformed: ReturnCode.PAGE_ADDRESS_REFUSED,
    AddressRefused: ReturnCode.PAGE_ADDRESS_REFUSED,
    ServerUnreachable: ReturnCode.PAGE_UNREACHABLE,
    ServerTooSlow: ReturnCode.PAGE_TOO_SLOW,
    ServerAnswerTooLarge: ReturnCode.PAGE_TOO_LARGE,
    ServerAnswerBroken: ReturnCode.PAGE_MALFORMED,
}


class PageClient:
    """Speaks to pages. One per process; its connections are shared by all calls."""

    def __init__(self, egress: Egress, *, signing_secrets: SigningSecrets, clock: Clock) -> None:
        self._egress, self._secrets, self.clock = egress, signing_secrets, clock

    async def secrets_of(self, account: AccountId, service: ServiceId) -> Sequence[str]:
        """What the requests of a call of this service are signed with."""
        return await self._secrets(account, service)

    async def ask(
        self, page: str, request: PageRequest, *, signing_secrets: Sequence[str], seconds_max: float, whose: str = ""
    ) -> PageAnswer:
        """One request to one page; PageFault in whichever way it fails."""
        answered = await self._post(
            page, request, signing_secrets=signing_secrets, seconds_max=seconds_max, whose=whose
        )
        return read_answer(answered.body, page=page)

    async def tell(
        self, page: str, request: PageRequest, *, signing_secrets: Sequence[str], seconds_max: float, whose: str = ""
    ) -> None:
        """As `ask`, for a page whose answer says nothing any more."""
        await self._post(page, request, signing_secrets=signing_secrets, seconds_max=seconds_max, whose=whose)

    async def _post(
        self, page: str, request: PageRequest, *, signing_secrets: Sequence[str], seconds_max: float, whose: str = ""
    ) -> Answered:
        if not signing_secrets:  # a page must be able to tell our requests from others, so none goes out unsigned
            raise PageFault(ReturnCode.APPLICATION_INVALID, page=page, refused="not-signed")
        body, message = write_request(request), f"req_{uuid4().hex}"
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        headers |= signed_headers(body, message=message, signing_secrets=signing_secrets, clock=self.clock)
        try:
            answered = await self._egress.post(
                page, body, headers=headers, seconds_max=seconds_max, bytes_max=ANSWER_BYTES_MAX, whose=whose
            )
        except tuple(_CODES) as error:
            raise PageFault(_CODES[type(error)], page=page, refused=error.code()) from None
        if not 200 <= answered.status < 300:
            raise PageFault(ReturnCode.PAGE_STATUS, page=page, status=answered.status)
        return answered


def stored_secrets(database: Database, box: SecretBox, clock: Clock) -> SigningSecrets:
    """Signing secrets from the book of services."""

    async def find(account: AccountId, service: ServiceId) -> Sequence[str]:
        async with database.account(account) as connection:
            return await page_secrets(connection, account, service, box=box, now=clock.now())

    return find
