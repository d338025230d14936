"""What keeper and customer's holder say to each other, version 1, over the line that keeper and holder know already.

(1) The keeper connects and looks at the certificate: only the pinned one is spoken to.
(2) `hello` and `prove`, as with any holder (`holding.protocol`): the keeper shows that it is the one it says it is.
(3) `share_add` with a joining code binds a share to this keeper and account; a share answers its own keeper alone.
(4) `share_standing`, `share_lend`, `share_move_on`, `share_release`. The holder tells `share_destroyed` by itself.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sealwire.custody.keys.sharing.guard import PublicShare
from sealwire.custody.keys.sharing.receipt import ShareReceipt

ACTS_MAX = 1_000
LEASE_S_MIN, LEASE_S_MAX = 5, 7 * 86_400


class ShareStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How a share stands: its two generations and for how long its keys are lent, or that it is destroyed."""

    operator: str
    effaceability_class: str
    lease_s: int
    shares: list[PublicShare]
    receipt: ShareReceipt | None = None


class MovedOn(msgspec.Struct, frozen=True, kw_only=True):
    """The older generation is destroyed: the one that follows, and a receipt for each act that was told."""

    following: PublicShare
    receipts: list[dict[str, Any]]


class ActTold(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer's holder learns of an erasure: ids, counts and a commitment to the paths."""

    erasure: str
    log: str
    paths_root: str
    count: int
    epoch_before: int
    epoch_after: int
    held: int = 0
