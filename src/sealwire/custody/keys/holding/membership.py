"""Which holders take part, as the keeper knows it: `holders.json` in its folder, written whole at each change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from sealwire.custody.keys.files import create_durably
from sealwire.custody.keys.refusals import VaultBroken


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A holder that joined: where it is, by what it is known again, and in which failure domain it lies."""

    vkey: str
    address: str
    pin: str
    operator: str
    effaceability_class: str
    host: str
    device: str

    @property
    def name(self) -> str:
        return self.vkey.partition("+")[0]


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """The installation's own id and its further holders. `required` counts the keeper too."""

    installation: str
    members: list[Member] = []
    required: int = 1

    @classmethod
    def load(cls, folder: Path) -> Membership:
        """Read it, or begin one without further holders."""
        path = folder / "holders.json"
        if not path.exists():
            return cls(installation=os.urandom(16).hex())
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except msgspec.DecodeError:
            raise VaultBroken("holders.json in the keeper folder is damaged; nothing was overwritten") from None

    def save(self, folder: Path) -> None:
        create_durably(folder / "holders.json", msgspec.json.encode(self))

    def to_copy(self) -> list[dict[str, Any]]:
        """What every copy says of the members, so that one that is recovered knows the others."""
        return [dict(msgspec.to_builtins(member)) for member in self.members]
