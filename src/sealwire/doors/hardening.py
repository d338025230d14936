"""A process that holds keys: no core dumps, no reading by others, memory locked where allowed."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from contextlib import suppress

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_MLOCK_CURRENT_FUTURE_ONFAULT = 1 | 2 | 4


def harden(*, dies_with_parent: bool = True) -> bool:
    """No core dumps, no reading by others, memory locked where allowed; True when it is locked."""
    libc = ctypes.CDLL(None, use_errno=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if dies_with_parent:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        hard = resource.RLIM_INFINITY
    if hard != resource.RLIM_INFINITY and os.geteuid() != 0:
        return False
    return bool(libc.mlockall(_MLOCK_CURRENT_FUTURE_ONFAULT) == 0)
