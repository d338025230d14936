"""Who is asking, at every request anew, and whether their credential may do what the operation does.

Denied by default: all but a short list of public addresses wants a credential, before the route is even looked
up; and an operation without a declared scope is refused when the application is made.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from enum import Enum
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from sealwire.doors.api.parts import Parts, Visit
from sealwire.errors import SealwireError
from sealwire.governance.credentials import NotAuthenticated, authenticate
from sealwire.governance.principals import NotPermitted, Principal, Scope

PUBLIC_PATHS = frozenset({"/", "/reference", "/openapi.json", "/v1/health"})


class Who(Enum):
    """Who may do an operation that no scope stands for."""

    ANYBODY = "no credential needed"
    ANY_OF_ACCOUNT = "any credential of the account"
    ACCOUNT_OR_OPERATOR = "any credential of the account, or the operator"
    CLOSURE_FOLLOWER = "the account's owner, whoever has the retrieval token of the closure, or the operator"
    RETRIEVER_OR_OPERATOR = "whoever has the retrieval token of the closure, or the operator"
    CONFIGURER_OR_OPERATOR = "a credential with the scope `account:configure`, or the operator"


OF_OPERATOR = frozenset(
    {Who.ACCOUNT_OR_OPERATOR, Who.CONFIGURER_OR_OPERATOR, Who.CLOSURE_FOLLOWER, Who.RETRIEVER_OR_OPERATOR}
)


def operation(
    name: str,
    tag: str,
    who: Scope | Who,
    *,
    raises: Iterable[type[SealwireError]] = (),
    body: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What each operation declares about itself, with an example of its body where the fields' own would not do."""
    return {"operation_id": name, "tags": [tag], "opt": {"who": who, "raises": tuple(raises), "body": body}, **more}


async def visit_of(parts: Parts, headers: Iterable[tuple[bytes, bytes]], *, source: str | None) -> Visit:
    """The visit behind an `Authorization: Bearer` header (RFC 6750); NotAuthenticated without a good one.

    `source` is the address the connection really comes from; no header can state another.
    """
    stated = [value for name, value in headers if name == b"authorization"]
    scheme, _, secret = stated[0].decode("latin-1").partition(" ") if len(stated) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not secret.isascii():
        raise NotAuthenticated
    principal = await authenticate(parts.database, secret.strip(), source=source, now=parts.clock.now())
    hashing_key = hmac.digest(secret.strip().encode(), b"sealwire/idempotency/v1", "sha256")
    return Visit(parts, principal, hashing_key, source)


async def require_scope(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Litestar's guard on every operation: runs before the body is read. One that is not async gets a thread."""
    if "who" not in handler.opt and connection.scope["method"] == "OPTIONS":  # type: ignore[typeddict-item]
        return  # the framework's own handler, which names the methods of an address
    who = handler.opt["who"]
    if who is Who.ANYBODY:
        return
    visit: Visit = connection.scope["state"]["visit"]
    _require(visit.principal, who)


def _require(principal: Principal, who: Scope | Who) -> None:
    if principal.follows_closure_only:
        if who not in (Who.CLOSURE_FOLLOWER, Who.RETRIEVER_OR_OPERATOR):
            raise NotPermitted("a retrieval token reads how its closure goes, and nothing else")
        return
    if principal.account is not None:
        needed = {Who.CLOSURE_FOLLOWER: Scope.OWNER, Who.CONFIGURER_OR_OPERATOR: Scope.CONFIGURE}
        if isinstance(who, Scope) or who in needed:
            principal.require(who if isinstance(who, Scope) else needed[who])
        if who is Scope.OPERATOR:
            raise NotPermitted("only the operator's own credential does this")
        if who is Who.RETRIEVER_OR_OPERATOR:
            raise NotPermitted("the retrieval token of the closure does this, or the operator's own credential")
    elif who is not Scope.OPERATOR and who not in OF_OPERATOR:
        principal.in_account()
