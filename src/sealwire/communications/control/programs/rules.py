"""What a program's return becomes in the application record."""

from __future__ import annotations

from sealwire.vocabulary import ReturnCode

RESERVED = range(-99, 0)
_INT_32 = range(-(1 << 31), 1 << 31)


def return_code(code: object, *, failed: bool) -> int:
    """The application's own code where it may have it; otherwise ours, which says what was wrong with it."""
    if failed:
        return ReturnCode.APPLICATION_FAILED
    if isinstance(code, bool) or not isinstance(code, int) or code not in _INT_32:
        return ReturnCode.NOT_AN_INTEGER
    return ReturnCode.RESERVED_CODE_RETURNED if code in RESERVED else code
