"""Places where a test may cut the power."""

from __future__ import annotations

import os
from collections.abc import Callable


def crash_point(name: str, first: Callable[[], object] | None = None) -> None:
    """Die here without any clean-up when SEALWIRE_CRASH_AT names this place; `first` leaves half a write behind."""
    if os.environ.get("SEALWIRE_CRASH_AT") == name:
        if first is not None:
            first()
        os._exit(137)
