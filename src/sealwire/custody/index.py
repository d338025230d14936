"""Where tokens of the blind index lie: a partition for each day of an account, 128 of them in turn.

A token is made with the key of one (category, class, day), so a lookup knows for each token the one partition in which
it can be. SQL says the same in `custody.index_bucket`; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable

from sealwire.vocabulary import AccountId

BUCKETS = 128


def index_bucket(account: AccountId, day: int) -> int:
    """The partition of one day: consecutive days of an account are never in the same one."""
    return (account.value.int + int(day)) % BUCKETS


def index_buckets(account: AccountId, days: Iterable[int]) -> list[int]:
    """The partitions of these days, so that a statement is planned for these and not for all."""
    return sorted({index_bucket(account, day) for day in days})
