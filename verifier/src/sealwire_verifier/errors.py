"""What can be wrong: something is not proved, or a numbered step of a verification failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class NotProved(ValueError):
    """A hash, a path, a signature or a format does not hold."""


class StepFailed(Exception):
    """A verification stopped at a numbered step; the number is listed in the docstring of that verification."""

    def __init__(self, step: int, reason: object) -> None:
        super().__init__(f"step {step}: {reason}")
        self.step = step
        self.reason = str(reason)


@contextmanager
def step(number: int) -> Iterator[None]:
    """What goes wrong in here goes wrong in this step."""
    try:
        yield
    except (NotProved, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = error if isinstance(error, NotProved) else f"a member is missing or of the wrong kind ({error})"
        raise StepFailed(number, reason) from error


def must(holds: bool, otherwise: str) -> None:
    """Raise NotProved unless it holds."""
    if not holds:
        raise NotProved(otherwise)
