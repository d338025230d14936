"""Drives a call by REST pages.

(1) The first page is asked. An inbound call is answered before its first action, unless that rejects it or the
service has early media. (2) Actions run one after the other; digits, a menu or a redirect may lead to another page,
else `next_page` is asked, with what came of the actions. (3) When nothing is left the call is hung up. (4) A page
that cannot be used, or an action that is refused, leads to the error page, once in a call; without one, or when that
happens again, the caller hears a sentence and the call ends. (5) After its end the final page is told how it ended.

The return code is the first thing that went wrong, or 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sealwire.communications.accounting.port import (
    DestinationNotAllowed,
    OutboundSuspended,
    SpendCapReached,
    TooManyCalls,
)
from sealwire.communications.control.actions import Action, GetDigits, HangUp, Redirect, Reject, RunMenu
from sealwire.communications.control.pages.client import PageClient
from sealwire.communications.control.pages.protocol import (
    Asked,
    CallInfo,
    EndInfo,
    ErrorInfo,
    PageAnswer,
    PageFault,
    PageRequest,
    read_interruption,
)
from sealwire.communications.control.perform import MessageSender, Result, cause_name, perform, verb_of
from sealwire.communications.control.port import (
    CallControl,
    ChannelEnded,
    ChannelState,
    RecordingImpossible,
    Sounds,
    WrongMoment,
)
from sealwire.communications.egress import AddressMalformed, address_after
from sealwire.communications.prompts import sound
from sealwire.errors import Broken, SealwireError
from sealwire.governance.services import Pages, Service
from sealwire.ground import diagnostics
from sealwire.vocabulary import HangupCause, ReturnCode

SORRY = "Sorry, this service cannot go on. Please call again later. Goodbye."
_REFUSED: dict[type[SealwireError], ReturnCode] = {
    RecordingImpossible: ReturnCode.RECORDING_REFUSED,
    DestinationNotAllowed: ReturnCode.DESTINATION_NOT_ALLOWED,
    OutboundSuspended: ReturnCode.DESTINATION_NOT_ALLOWED,
    SpendCapReached: ReturnCode.SPEND_CAP_REACHED,
    TooManyCalls: ReturnCode.TOO_MANY_CALLS,
}
_ENDED = {HangupCause.TOO_LONG: ReturnCode.CALL_TOO_LONG, HangupCause.SPEND_CAP: ReturnCode.SPEND_CAP_REACHED}


@dataclass(frozen=True, slots=True)
class PageLimits:
    """How long pages may take, and how many a call may use."""

    seconds_max: float = 10.0
    final_seconds_max: float = 5.0
    pages_max: int = 200
    idle_pages_max: int = 10
    """Pages in a row that do nothing but name another page: a loop."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What comes next: a page to be asked, or an answer that is there already."""

    asked: Asked
    page: str = ""
    error: ErrorInfo | None = None
    answer: PageAnswer | None = None


class _InterruptedError(Exception):
    """Somebody outside wants this done instead."""

    def __init__(self, answer: PageAnswer) -> None:
        super().__init__()
        self.answer = answer


class PagesApplication:
    """One service's pages, for any number of calls."""

    def __init__(
        self,
        service: Service,
        *,
        client: PageClient,
        sounds: Sounds,
        messages: MessageSender | None,
        limits: PageLimits | None = None,
    ) -> None:
        assert isinstance(service.logic, Pages)
        self.service, self.pages = service, service.logic
        self.client, self.sounds, self.messages, self.limits = client, sounds, messages, limits or PageLimits()

    async def run(self, call: CallControl) -> int:
        """Until the call has ended and its final page was told."""
        return await _Journey(self, call).run()


class _Journey:
    """One call on its way from page to page."""

    def __init__(self, application: PagesApplication, call: CallControl) -> None:
        self._app, self._call, self._channel = application, call, call.primary
        self._error_page, self._final_page = application.pages.error_page, application.pages.final_page
        self._at = application.pages.first_page
        self._results: list[Result] = []
        self._parameters = ""
        self._pages_asked = self._idle_pages = 0
        self._code = ReturnCode.DONE
        self._secrets: list[str] = []
        self._began_s = application.client.clock.monotonic_s()
        self._interruption: asyncio.Future[Any] | None = None

    async def run(self) -> int:
        self._secrets = [*await self._app.client.secrets_of(self._call.account, self._app.service.service)]
        try:
            await self._follow(_Step(Asked.FIRST, self._at))  # (1) (2)
            await self._channel.hang_up()  # (3)
        except ChannelEnded as ended:
            self._blame(_ENDED.get(ended.cause, ReturnCode.DONE))
        except PageFault:
            await self._apologise()
        finally:
            if self._interruption is not None:
                self._interruption.cancel()
        await self._tell_final_page()  # (5)
        return self._code  # as one of ours: a page itself cannot return a reserved code

    async def _follow(self, first: _Step) -> None:
        step: _Step | None = first
        has_failed = False
        while step is not None:
            try:
                step = await self._unless_interrupted(self._take(step))
            except _InterruptedError as interrupted:
                step = _Step(Asked.NEXT, answer=interrupted.answer)
            except PageFault as fault:  # (4)
                self._blame(fault.return_code)
                if has_failed or self._error_page is None:
                    raise
                has_failed, step = True, _Step(Asked.ERROR, self._error_page, fault.info)

    async def _unless_interrupted(self, work: Coroutine[Any, Any, _Step | None]) -> _Step | None:
        """Go on with the work; when somebody interrupts, the verb under way is stopped and dropped."""
        task = asyncio.ensure_future(work)
        if self._interruption is None:
            self._interruption = asyncio.ensure_future(self._call.next_interruption())
        try:
            await asyncio.wait({task, self._interruption}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        finally:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError, SealwireError):
                    await task
        wanted, self._interruption = self._interruption.result(), None
        with suppress(ChannelEnded):
            await self._channel.stop()
        raise _InterruptedError(read_interruption(wanted.body))

    async def _take(self, step: _Step) -> _Step | None:
        answer = step.answer
        if answer is None:
            answer = await self._ask(step)
            self._adopt(answer)
        if answer.actions and self._is_to_be_answered(answer.actions[0]):
            with suppress(WrongMoment):
                await self._channel.answer()
        return await self._carry_out(answer)

    def _is_to_be_answered(self, first: Action) -> bool:
        is_ringing = self._channel.direction.startswith("in") and self._channel.state is ChannelState.RINGING
        return is_ringing and not self._app.service.early_media and not isinstance(first, Reject)

    async def _carry_out(self, answer: PageAnswer) -> _Step | None:
        self._results = []
        for action in answer.actions:
            if isinstance(action, Redirect):
                return self._next(action.page)
            result = await self._perform(action)
            self._results.append(result)
            self._idle_pages = 0
            if isinstance(action, HangUp | Reject):
                return None
            if (page := _page_after(action, result)) is not None:
                return self._next(page)
        return self._next(answer.next_page) if answer.next_page is not None else None

    async def _perform(self, action: Action) -> Result:
        app = self._app
        try:
            return await perform(self._call, self._channel, action, sounds=app.sounds, messages=app.messages)
        except (ChannelEnded, Broken):
            raise
        except SealwireError as error:
            code = _REFUSED.get(type(error), ReturnCode.APPLICATION_FAILED)
            raise PageFault(code, action=verb_of(action), action_id=action.id, refused=error.code()) from None

    async def _ask(self, step: _Step) -> PageAnswer:
        """Ask a page, unless the caller hangs up meanwhile."""
        limits = self._app.limits
        if step.asked is not Asked.ERROR:
            self._pages_asked += 1
            self._idle_pages += 1
            if self._pages_asked > limits.pages_max or self._idle_pages > limits.idle_pages_max:
                raise PageFault(ReturnCode.TOO_MANY_ACTIONS, page=step.page, explanation="pages lead on without end")
        self._at = step.page
        request = self._request(step.asked, error=step.error)
        ended = asyncio.ensure_future(self._channel.wait_ended())
        asking = asyncio.ensure_future(
            self._app.client.ask(
                step.page, request, signing_secrets=self._secrets, seconds_max=limits.seconds_max,
                whose=str(self._call.account),
            )
        )  # fmt: skip
        try:
            await asyncio.wait({asking, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise ChannelEnded(cause=ended.result())
            return asking.result()
        finally:
            for task in (asking, ended):
                task.cancel()
            await asyncio.gather(asking, ended, return_exceptions=True)

    def _adopt(self, answer: PageAnswer) -> None:
        """Pages and parameters an answer names hold from now on."""
        if answer.error_page is not None:
            self._error_page = self._address(answer.error_page)
        if answer.final_page is not None:
            self._final_page = self._address(answer.final_page)
        if answer.parameters is not None:
            self._parameters = answer.parameters
            self._call.note_parameters(answer.parameters)

    def _next(self, page: str) -> _Step:
        return _Step(Asked.NEXT, self._address(page))

    def _address(self, page: str) -> str:
        try:
            return address_after(self._at, page)
        except AddressMalformed as error:
            raise PageFault(ReturnCode.PAGE_ADDRESS_REFUSED, page=page, refused=error.code()) from None

    def _request(self, asked: Asked, *, error: ErrorInfo | None = None, ended: EndInfo | None = None) -> PageRequest:
        channel = self._channel
        return PageRequest(
            request=asked, application_id=str(self._call.application_id), service_id=str(self._app.service.service),
            call=CallInfo(
                call_id=str(channel.call_id), direction=channel.direction, caller=channel.caller.text,
                callee=channel.callee.text, state=channel.state.value, arguments=self._call.arguments,
            ),
            results=self._results, parameters=self._parameters, error=error, ended=ended,
        )  # fmt: skip

    def _blame(self, code: ReturnCode) -> None:
        """The first thing that went wrong is what the application record says."""
        if self._code is ReturnCode.DONE and code is not ReturnCode.DONE:
            self._code = code
            diagnostics.event("pages.failed", application=self._call.application_id, code=int(code))

    async def _apologise(self) -> None:
        """Say a sentence and hang up; turn away a call that was not answered yet."""
        with suppress(ChannelEnded, WrongMoment):
            if self._channel.state is ChannelState.RINGING:
                await self._channel.reject(HangupCause.SERVICE_UNAVAILABLE)
                return
            try:
                said = await self._app.sounds.say(SORRY)
            except Exception:  # no speech engine: then the sound that is always there
                said = sound("goodbye")
            await self._channel.play(said)
            await self._channel.hang_up()

    async def _tell_final_page(self) -> None:
        if self._final_page is None:
            return
        seconds = round(self._app.client.clock.monotonic_s() - self._began_s, 3)
        ended = EndInfo(cause=cause_name(self._channel.cause), seconds=seconds, return_code=int(self._code))
        request, limits = self._request(Asked.FINAL, ended=ended), self._app.limits
        try:
            await self._app.client.tell(
                self._final_page, request, signing_secrets=self._secrets, seconds_max=limits.final_seconds_max,
                whose=str(self._call.account),
            )  # fmt: skip
        except PageFault as fault:
            diagnostics.event(
                "pages.final-page-failed", application=self._call.application_id, code=int(fault.return_code)
            )


def _page_after(action: Action, result: Result) -> str | None:
    """Where digits or a menu's key lead."""
    if isinstance(action, GetDigits):
        return action.next_page
    if isinstance(action, RunMenu):
        return next((option.next_page for option in action.options if option.digit == result["digit"]), None)
    return None
