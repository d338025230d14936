"""A POST that is sent twice acts once (the `Idempotency-Key` header).

What is remembered is a keyed hash of the key, a keyed hash of the request, and the id of what was made: the hashes
are made under a secret of the caller's, so that a telephone number in a body cannot be guessed from its row. The
answer is never stored; a repeat looks the resource up again.
"""

from __future__ import annotations

import hmac
import re
from typing import Any
from uuid import UUID

from litestar import Request

from sealwire.doors.api.parts import Visit
from sealwire.errors import Malformed, Refused
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId

_queries = load_queries("sealwire.governance")
REPLAYED = {"Idempotent-Replayed": "true"}


class IdempotencyConflict(Refused):
    """This Idempotency-Key was used with another request; take a new key for a new request."""


class IdempotencyKeyMalformed(Malformed):
    """An Idempotency-Key is 1 to 200 visible ASCII characters; a fresh UUID is a good one."""


class SameRequestRunning(Refused):  # draft-ietf-httpapi-idempotency-key-header, 2.7: a 409
    """The same request with the same key was just being handled; send it again and you get its answer."""


class Once:
    """One POST and whether it was seen before. Without a key nothing is remembered."""

    def __init__(self, visit: Visit, key: str | None, *, method: str, path: str, body: bytes) -> None:
        if key is not None and not re.fullmatch(r"[!-~]{1,200}", key):
            raise IdempotencyKeyMalformed
        self._visit = visit
        self._key = hmac.digest(visit.hashing_key, b"key\n" + key.encode(), "sha256") if key else None
        request = b"\n".join((b"request", method.encode(), path.encode(), body))
        self._request = hmac.digest(visit.hashing_key, request, "sha256")

    @classmethod
    async def of(cls, request: Request[Any, Any, Any], visit: Visit, key: str | None) -> Once:
        """For the request at hand."""
        return cls(visit, key, method=request.method, path=request.scope["path"], body=await request.body())

    def new_account_id(self) -> AccountId:
        """The id of an account to be made: the same for the same key, so that a half-made one is finished."""
        if self._key is None:
            return AccountId.new()
        digest = hmac.digest(self._visit.hashing_key, b"account\n" + self._key, "sha256")
        return AccountId(UUID(bytes=digest[:16], version=4))

    async def seen(self, connection: Connection, account: AccountId) -> str | None:
        """The id of what the first request made; IdempotencyConflict when that was another request."""
        if self._key is None:
            return None
        row = await connection.fetchrow(_queries.find_idempotent, account.value, self._credential, self._key)
        if row is None:
            return None
        if not hmac.compare_digest(row["request_sha256"], self._request):
            raise IdempotencyConflict
        return str(row["resource"])

    async def remember(self, connection: Connection, account: AccountId, resource: str) -> None:
        """In the transaction that makes the resource, so that it is made once; the second of two gives way."""
        if self._key is None:
            return
        now = self._visit.parts.clock.now()
        done = await connection.fetchrow(
            _queries.insert_idempotent, account.value, self._credential, self._key, self._request, resource, now
        )
        if done is None:
            raise SameRequestRunning

    async def settle(self, connection: Connection, account: AccountId, resource: str) -> None:
        """What was made after all, for work that is done elsewhere between `remember` and here: one transaction."""
        if self._key is not None:
            await connection.execute(_queries.settle_idempotent, account.value, self._credential, self._key, resource)

    @property
    def _credential(self) -> UUID:
        return self._visit.principal.credential.value
