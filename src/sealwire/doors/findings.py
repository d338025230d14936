"""What a check of the doctor finds."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from sealwire.config import Settings
from sealwire.ground.process import socket_answers


class State(StrEnum):
    """How a check came out: a warning lets the cloud start, a problem does not."""

    FINE = "fine"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True):
    """One check: what was found, and what to do when it is not fine."""

    check: str
    state: State
    sentence: str
    advice: str = ""


def is_running(settings: Settings) -> bool:
    """Whether this data folder's cloud runs: its keeper answers."""
    return socket_answers(settings.keeper_socket)
