"""Sound for tests: digits as a telephone sends them, and the ears of a program that is not ours."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from numpy.typing import NDArray

KEYS = "123A456B789C*0#D"


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skips what cannot run without these programs; each is the Debian package of its own name."""
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
Wave = NDArray[np.float64]


def digit(key: str, *, ms: float, dbfs: float = -10, twist_db: float = 0, off: float = 0) -> Wave:
    """One key: low and high tone; `twist_db` louder high tone, `off` relative error of both frequencies."""
    at = KEYS.index(key)
    time = np.arange(int(8 * ms)) / 8000
    loud = 32767 * 10 ** (dbfs / 20) / 2
    low = np.sin(2 * np.pi * LOW[at // 4] * (1 + off) * time + at)
    high = np.sin(2 * np.pi * HIGH[at % 4] * (1 + off) * time)
    return np.asarray(loud * low + loud * 10 ** (twist_db / 20) * high)


def keys(
    text: str, *, ms: float = 80, gap_ms: float = 80, dbfs: float = -10, twist_db: float = 0, off: float = 0
) -> Wave:
    """Several keys, each followed by a gap."""
    rest = np.zeros(int(8 * gap_ms))
    tones = [digit(key, ms=ms, dbfs=dbfs, twist_db=twist_db, off=off) for key in text]
    return np.concatenate([part for tone in tones for part in (tone, rest)])


def pcm(wave: Wave) -> bytes:
    return np.clip(np.rint(wave), -32768, 32767).astype("<i2").tobytes()


def wave(data: bytes) -> Wave:
    return np.frombuffer(data[: len(data) & ~1], dtype="<i2").astype(np.float64)


def heard_by_multimon(data: bytes) -> str:
    """The digits multimon-ng finds in 8 kHz PCM."""
    shape = ["-t", "raw", "-e", "signed", "-b", "16", "-c", "1"]
    louder = subprocess.run(
        ["sox", "-r", "8000", *shape, "-", "-r", "22050", *shape, "-"], input=data, capture_output=True, check=True
    )
    found = subprocess.run(
        ["multimon-ng", "-q", "-a", "DTMF", "-t", "raw", "-"], input=louder.stdout, capture_output=True, check=True
    )
    lines = found.stdout.decode().splitlines()
    return "".join(line.partition(":")[2].strip() for line in lines if line.startswith("DTMF:"))


def through_g711(data: bytes) -> bytes:
    """As a telephone line carries it: A-law and back."""
    shape = ["-t", "raw", "-r", "8000", "-c", "1"]
    line = subprocess.run(
        ["sox", *shape, "-e", "signed", "-b", "16", "-", *shape, "-e", "a-law", "-b", "8", "-"],
        input=data,
        capture_output=True,
        check=True,
    )
    back = subprocess.run(
        ["sox", *shape, "-e", "a-law", "-b", "8", "-", *shape, "-e", "signed", "-b", "16", "-"],
        input=line.stdout,
        capture_output=True,
        check=True,
    )
    return back.stdout
