"""Whether the loss of this disk would be the loss of everything, told from the keeper's folder, running or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sealwire.custody.keys.holding.domain import failure_domain
from sealwire.custody.keys.holding.membership import Membership


@dataclass(frozen=True, slots=True)
class Recoverability:
    """How many holders there are, the keeper counted, and what manifests say of it."""

    holders: int
    is_recoverable: bool
    sentence: str


def recoverability(keeper_dir: Path) -> Recoverability:
    """Disaster-recoverable once a second holder in another failure domain has joined."""
    members = Membership.load(keeper_dir).members if keeper_dir.exists() else []
    count = 1 + len(members)
    if not members:
        return Recoverability(1, is_recoverable=False, sentence="not disaster-recoverable: one key holder")
    _, device = failure_domain(keeper_dir)
    apart = sum(member.device != device for member in members)
    if not apart:
        sentence = f"not disaster-recoverable: all {count} key holders lie on one device"
        return Recoverability(count, is_recoverable=False, sentence=sentence)
    sentence = f"disaster-recoverable: {count} key holders, {apart} of them on another device or host"
    return Recoverability(count, is_recoverable=True, sentence=sentence)
