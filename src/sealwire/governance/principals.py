"""Who is asking: a credential with its account, its scopes and the purpose it opens content for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sealwire.errors import Refused
from sealwire.vocabulary import AccountId, CredentialId, Purpose


class Scope(StrEnum):
    """What a credential may do; `operator` manages accounts and can open nothing."""

    OWNER = "owner"
    READ = "records:list"
    OPEN = "records:open"
    ERASE = "records:erase"
    CALLS = "calls:control"
    MESSAGES = "messages:send"
    CONFIGURE = "account:configure"
    OPERATOR = "operator"


class NotPermitted(Refused):
    """This credential does not have the scope for that; use one that has, or ask the account's owner for it."""


class PurposeMissing(Refused):
    """Content is opened for a stated purpose only: send `Sealwire-Purpose`, or give the credential a default one."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller of one request."""

    credential: CredentialId
    account: AccountId | None
    scopes: frozenset[Scope]
    default_purpose: Purpose | None

    @property
    def follows_closure_only(self) -> bool:
        """Whether it came with the retrieval token of a closure: that has no scope, and reads how the closure went."""
        return not self.scopes

    def require(self, scope: Scope) -> None:
        """NotPermitted unless the credential has the scope; an owner has all of its account's."""
        if scope in self.scopes or (Scope.OWNER in self.scopes and scope is not Scope.OPERATOR):
            return
        raise NotPermitted(f"this credential lacks the scope {scope.value}; use one that has it")

    def in_account(self) -> AccountId:
        """The account this credential belongs to; the operator's own credential belongs to none."""
        if self.account is None:
            raise NotPermitted("an operator credential opens and lists nothing; use a credential of the account")
        return self.account

    def purpose(self, stated: str | None) -> Purpose:
        """The stated purpose, or the credential's default; PurposeMissing when there is neither."""
        if stated is not None:
            return Purpose.parse(stated)
        if self.default_purpose is None:
            raise PurposeMissing
        return self.default_purpose
