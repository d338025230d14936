"""Taking one small file out of a tar stream while it passes by (POSIX ustar, as PostgreSQL writes it)."""

from __future__ import annotations

_BLOCK = 512


class TarWatch:
    """Fed with the stream piece by piece; afterwards `found` holds the file, or None."""

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        self._header = b""
        self._skip = 0
        self._wanted = 0
        self._taken: bytearray | None = None

    @property
    def found(self) -> bytes | None:
        return None if self._taken is None or self._wanted else bytes(self._taken)

    def feed(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self._wanted:
                assert self._taken is not None
                self._taken += view[: self._wanted]
                taken = min(self._wanted, len(view))
                self._wanted, view = self._wanted - taken, view[taken:]
            elif self._skip:
                passed = min(self._skip, len(view))
                self._skip, view = self._skip - passed, view[passed:]
            else:
                needed = _BLOCK - len(self._header)
                self._header, view = self._header + bytes(view[:needed]), view[needed:]
                if len(self._header) == _BLOCK:
                    self._enter(self._header)
                    self._header = b""

    def _enter(self, header: bytes) -> None:
        size = _size(header[124:136])
        padding = -size % _BLOCK
        if header[:100].rstrip(b"\0") == self._name:
            self._taken, self._wanted, self._skip = bytearray(), size, padding
        else:
            self._skip = size + padding


def _size(field: bytes) -> int:
    """Octal, or from 8 GiB on binary with the first bit set."""
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    return int(field.rstrip(b"\0 ") or b"0", 8)
