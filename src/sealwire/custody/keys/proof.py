"""No leaf, no plaintext: the evidence that must hold before the keeper derives a key. All checks of it are here.

(0) the nonce is taken out of the unused ones, whatever comes after;
(1) the checkpoint is signed by the log key that was pinned when the account was made, and is of that log;
(2) the leaf made of class, salt and payload is included in that checkpoint's tree;
(3) the payload is of this account and carries a nonce that this keeper gave out in the last minute and never saw;
(4) the payload commits to exactly what is asked for: these contexts, so many of them, this lookup;
(5) its type is one under which this may be done, and the leaf is of that type's class: a leaf that says "index rebuilt"
    opens no record, and no payload gives itself out as another kind of act than the log shows;
(6) it says who acts and for which purpose.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

import rfc8785

from sealwire.custody.keys.messages import OpenProof
from sealwire.custody.keys.refusals import PathMalformed, ProofRefused
from sealwire.custody.sealing.envelope import items_root
from sealwire.ground.clock import Clock
from sealwire.vocabulary import AccountId, Purpose
from sealwire_verifier.checkpoint import parse_checkpoint
from sealwire_verifier.errors import NotProved
from sealwire_verifier.leaf import leaf_bytes
from sealwire_verifier.merkle import leaf_hash, verify_inclusion
from sealwire_verifier.note import parse_vkey

NONCE_BYTES = 16
NONCE_SECONDS = 60.0
NONCES_MAX = 10_000
_PURPOSES = frozenset(purpose.value for purpose in Purpose)


class Act(Enum):
    """What may be done under a leaf, by the types of leaf that allow it and their classes in the log."""

    OPEN_RECORDS = MappingProxyType({"record.opened": 6, "restore.drilled": 14})
    OPEN_LOG_PAYLOADS = MappingProxyType({"log.opened": 17})
    LOOK_UP_NUMBER = MappingProxyType({"subject.searched": 7})
    REBUILD_INDEX = MappingProxyType({"index.rebuilt": 15})


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants done, to be matched against the leaf; `lookup` is the commitment to a search."""

    act: Act
    account: AccountId
    contexts: Sequence[str]
    lookup: str | None = None


class Challenges:
    """Nonces given out and not yet used: each opens once, within a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._given: dict[str, float] = {}

    def give(self) -> bytes:
        """A fresh nonce; the oldest is dropped when ten thousand wait."""
        now_s = self._clock.monotonic_s()
        while self._given:
            oldest = next(iter(self._given))
            if len(self._given) < NONCES_MAX and now_s - self._given[oldest] <= NONCE_SECONDS:
                break
            del self._given[oldest]
        nonce = os.urandom(NONCE_BYTES)
        self._given[nonce.hex()] = now_s
        return nonce

    def take(self, nonce: object) -> bool:
        """Use a nonce up; False when it was not given, has been used, or is too old."""
        given_s = self._given.pop(nonce, None) if isinstance(nonce, str) else None
        return given_s is not None and self._clock.monotonic_s() - given_s <= NONCE_SECONDS


def check_vkey(text: str) -> None:
    """Refuse an account whose log key nobody could check against."""
    try:
        parse_vkey(text)
    except NotProved as error:
        raise PathMalformed(f"the log's key is not a C2SP vkey: {error}") from None


def check_proof(proof: OpenProof, asked: Asked, *, log_vkey: str, challenges: Challenges) -> None:
    """Return when every check holds; ProofRefused names the number of the one that does not."""
    payload = _payload(proof.payload)
    fresh = challenges.take(payload.get("nonce"))  # (0)
    try:
        checkpoint = parse_checkpoint(proof.checkpoint, log_vkey)  # (1)
    except NotProved as error:
        raise _refused(1, str(error)) from None
    try:
        leaf = leaf_hash(leaf_bytes(proof.leaf_class, proof.salt, proof.payload))  # (2)
        if proof.size != checkpoint.size:
            raise NotProved("the proof is for another size than the checkpoint")
        verify_inclusion(leaf, proof.index, checkpoint.size, proof.path, checkpoint.root)
    except NotProved as error:
        raise _refused(2, str(error)) from None
    if payload.get("account") not in (str(asked.account), checkpoint.origin):  # (3)
        raise _refused(3, "the leaf is of another account")
    if not fresh:
        raise _refused(3, "the nonce is unknown, used or older than a minute; ask for a new one")
    _check_purport(payload, proof.leaf_class, asked)


def purpose_of(proof: OpenProof) -> str:
    """The purpose that the leaf of a checked proof states."""
    return str(_payload(proof.payload)["purpose"])


def _check_purport(payload: dict[str, Any], leaf_class: int, asked: Asked) -> None:
    items, kind = payload.get("items"), payload.get("type")
    if payload.get("items_root") != items_root(asked.contexts) or payload.get("lookup") != asked.lookup:  # (4)
        raise _refused(4, "the leaf does not commit to exactly what is asked for")
    if isinstance(items, bool) or items != len(asked.contexts):
        raise _refused(4, "the leaf gives another number of records than is asked for")
    if not isinstance(kind, str) or asked.act.value.get(kind) != leaf_class:  # (5)
        raise _refused(5, "nothing is opened under a leaf of this type and class")
    principal = payload.get("principal")
    if not isinstance(principal, str) or not principal.strip():  # (6)
        raise _refused(6, "the leaf does not say who acts")
    if payload.get("purpose") not in _PURPOSES:
        raise _refused(6, "the leaf gives no purpose that is in the list")


def _payload(data: bytes) -> dict[str, Any]:
    """The payload, which has one spelling only: canonical JSON (RFC 8785), no member twice."""
    try:
        payload = json.loads(data, object_pairs_hook=_object)
        is_canonical = rfc8785.dumps(payload) == data
    except (ValueError, RecursionError, rfc8785.CanonicalizationError):
        raise _refused(0, "the payload is not JSON, or names a member twice") from None
    if not isinstance(payload, dict):
        raise _refused(0, "the payload is not a JSON object")
    if not is_canonical:
        raise _refused(0, "the payload is not in canonical form (RFC 8785)")
    return payload


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _refused(step: int, reason: str) -> ProofRefused:
    return ProofRefused(f"step {step}: {reason}; no key was derived")
