"""Calls that are up: started, watched, told what to do, redirected, cancelled."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED
from msgspec import Meta

from sealwire.communications.accounting.port import (
    DestinationNotAllowed,
    OutboundSuspended,
    SpendCapReached,
    TooManyCalls,
)
from sealwire.communications.calls.pace import TooFast
from sealwire.communications.calls.switchboard import ApplicationNotThere, CallMissing, WrongDirection
from sealwire.communications.carriers.trunks import CallerNotYours, NoRoute
from sealwire.communications.control.actions import Action
from sealwire.communications.control.port import ChannelEnded, NotReached, WrongMoment
from sealwire.communications.control.programs.verbs import ChannelMissing
from sealwire.communications.egress import AddressMalformed, AddressPlain, AddressRefused, require_usable
from sealwire.custody.categories.codec import as_json
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import (
    E164_PATTERN,
    CallIdText,
    IdempotencyKey,
    LiveCallPath,
    Moment,
    MomentOrNull,
    NumberText,
    id_in_address,
    id_pattern,
)
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.parts import Here
from sealwire.doors.api.problems import IdMalformed
from sealwire.errors import Refused
from sealwire.governance import service_book
from sealwire.governance.agreements import NoAgreement
from sealwire.governance.principals import Scope
from sealwire.governance.service_book import ServiceMissing
from sealwire.governance.services import PageAddress, Pages
from sealwire.vocabulary import E164, CallId, HangupCause, Party, ServiceId

ACT_ANSWER_S = 30.0
MONEY = (DestinationNotAllowed, SpendCapReached, TooManyCalls, OutboundSuspended)


class RedirectNeedsPages(Refused):
    """Only calls of a service that asks pages can be sent to another page; use an action instead."""


class NewCall(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A call to be started."""

    service_id: Annotated[
        str,
        Meta(
            description="What drives it.",
            examples=["svc_5f0c1e2d9a7b4c6e8f10213243546576"],
            max_length=40,
            extra_json_schema=id_pattern("svc"),
        ),
    ]
    to: NumberText
    from_: Annotated[
        Annotated[str, Meta(max_length=40, extra_json_schema={"pattern": E164_PATTERN})] | None,
        Meta(description="A number of the account; null: the trunk's default.", examples=["+441632960100"]),
    ] = msgspec.field(default=None, name="from")
    arguments: Annotated[
        str,
        Meta(description="For the application only; sealed in its record.", examples=["appointment 1234"],
             max_length=5000),
    ] = ""  # fmt: skip

    def __repr__(self) -> str:
        return "NewCall(...)"


class CallStarted(msgspec.Struct, kw_only=True):
    """A call that is on its way."""

    call_id: CallIdText
    application_id: Annotated[
        str, Meta(description="Its application record comes under this id.",
                  examples=["app_5f0c1e2d9a7b4c6e8f10213243546576"])
    ]  # fmt: skip


class ChannelSeen(msgspec.Struct, kw_only=True):
    """One leg of a call, without its numbers."""

    channel: Annotated[int, Meta(description="0 is the call's own leg.", examples=[0])]
    call_id: CallIdText
    direction: Annotated[str, Meta(examples=["outbound"])]
    state: Annotated[str, Meta(description="ringing, up or ended.", examples=["up"])]
    doing: Annotated[str, Meta(description="What the leg is at.", examples=["playing"])]
    held: Annotated[bool, Meta(description="Whether the far end has put it on hold.", examples=[False])]
    answered_at: MomentOrNull
    hangup_cause: Annotated[str | None, Meta(description="Why it ended, once it has.", examples=[None])]


class LiveCallSeen(msgspec.Struct, kw_only=True):
    """A call that is up, without its numbers."""

    call_id: CallIdText
    application_id: Annotated[str, Meta(examples=["app_5f0c1e2d9a7b4c6e8f10213243546576"])]
    service_id: Annotated[str | None, Meta(examples=["svc_5f0c1e2d9a7b4c6e8f10213243546576"])]
    direction: Annotated[str, Meta(examples=["outbound"])]
    started_at: Moment
    recording: Annotated[str, Meta(description="Of the whole call.", examples=["off"])]
    channels: list[ChannelSeen]


class LiveCalls(msgspec.Struct, kw_only=True):
    """All calls of the account that are up: never more than its limit."""

    items: list[LiveCallSeen]


class CallCancelled(msgspec.Struct, kw_only=True):
    """A call that is being ended."""

    call_id: CallIdText


class WantedAction(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One action for one leg."""

    action: Annotated[
        Action, Meta(description="As in a page's answer.", examples=[{"action": "say", "text": "One moment."}])
    ]
    channel: Annotated[int, Meta(ge=0, le=3, description="0 is the call's own leg.", examples=[0])] = 0

    def __repr__(self) -> str:
        return "WantedAction(...)"


class ActionDone(msgspec.Struct, kw_only=True):
    """What came of an action; `done` false: it takes longer than this request may, and goes on."""

    done: Annotated[bool, Meta(examples=[True])]
    result: Annotated[dict[str, Any] | None, Meta(examples=[{"action": "say", "id": "", "stopped_by": None}])]


class WantedPage(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a call is to go on."""

    page: Annotated[PageAddress, Meta(examples=["https://example.org/next"])]


@post(
    "/v1/calls",
    status_code=HTTP_202_ACCEPTED,
    **operation(
        "start-call", "Live calls", Scope.CALLS, summary="Start a call",
        raises=(
            ServiceMissing, WrongDirection, ApplicationNotThere, TooFast, NoAgreement, NoRoute, CallerNotYours,
            *MONEY, IdempotencyConflict, IdempotencyKeyMalformed,
        ),
        body={"service_id": "svc_5f0c1e2d9a7b4c6e8f10213243546576", "to": "+441632960123", "arguments": "appointment"},
    ),
)  # fmt: skip
async def start_call(
    here: Here, data: JSONBody[NewCall], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[CallStarted]:
    """The service's application runs once the called party answers. What became of it is in the call's status, then in
    the call record and the application record. The numbers are in this request only, never in an address.
    """
    account, parts = here.account, here.parts
    service, to = ServiceId.parse(data.service_id), E164.parse(data.to)
    caller = E164.parse(data.from_) if data.from_ is not None else None
    once = await Once.of(request, here, idempotency_key)
    async with parts.database.account(account) as connection:
        seen = await once.seen(connection, account)
        if seen is None:
            await once.remember(connection, account, "starting")
            started = await parts.switchboard.start_call(
                account, service, Party(to.text), caller=Party(caller.text) if caller else None,
                arguments=data.arguments, credential=here.principal.credential,
            )  # fmt: skip
            made, headers = f"{started['call']} {started['application']}", {}
            await once.settle(connection, account, made)
        else:
            made, headers = seen, REPLAYED
    call, _, application = made.partition(" ")
    headers = headers | {"Location": f"/v1/calls/{call}/status"}
    return Response(CallStarted(call_id=call, application_id=application), headers=headers, status_code=202)


@get("/v1/live-calls", **operation("list-live-calls", "Live calls", Scope.READ, summary="List calls that are up"))
async def list_live_calls(here: Here) -> LiveCalls:
    """All of them, without numbers; those of other accounts are not told of."""
    listed = await here.parts.switchboard.live_calls(here.account)
    return LiveCalls(items=[_seen(each) for each in listed])


@get(
    "/v1/calls/{call_id:str}/status",
    **operation(
        "get-call-status", "Live calls", Scope.READ, summary="Where a call is", raises=(CallMissing, IdMalformed)
    ),
)
async def get_call_status(here: Here, call_id: LiveCallPath) -> LiveCallSeen:
    """Every leg with its state. Once the call has ended this answers 404, and its record is at `/v1/calls`."""
    call = id_in_address(CallId, call_id)
    return _seen(await here.parts.switchboard.call_status(here.account, call))


@post(
    "/v1/calls/{call_id:str}/cancel",
    status_code=HTTP_200_OK,
    **operation("cancel-call", "Live calls", Scope.CALLS, summary="End a call", raises=(CallMissing, IdMalformed)),
)
async def cancel_call(here: Here, call_id: LiveCallPath) -> CallCancelled:
    """Takes it back while it rings, hangs up when it is up. Its records follow as for every other call."""
    call = id_in_address(CallId, call_id)
    await here.parts.switchboard.cancel_call(here.account, call)
    return CallCancelled(call_id=str(call))


@post(
    "/v1/calls/{call_id:str}/actions",
    status_code=HTTP_200_OK,
    **operation(
        "act-on-call", "Live calls", Scope.CALLS, summary="Have a call do something",
        raises=(CallMissing, ChannelMissing, ChannelEnded, NotReached, WrongMoment, IdMalformed, *MONEY),
        body={"action": {"action": "say", "text": "One moment."}, "channel": 0},
    ),
)  # fmt: skip
async def act_on_call(here: Here, call_id: LiveCallPath, data: JSONBody[WantedAction]) -> ActionDone:
    """Stops what the application is doing on that leg, does this, then lets the application go on. What takes longer
    than half a minute (a long recording, a connection) is answered before its end and goes on.
    """
    call, action = id_in_address(CallId, call_id), msgspec.to_builtins(data.action)
    acting = asyncio.ensure_future(here.parts.switchboard.act(here.account, call, data.channel, action))
    done, _ = await asyncio.wait({acting}, timeout=ACT_ANSWER_S)
    if not done:
        acting.cancel()  # the waiting for it; the switchboard goes on
        return ActionDone(done=False, result=None)
    return ActionDone(done=True, result=acting.result())


@post(
    "/v1/calls/{call_id:str}/redirect",
    status_code=HTTP_200_OK,
    **operation(
        "redirect-call", "Live calls", Scope.CALLS, summary="Send a call to another page",
        raises=(CallMissing, RedirectNeedsPages, AddressMalformed, AddressPlain, AddressRefused, IdMalformed),
    ),
)  # fmt: skip
async def redirect_call(here: Here, call_id: LiveCallPath, data: JSONBody[WantedPage]) -> LiveCallSeen:
    """What is being done is stopped, and this page is asked what to do next."""
    call, switchboard = id_in_address(CallId, call_id), here.parts.switchboard
    seen = _seen(await switchboard.call_status(here.account, call))
    async with here.parts.database.account(here.account) as connection:
        service = ServiceId.parse(seen.service_id) if seen.service_id else None
        logic = (await service_book.find_service(connection, here.account, service)).logic if service else None
    if not isinstance(logic, Pages):
        raise RedirectNeedsPages
    require_usable(data.page, here.parts.reach)
    await switchboard.interrupt(here.account, call, kind="redirect", body={"page": data.page})
    return seen


def _seen(status: dict[str, Any]) -> LiveCallSeen:
    return LiveCallSeen(
        call_id=status["call"], application_id=status["application"], service_id=status["service"],
        direction=status["direction"], started_at=_moment(status["started_at"]), recording=status["recording"],
        channels=[
            ChannelSeen(
                channel=each["channel"], call_id=each["call"], direction=each["direction"], state=each["state"],
                doing=each["doing"], held=each["held"],
                answered_at=_moment(each["answered_at"]) if each["answered_at"] else None,
                hangup_cause=as_json(HangupCause(each["cause"])) if each["cause"] is not None else None,
            )
            for each in status["channels"]
        ],
    )  # fmt: skip


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
