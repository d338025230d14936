"""What a media file may be called: letters, digits and a few signs, so that no name is a path, a trick or a picture."""

from __future__ import annotations

import re

from sealwire.errors import Malformed

NAME_MAX = 200
_ALLOWED = re.compile(r"[A-Za-z0-9._@/-]+\Z")


class MediaNameWrong(Malformed):
    """A name has 1 to 200 of A-Z a-z 0-9 . _ @ - and /, no part that is empty, . or .., and no med_ at its start."""


def checked_name(name: str) -> str:
    """The name, when it may be one; MediaNameWrong otherwise. The name itself is never repeated in an error."""
    if not 0 < len(name) <= NAME_MAX:
        raise MediaNameWrong(f"this name has {len(name)} characters; a media file's name has 1 to {NAME_MAX}")
    if not _ALLOWED.match(name):
        raise MediaNameWrong
    if any(part in {"", ".", ".."} for part in name.split("/")) or name.startswith("med_"):
        raise MediaNameWrong
    return name
