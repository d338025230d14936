"""The positive control: what the sweep must find in every store, or it proves nothing.

A number and a piece of noise that belong to nobody are planted in each store as that store keeps things: in a table
(so in heap and write-ahead log), and as a file everywhere else. Afterwards all of it is removed again.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np

from sealwire.custody.forensics.patterns import Pattern, audio_patterns, number_patterns
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import E164

CONTROL_NUMBER = "control number"
CONTROL_AUDIO = "control audio"
_FILE_PREFIX = "sealwire-sweep-control-"
_SAMPLES = 2400
_queries = load_queries(__package__)


@dataclass(frozen=True, slots=True)
class Control:
    """A fresh canary: never used before, so an older control that still lies somewhere is not taken for this one."""

    number: E164
    pcm: bytes
    name: str

    @classmethod
    def fresh(cls) -> Control:
        """A number longer than any of its range (Ofcom's for drama in London, +44 20 7946 0xxx) and loud noise.

        Nobody has such a number, so no canary can be the beginning of it and be found where only the control is.
        """
        number = E164(f"+4420794609{secrets.randbelow(10**5):05d}")
        noise = np.frombuffer(os.urandom(2 * _SAMPLES), "<i2")
        return cls(number, noise.tobytes(), _FILE_PREFIX + secrets.token_hex(8))

    def patterns(self) -> list[Pattern]:
        return number_patterns(self.number, subject=CONTROL_NUMBER) + audio_patterns(self.pcm, subject=CONTROL_AUDIO)

    @property
    def content(self) -> bytes:
        return b"caller=" + self.number.text.encode() + b"\n" + self.pcm + b"\n"

    def plant_file(self, folder: Path) -> Path:
        """Leave the canary as a file in a store that is a folder."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / self.name
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(self.content)
        return file

    async def plant_row(self, dsn: str) -> None:
        """Leave the canary in a table of its own and have it written to heap and write-ahead log."""
        connection: asyncpg.Connection[Any] = await asyncpg.connect(dsn)
        try:
            await connection.execute(_queries.make_control_table)
            await connection.execute(_queries.plant_control, self.number.text, self.pcm)
            await connection.execute(_queries.checkpoint)
        finally:
            await connection.close()


def remove_files(files: Iterable[Path]) -> None:
    """Take the planted files away."""
    for file in files:
        file.unlink(missing_ok=True)


async def remove_row(dsn: str) -> None:
    """Take the planted table away and move on to fresh write-ahead log."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(dsn)
    try:
        await connection.execute(_queries.drop_control_table)
        await connection.execute(_queries.switch_wal)
        await connection.execute(_queries.checkpoint)
    finally:
        await connection.close()
