"""What the API answers when it does not do what was asked (RFC 9457): exceptions, told apart by whose move is next."""

from __future__ import annotations

import msgspec


class FieldProblem(msgspec.Struct, frozen=True):
    """A field of the request that is wrong."""

    field: str = ""
    problem: str = ""


class _Document(msgspec.Struct):
    type: str = ""
    title: str = ""
    status: int = 0
    detail: str = ""
    code: str = ""
    certificate: str | None = None
    errors: list[FieldProblem] = []


class Problem(Exception):
    """The API said no. `status` is HTTP's, `code` a stable name, the text says what happened and what to do."""

    def __init__(
        self, status: int, code: str, detail: str, *, request_id: str = "", retry_after_s: float = 0.0
    ) -> None:
        super().__init__(f"{status} {code}: {detail}" if code else f"{status}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.certificate: str | None = None
        """Where the proof of the erasure is (410)."""
        self.errors: list[FieldProblem] = []
        """Which fields are wrong, and why."""


class Malformed(Problem):
    """400, 413, 415, 422: correct the request; sending the same again will not help."""


class NotAuthenticated(Problem):
    """401: the credential is missing, unknown or revoked."""


class Refused(Problem):
    """403 or 409: a rule says no."""


class NotFound(Problem):
    """404: nothing is known under this id."""


class Erased(Problem):
    """410: the record was erased; `certificate` is the address of the proof, once there is one."""

    @property
    def erasure_id(self) -> str | None:
        """As `get_certificate` takes it."""
        return self.certificate.rpartition("/")[2] if self.certificate else None


class RateLimited(Problem):
    """429: too many requests; try again after `retry_after_s`."""


class Unavailable(Problem):
    """503: nothing was changed, try again."""


class NoAnswer(Unavailable):
    """No answer came (`status` is 0). What was asked for may have been done: look, or send the same key again."""


_KINDS: dict[int, type[Problem]] = {
    400: Malformed, 401: NotAuthenticated, 403: Refused, 404: NotFound, 409: Refused, 410: Erased, 413: Malformed,
    415: Malformed, 422: Malformed, 429: RateLimited, 503: Unavailable,
}  # fmt: skip


def problem_of(status: int, headers: dict[str, str], body: bytes) -> Problem:
    """The exception for an answer of 400 and above; any body will do."""
    try:
        document = msgspec.json.decode(body, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = _Document(detail="the answer was not a problem document; is this the address of the API?")
    code = document.code or document.type.rpartition("/")[2].rpartition(":")[2]
    waits = headers.get("retry-after", "")
    problem = _KINDS.get(status, Problem)(
        status,
        code,
        document.detail or document.title,
        request_id=headers.get("x-request-id", ""),
        retry_after_s=float(waits) if waits.isdigit() else 0.0,
    )
    problem.certificate, problem.errors = document.certificate, document.errors
    return problem
