"""Operator logs: one JSON object a line, ids and counts only. Not the evidence log.

Nothing here takes free text: an event has a name from the code and fields that are ids, numbers or enums.
An exception is told by its type and place, never by its message, because messages of libraries may quote data.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from typing import TextIO

_out: TextIO = sys.stderr
_process = "sealwire"


def start(process: str, out: TextIO | None = None) -> None:
    """Name this process in every line from now on."""
    global _process, _out  # noqa: PLW0603 - one process, one diagnostics stream
    _process = process
    _out = out or sys.stderr


def event(name: str, **fields: object) -> None:
    """Write one line: `event("call.ended", call=call_id, cause=16)`."""
    line = {"at": round(time.time(), 3), "process": _process, "event": name}
    line.update({key: value if isinstance(value, int | float | bool) else str(value) for key, value in fields.items()})
    print(json.dumps(line), file=_out, flush=True)


def failure(name: str, error: BaseException, **fields: object) -> None:
    """Write one line for an unexpected exception: its type and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    place = " < ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in reversed(frames))
    event(name, error=type(error).__name__, place=place, **fields)
