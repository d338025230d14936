"""Only an installation that a sweep made for itself may be tampered with: it has a mark, and an age."""

from __future__ import annotations

from sealwire.config import Settings
from sealwire.errors import Refused

MARK = "made-by-the-sweep"


class NotScratch(Refused):
    """This data folder was not made by a sweep, so nothing in it is kept, erased or broken for a trial."""


def require_scratch(settings: Settings) -> None:
    """NotScratch unless beside the folder stands the mark that a sweep leaves in the empty folder it made."""
    if not (settings.data_dir.parent / MARK).is_file():
        raise NotScratch
