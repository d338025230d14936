"""Which machines this runs on: the switch and the database come as programs built for these."""

from __future__ import annotations

import platform
import sys

_MACHINES = ("x86_64", "aarch64")


def unsupported() -> str | None:
    """One sentence on why this machine cannot run Sealwire; None when it can."""
    wanted = "Sealwire needs Linux with glibc on x86_64 or aarch64 and CPython 3.11; this is"
    if sys.platform != "linux":
        return f"{wanted} {platform.system() or sys.platform}."
    if platform.machine() not in _MACHINES:
        return f"{wanted} a {platform.machine()} machine."
    if platform.libc_ver()[0] != "glibc":
        return f"{wanted} Linux without glibc."
    if sys.implementation.name != "cpython" or sys.version_info[:2] != (3, 11):
        return f"{wanted} {platform.python_implementation()} {platform.python_version()}."
    return None
