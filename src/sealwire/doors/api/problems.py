"""Errors as problem documents (RFC 9457). The one place that gives errors their HTTP statuses.

A problem's `type` is `urn:sealwire:problem:<code>`, its `detail` the error's own sentence, its `instance` the
request id. An error that is not one of ours says nothing but that id: its message may quote data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import asyncpg
import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import (
    ClientException,
    LitestarException,
    MethodNotAllowedException,
    NotFoundException,
    SerializationException,
    ValidationException,
)
from litestar.types import Method
from litestar.utils.path import normalize_path

from sealwire.doors.api.pace import TooManyRequests
from sealwire.errors import Broken, Gone, Malformed, Missing, Refused, SealwireError, Unavailable
from sealwire.governance.agreements import NoAgreement
from sealwire.governance.credentials import NotAuthenticated
from sealwire.governance.principals import NotPermitted, PurposeMissing
from sealwire.ground import diagnostics
from sealwire.ground.postgres.database import DatabaseUnavailable

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
_METHODS: tuple[Method, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE")


class BodyNotJson(Malformed):
    """The request body is not JSON in UTF-8; correct it and send again."""


class BodyCutOff(Malformed):
    """The request body ended before all of it had arrived; nothing was done, send it again."""


class FieldsWrong(Malformed):
    """The body is JSON, but not with the fields this operation takes; see `errors`."""


class IdMalformed(Malformed):
    """The id in the address is not an id of this kind; ids are a prefix, `_` and 32 lower-case hex digits."""


class QueryWrong(Malformed):
    """A parameter or header of the request is unknown or has a value it cannot have; see `errors`."""


class CursorMalformed(Malformed):
    """This cursor was not made by this list; start without one, then pass on `next_cursor` as it came."""


class RouteMissing(Missing):
    """There is nothing at this address; the reference page at /reference lists what there is."""


class MethodNotAllowed(Malformed):
    """This address does not take that method; the Allow header lists those it takes."""


class ContentTypeWrong(Malformed):
    """Bodies are JSON (`Content-Type: application/json`); a media file is audio/wav, age or octet-stream, see there."""


class BodyTooLarge(Malformed):
    """The request body is larger than 1 MiB (a media file: 20 MiB); it was not read to its end."""


class HttpMalformed(Malformed):
    """This is not HTTP/1.1 as this server understands it; the connection ends here."""


class BodyTooSlow(Malformed):
    """The request body did not arrive in time; nothing was done, send it again."""


class AnswerTooSlow(Unavailable):
    """The answer took too long and was given up; ask again in a moment."""


class TooBusy(Unavailable):
    """More requests are being answered than this process takes on at once; ask again in a moment."""


_STATUSES: dict[type[SealwireError], int] = {
    HttpMalformed: 400,
    BodyNotJson: 400,
    BodyCutOff: 400,
    IdMalformed: 400,
    QueryWrong: 400,
    CursorMalformed: 400,
    MethodNotAllowed: 405,
    BodyTooSlow: 408,
    BodyTooLarge: 413,
    ContentTypeWrong: 415,
    Malformed: 422,
    NotAuthenticated: 401,
    NotPermitted: 403,
    PurposeMissing: 403,
    NoAgreement: 403,
    TooManyRequests: 429,
    Refused: 409,
    Missing: 404,
    Gone: 410,
    Unavailable: 503,
    Broken: 500,
    SealwireError: 500,
}
# What the keeper refuses because of the state of this installation is not the caller's fault.
_STATUSES_BY_CODE = {"proof-refused": 503, "clock-suspect": 503, "context-refused": 500}


class FieldProblem(msgspec.Struct, frozen=True):
    """One field that is wrong, and how."""

    field: str
    problem: str


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    certificate: str | None = None
    confirmation: str | None = None
    errors: list[FieldProblem] = []


def status_of(kind: type[SealwireError]) -> int:
    """The HTTP status of an error class: its own, or that of the nearest class above it."""
    if (status := _STATUSES_BY_CODE.get(kind.code())) is not None:
        return status
    return next(_STATUSES[parent] for parent in kind.__mro__ if parent in _STATUSES)


def type_of(kind: type[SealwireError]) -> str:
    """The `type` URI of an error class."""
    return f"urn:sealwire:problem:{kind.code()}"


def title_of(kind: type[SealwireError]) -> str:
    """The `title` of an error class: its code as words."""
    return kind.code().replace("-", " ").capitalize()


def certificate_address(erasure: str) -> str:
    """Where the certificate of an erasure, or of a closure, is read."""
    if erasure.startswith("clo_"):
        return f"/v1/closures/{erasure}/certificate"
    return f"/v1/certificates/{erasure}"


def document(error: Exception, request_id: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body for an exception. What is not ours is told to diagnostics, not to the caller."""
    known, fields = _translate(error, request_id)
    headers: dict[str, str] = {}
    kind = type(known)
    status = status_of(kind)
    certificate = None
    if isinstance(known, Gone) and known.certificate is not None:
        certificate = certificate_address(known.certificate)
        headers["Link"] = f'<{certificate}>; rel="describedby"; type="text/plain"'
    if isinstance(known, NotAuthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="sealwire"'
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(known, TooManyRequests):
        headers["Retry-After"] = str(known.standing.retry_after_s if known.standing else 1)
    problem = Problem(
        type=type_of(kind), title=title_of(kind), status=status, detail=str(known), instance=request_id,
        certificate=certificate, confirmation=getattr(known, "confirmation", None), errors=fields,
    )  # fmt: skip
    return status, headers, msgspec.json.encode(problem)


def as_problem(request: Request[object, object, State], error: Exception) -> Response[bytes]:
    """Litestar's exception handler for everything."""
    status, headers, body = document(error, request.scope["state"]["request_id"])
    if isinstance(error, MethodNotAllowedException):
        headers["Allow"] = _allowed(request)
    return Response(body, status_code=status, headers=headers, media_type=MEDIA_TYPE)


async def name_methods(request: Request[object, object, State]) -> Response[None] | None:
    """Litestar's hook before each request: OPTIONS is answered here, as the framework's own handler knows one method
    of each address only."""
    if request.scope["method"] != "OPTIONS":
        return None
    return Response(None, status_code=204, headers={"Allow": _allowed(request)})


def _allowed(request: Request[object, object, State]) -> str:
    return ", ".join(method for method in _METHODS if _is_routed(request, method))


def _is_routed(request: Request[object, object, State], method: Method) -> bool:
    try:
        request.app.asgi_router.handle_routing(normalize_path(request.scope["path"]), method)
    except MethodNotAllowedException:
        return False
    return True


def _translate(error: Exception, request_id: str) -> tuple[SealwireError, list[FieldProblem]]:
    fields: list[FieldProblem] = []
    known: SealwireError
    match error:
        case SealwireError():
            known = error
            if isinstance(error, Broken):
                diagnostics.failure("api.broken", error, request=request_id)
        case ValidationException():
            fields = list(_fields(error))
            in_body = any(field.field.startswith("$") for field in fields)
            known = FieldsWrong() if in_body else QueryWrong()
        case MethodNotAllowedException():
            known = MethodNotAllowed()
        case NotFoundException():
            known = RouteMissing()
        case SerializationException() | ClientException() | UnicodeDecodeError() | RecursionError():
            known = BodyNotJson()
        case asyncpg.OperatorInterventionError() | asyncpg.PostgresConnectionError() | asyncpg.InterfaceError():
            known = DatabaseUnavailable()
        case TimeoutError():
            known = AnswerTooSlow()
        case _:
            diagnostics.failure("api.failed", _inner(error), request=request_id)
            known = SealwireError("this failed inside the service; tell the operator the request id")
    return known, fields


def _inner(error: Exception) -> BaseException:
    return error.__cause__ if isinstance(error, LitestarException) and error.__cause__ else error


def _fields(error: ValidationException) -> Iterator[FieldProblem]:
    """What Litestar and msgspec found, without the values they quote."""
    for entry in error.extra if isinstance(error.extra, list) else []:
        key, source = str(entry.get("key", "")), str(entry.get("source", "body"))
        name = f"$.{key}" if source == "body" and key != "data" else "$" if source == "body" else key
        yield FieldProblem(_safe_name(name), _without_values(str(entry.get("message", "wrong"))))


def _safe_name(name: str) -> str:
    is_plain = re.fullmatch(r"\$?[A-Za-z_.\[\]0-9-]{0,80}", name) and not re.search(r"\d{5}", name)
    return name if is_plain else "(unprintable)"


def _without_values(message: str) -> str:
    message = re.sub(r"(Invalid enum value) .*", r"\1", message)
    return re.sub(r"(unknown field) `(?![a-z_]{1,40}`).*`", r"\1", message)
