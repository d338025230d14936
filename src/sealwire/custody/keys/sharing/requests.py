"""What a tick can be asked to do about an account's share. Pure; none of it seals a record anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from sealwire.custody.keys.account import AccountKeys
from sealwire.custody.keys.refusals import AccountUnknown
from sealwire.custody.keys.requests import Reach
from sealwire.custody.keys.sharing.guard import OUTSIDE, Guard
from sealwire.custody.keys.sharing.refusals import ShareElsewhere, ShareMissing
from sealwire.vocabulary import AccountId


@dataclass(frozen=True, slots=True)
class _About:
    account: AccountId

    @property
    def reach(self) -> Reach:
        return Reach()


def _known(keys: AccountKeys | None) -> AccountKeys:
    if keys is None:
        raise AccountUnknown
    return keys


@dataclass(frozen=True, slots=True)
class Guarding(_About):
    """Seal the account's keys to a customer's share; the same holder again may have another address."""

    guard: Guard

    def apply(self, keys: AccountKeys | None) -> AccountKeys:
        keys, new = _known(keys), self.guard
        if keys.guard is None:
            return keys.guarded_by(new)
        if keys.guard.vkey != new.vkey:
            raise ShareElsewhere
        return keys.moved(msgspec.structs.replace(keys.guard, address=new.address, pin=new.pin, operator=new.operator))

    def act(self, _keys: AccountKeys) -> dict[str, Any]:
        return {"act": "share.joined", "account": str(self.account), "holder": self.guard.name}


@dataclass(frozen=True, slots=True)
class Rotating(_About):
    """Seal the same keys to the following share."""

    def apply(self, keys: AccountKeys | None) -> AccountKeys:
        keys = _known(keys)
        return keys if keys.guard is None or keys.is_locked else keys.guarded_by(keys.guard)

    def act(self, keys: AccountKeys) -> dict[str, Any]:
        generation = 0 if keys.guard is None else keys.guard.share.generation
        return {"act": "share.rotated", "account": str(self.account), "generation": generation}


@dataclass(frozen=True, slots=True)
class Unguarding(_About):
    """Take the guard off; ShareAway unless the share is lent."""

    def apply(self, keys: AccountKeys | None) -> AccountKeys:
        keys = _known(keys)
        if keys.guard is None:
            raise ShareMissing
        return keys.unguarded()

    def act(self, _keys: AccountKeys) -> dict[str, Any]:
        return {"act": "share.left", "account": str(self.account)}


@dataclass(frozen=True, slots=True)
class Severing(_About):
    """The customer destroyed the share: what it guarded goes, everywhere, and with it every lease on it."""

    receipt: bytes

    @property
    def reach(self) -> Reach:
        return Reach(closed_keeping=frozenset(OUTSIDE))

    def apply(self, keys: AccountKeys | None) -> AccountKeys:
        keys = _known(keys)
        return keys if keys.guard is None else keys.without_share(receipt=self.receipt)

    def act(self, _keys: AccountKeys) -> dict[str, Any]:
        return {"act": "share.destroyed", "account": str(self.account), "receipt": msgspec.json.decode(self.receipt)}


ShareRequest = Guarding | Rotating | Unguarding | Severing
