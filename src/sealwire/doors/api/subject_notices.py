"""Telling recipients what was done for a person (GDPR Art. 19), and showing who was told."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from sealwire.communications.disclosures import Recipient, recipients_of
from sealwire.communications.webhooks.endpoints import tell_one
from sealwire.communications.webhooks.events import Event
from sealwire.custody.requests.notices import Notice, categories_touched, put_notice
from sealwire.custody.requests.workflow import Kind, Request
from sealwire.doors.api.fields import Moment
from sealwire.doors.api.parts import Visit
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import DeliveryId, EndpointId, ProgramId, ReportId, TrunkId

EVENTS = {
    Kind.ERASURE: Event.SUBJECT_ERASED,
    Kind.RECTIFICATION: Event.SUBJECT_RECTIFIED,
    Kind.RESTRICTION: Event.SUBJECT_RESTRICTED,
}
_IDS = {"trunk": TrunkId, "webhook-endpoint": EndpointId, "program": ProgramId, "export": ReportId}


class NoticeSeen(msgspec.Struct, kw_only=True):
    """A recipient of the person's data, and how they are told."""

    kind: Annotated[
        str,
        Meta(
            description="`webhook-endpoint`, `trunk`, `program`, `the-message-centre`, or `export`: a report with "
            "content, which whoever fetched it has.",
            examples=["webhook-endpoint"],
        ),
    ]
    id: Annotated[str | None, Meta(description="Which one.", examples=["whk_5f0c1e2d9a7b4c6e8f10213243546576"])]
    told_by: Annotated[
        str, Meta(description="`webhook`, or `controller`: we cannot tell them, you do.", examples=["webhook"])
    ]
    delivery: Annotated[
        str | None,
        Meta(
            description="The delivery that tells them; `/v1/webhook-deliveries` says whether it was taken.",
            examples=["dlv_5f0c1e2d9a7b4c6e8f10213243546576"],
        ),
    ]
    at: Moment


class Telling:
    """Writes down whom a request concerns, and sends what can be sent, in the transaction in which it is done."""

    def __init__(self, here: Visit) -> None:
        self._here = here

    async def __call__(self, connection: Connection, request: Request) -> None:
        if request.kind not in EVENTS:
            return
        touched = await categories_touched(connection, request)
        has_centre = bool(self._here.parts.settings.smsc)
        by_category = await recipients_of(connection, request.account, has_centre=has_centre)
        concerned = dict.fromkeys(one for category in touched for one in by_category.get(category.name, ()))
        for recipient in concerned:
            delivery = await self._tell(connection, request, recipient)
            notice = Notice(recipient.kind, recipient.value, delivery, self._here.parts.clock.now())
            await put_notice(connection, request, notice)

    async def _tell(self, connection: Connection, request: Request, recipient: Recipient) -> DeliveryId | None:
        """Every active endpoint, whatever else it asked to be told of: this is a duty, and carries the request's id."""
        if recipient.endpoint is None:
            return None
        return await tell_one(
            connection, request.account, recipient.endpoint, EVENTS[request.kind].value,
            {"request": str(request.request)}, clock=self._here.parts.clock,
        )  # fmt: skip


def notice_seen(notice: Notice) -> NoticeSeen:
    """As the API shows it."""
    known = _IDS.get(notice.kind)
    return NoticeSeen(
        kind=notice.kind, id=str(known(notice.recipient)) if known is not None else None,
        told_by="webhook" if notice.delivery is not None else "controller",
        delivery=str(notice.delivery) if notice.delivery is not None else None, at=notice.at,
    )  # fmt: skip
