"""Opening under a proof: small records are opened in here, and media decrypted; the keys go nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import msgspec

from sealwire.custody.keys.account import AccountKeys
from sealwire.custody.keys.messages import OpenProof, SealedItem
from sealwire.custody.keys.paths import AUDIT_CATEGORY, DayPath, LeafPath
from sealwire.custody.keys.proof import Act, Asked, check_proof, purpose_of
from sealwire.custody.keys.refusals import (
    AccountClosed,
    ContextRefused,
    MediaEnded,
    PastDue,
    PeriodMissing,
    Punctured,
    Restricted,
)
from sealwire.custody.keys.requests import Reach
from sealwire.custody.keys.sharing.guard import OUTSIDE
from sealwire.custody.keys.tree import LeafKeys, index_key, index_token, leaf_keys
from sealwire.custody.sealing.envelope import Context, MediaOpener, lookup_commitment, open_record
from sealwire.errors import SealwireError
from sealwire.vocabulary import AccountId, Purpose

if TYPE_CHECKING:
    from sealwire.custody.keys.keeper import Keeper

_UNREADABLE = (Punctured, PastDue, AccountClosed, PeriodMissing)
_NOBODY = "anonymous"
_FOR_THE_INDEX = Purpose.SUBJECT_REQUEST.value  # that what is restricted can be found; its fields stay in here


class MediaStream:
    """One media being opened piece by piece; ends at once when its leaf is destroyed."""

    def __init__(self, account: AccountId, leaf: LeafPath, opener: MediaOpener, *, purpose: str = "") -> None:
        self.account = account
        self.leaf = leaf
        self.purpose = purpose
        self._opener: MediaOpener | None = opener

    def update(self, sealed: bytes) -> bytes:
        """The next verified bytes, maybe none yet."""
        if self._opener is None:
            raise MediaEnded
        return self._opener.update(sealed)

    def finalize(self) -> bytes:
        """The last bytes; SealBroken when the end was cut off."""
        if self._opener is None:
            raise MediaEnded
        opener, self._opener = self._opener, None
        return opener.finalize()

    def end(self) -> None:
        self._opener = None


class Opening:
    """Every way to plaintext. Each first has its proof checked, then derives."""

    def __init__(self, keeper: Keeper, findable: Mapping[int, Sequence[int]]) -> None:
        self._keeper = keeper
        self._findable = findable
        self._streams: WeakSet[MediaStream] = WeakSet()

    def records(self, account: AccountId, proof: OpenProof, items: Sequence[SealedItem]) -> list[bytes | None]:
        """The plaintexts; None for what is erased or past due."""
        contexts = [item.context for item in items]
        keys = self._proved(_act_on(contexts), account, proof, contexts)
        purpose = purpose_of(proof)
        for context in contexts:
            self._require_unrestricted(keys, context, purpose)
        return [self._record(keys, item, purpose) for item in items]

    def media(self, account: AccountId, proof: OpenProof, item: SealedItem) -> MediaStream:
        """A stream that decrypts one media; Punctured when it is erased."""
        if _act_on([item.context]) is not Act.OPEN_RECORDS:
            raise ContextRefused
        keys = self._proved(Act.OPEN_RECORDS, account, proof, [item.context])
        context = self._context(account, item.context)
        purpose = purpose_of(proof)
        opener = MediaOpener(self._leaf_keys(keys, context, purpose).media, context)
        stream = MediaStream(account, _leaf(context), opener, purpose=purpose)
        self._streams.add(stream)
        return stream

    def index_tokens(
        self, account: AccountId, proof: OpenProof, number: str, days: Sequence[DayPath], *, salt: bytes
    ) -> list[bytes | None]:
        """What stands for this number in the blind index of each day; None for days that are erased."""
        lookup = lookup_commitment(salt, number, days)
        keys = self._proved(Act.LOOK_UP_NUMBER, account, proof, [], lookup=lookup)
        return [self._token(keys, day, number) for day in days]

    def reindex(self, account: AccountId, proof: OpenProof, items: Sequence[SealedItem]) -> list[list[bytes]]:
        """The index tokens of each record, made from the fields its category makes findable; the fields stay here."""
        keys = self._proved(Act.REBUILD_INDEX, account, proof, [item.context for item in items])
        return [self._tokens(keys, item) for item in items]

    def end_unreadable(self, keys: AccountKeys, reach: Reach) -> None:
        """End media streams whose leaf was destroyed, and was not spared because it is held."""
        for stream in self._streams:
            is_touched = stream.account == keys.account and reach.touches_leaf(stream.leaf)
            if is_touched and not keys.tree.holds(stream.leaf.node):
                stream.end()

    def end_guarded(self, account: AccountId) -> None:
        """End media streams of what a share guards that is not lent any more."""
        for stream in self._streams:
            if stream.account == account and stream.leaf.category not in OUTSIDE:
                stream.end()

    def end_restricted(self, keys: AccountKeys) -> None:
        """End media streams of what is restricted now, but those for the purposes that stay allowed."""
        for stream in self._streams:
            if stream.account == keys.account and not self._may_go_on(keys, stream):
                stream.end()

    def _may_go_on(self, keys: AccountKeys, stream: MediaStream) -> bool:
        try:
            keys.require_readable(stream.leaf, self._keeper.calendar.today(), purpose=stream.purpose)
        except Restricted:
            return False
        except SealwireError:  # past due or a suspect clock: what is open already ends when it is destroyed
            return True
        return True

    def _proved(
        self, act: Act, account: AccountId, proof: OpenProof, contexts: Sequence[str], *, lookup: str | None = None
    ) -> AccountKeys:
        keys, challenges = self._keeper.load(account), self._keeper.challenges
        asked = Asked(act, account, contexts, lookup)
        check_proof(proof, asked, log_vkey=keys.log_vkey, challenges=challenges)
        return keys

    def _require_unrestricted(self, keys: AccountKeys, text: str, purpose: str) -> None:
        """Restricted unless all may be opened: a page that leaves some out in silence would look complete."""
        with suppress(*_UNREADABLE):
            leaf = _leaf(self._context(keys.account, text))
            keys.require_readable(leaf, self._keeper.calendar.today(), purpose=purpose)

    def _record(self, keys: AccountKeys, item: SealedItem, purpose: str) -> bytes | None:
        context = self._context(keys.account, item.context)
        try:
            k_record = self._leaf_keys(keys, context, purpose).record
        except _UNREADABLE:
            return None
        return open_record(k_record, context, item.blob)

    def _token(self, keys: AccountKeys, day: DayPath, number: str) -> bytes | None:
        try:
            keys.require_readable(day, self._keeper.calendar.today(), purpose=_FOR_THE_INDEX)
            return index_token(index_key(keys.tree, day), number)
        except _UNREADABLE:
            return None

    def _tokens(self, keys: AccountKeys, item: SealedItem) -> list[bytes]:
        positions = self._findable.get(Context.parse(item.context).category, ())
        if not positions:
            return []
        plaintext = self._record(keys, item, _FOR_THE_INDEX)
        if plaintext is None:
            return []
        fields: list[Any] = msgspec.msgpack.decode(plaintext, type=list[Any])
        values = {fields[position] for position in positions if position < len(fields)}
        numbers = sorted(value for value in values if isinstance(value, str) and value != _NOBODY)
        day = _leaf(Context.parse(item.context)).day_path
        tokens = [self._token(keys, day, number) for number in numbers]
        return [token for token in tokens if token is not None]

    def _leaf_keys(self, keys: AccountKeys, context: Context, purpose: str) -> LeafKeys:
        leaf = _leaf(context)
        keys.require_readable(leaf, self._keeper.calendar.today(), purpose=purpose)
        return leaf_keys(keys.tree.derive(leaf))

    @staticmethod
    def _context(account: AccountId, text: str) -> Context:
        context = Context.parse(text)
        if context.account != account:
            raise ContextRefused
        return context


def _leaf(context: Context) -> LeafPath:
    return LeafPath(context.category, context.retention_class, context.day, context.slot)


def _act_on(contexts: Sequence[str]) -> Act:
    """Payloads of the log are opened under a leaf of their own kind, and never together with records."""
    audit = [context for context in contexts if Context.parse(context).category == AUDIT_CATEGORY]
    if audit and len(audit) != len(contexts):
        raise ContextRefused("records and payloads of the log are never opened under one leaf; ask for them apart")
    return Act.OPEN_LOG_PAYLOADS if audit else Act.OPEN_RECORDS
