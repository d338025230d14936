"""What is said between us and a customer's page: the request, the answer, and every way in which a page can fail.

Both are JSON; docs/formats/page-protocol.md is the same in words. Numbers travel in the body of a POST only.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from sealwire.communications.control.actions import Action, Page
from sealwire.errors import Refused
from sealwire.vocabulary import ReturnCode

VERSION = 1
ACTIONS_MAX = 50
PARAMETERS_CHARACTERS_MAX = 5000


class Asked(StrEnum):
    """Which page is being asked."""

    FIRST = "first"
    NEXT = "next"
    ERROR = "error"
    FINAL = "final"


class CallInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The call, as its page sees it. Personal: it does not show itself in a repr."""

    call_id: str
    direction: str
    caller: str = msgspec.field(name="from")
    callee: str = msgspec.field(name="to")
    state: str
    arguments: str

    def __repr__(self) -> str:
        return "CallInfo(...)"


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Why the error page is asked: a reason and its return code, and what it came from."""

    reason: str
    return_code: int
    page: str | None = None
    status: int | None = None
    action: str | None = None
    action_id: str | None = None
    refused: str | None = None
    detail: str | None = None


class EndInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How the call ended, for the final page."""

    cause: str
    seconds: float
    return_code: int


class PageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every request to a page."""

    version: int = VERSION
    request: Asked
    application_id: str
    service_id: str
    call: CallInfo
    results: list[dict[str, object]] = []
    parameters: str = ""
    error: ErrorInfo | None = None
    ended: EndInfo | None = None

    def __repr__(self) -> str:
        return f"PageRequest(request={self.request.value})"


class PageAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a page answers: what to do, and which pages come after."""

    actions: list[Action] = []
    next_page: Page | None = None
    error_page: Page | None = None
    final_page: Page | None = None
    parameters: Annotated[str, Meta(max_length=PARAMETERS_CHARACTERS_MAX)] | None = None

    def __repr__(self) -> str:
        return f"PageAnswer({len(self.actions)} actions)"


class PageFault(Refused):
    """A page of this service could not be used; the return code says in which way."""

    def __init__(
        self,
        return_code: ReturnCode = ReturnCode.PAGE_MALFORMED,
        *,
        page: str | None = None,
        status: int | None = None,
        action: str | None = None,
        action_id: str | None = None,
        refused: str | None = None,
        explanation: str | None = None,
    ) -> None:
        super().__init__()
        self.return_code = return_code
        self.info = ErrorInfo(
            reason=return_code.name.lower().replace("_", "-"), return_code=int(return_code), page=page, status=status,
            action=action, action_id=action_id or None, refused=refused, detail=explanation,
        )  # fmt: skip


_ANSWER = msgspec.json.Decoder(PageAnswer)
_REQUEST = msgspec.json.Encoder()


def write_request(request: PageRequest) -> bytes:
    """The body to be signed and sent."""
    return _REQUEST.encode(request)


def read_answer(body: bytes, *, page: str) -> PageAnswer:
    """A page's answer; PageFault when it is not JSON of this form, or asks for too much."""
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise PageFault(ReturnCode.PAGE_MALFORMED, page=page, explanation=str(error)[:300]) from None
    return _checked(answer, page=page)


def read_interruption(body: Mapping[str, object]) -> PageAnswer:
    """What somebody outside wants done instead: `page` to be asked, or an answer as a page would give it."""
    if set(body) == {"page"}:
        body = {"next_page": body["page"]}
    try:
        return _checked(msgspec.convert(body, PageAnswer), page=None)
    except msgspec.ValidationError as error:
        raise PageFault(ReturnCode.PAGE_MALFORMED, explanation=str(error)[:300]) from None


def _checked(answer: PageAnswer, *, page: str | None) -> PageAnswer:
    if len(answer.actions) > ACTIONS_MAX:
        raise PageFault(ReturnCode.TOO_MANY_ACTIONS, page=page, explanation=f"{ACTIONS_MAX} actions at most")
    return answer
