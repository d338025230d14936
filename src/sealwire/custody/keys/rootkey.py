"""The root key: 32 bytes without which no vault opens. It may be backed up; without the epoch key it opens nothing.

It lies in a file (`root.key`), or wrapped by an OpenBao's transit engine (`root.transit`), which is asked once at a
start. A new one is written beside the old as `.next`, becomes valid with the tick that seals the index under it, and
only then takes the old one's name: whichever of the two opens the current index is the root key.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sealwire.custody.keys.files import create_durably, sync_folder
from sealwire.custody.keys.holding.protocol import Root
from sealwire.custody.keys.refusals import VaultBroken
from sealwire.errors import Malformed, Unavailable

KEY_BYTES = 32
FILE, TRANSIT = "file", "openbao-transit"
_NAMES = {FILE: "root.key", TRANSIT: "root.transit"}
_WAIT_S = 10.0
_ANSWER_BYTES_MAX = 1 << 20


class RootKeyUnavailable(Unavailable):
    """The OpenBao that wraps the root key does not answer or refuses, so the vault stays shut: unseal it, try again."""


class RootKeyMalformed(Malformed):
    """The root key is missing or has the wrong length; nothing was overwritten."""


class OpenBao:
    """A transit engine's key. The token is read from its file at each call, so that it can be renewed there."""

    def __init__(self, *, address: str, key: str, token_file: str, mount: str = "transit", ca_file: str = "") -> None:
        if not address.startswith(("https://", "http://127.0.0.1:", "http://[::1]:")):
            raise RootKeyMalformed("an OpenBao is spoken to over https, or over http on this machine alone")
        self.address, self.key, self.token_file, self.mount, self.ca_file = address, key, token_file, mount, ca_file

    def wrap(self, root_key: bytes) -> str:
        return str(self._ask("encrypt", {"plaintext": base64.b64encode(root_key).decode()})["ciphertext"])

    def unwrap(self, wrapped: str) -> bytes:
        return base64.b64decode(self._ask("decrypt", {"ciphertext": wrapped})["plaintext"])

    def rotate(self) -> None:
        """A new version of the engine's own key; what is wrapped from now on is wrapped under it."""
        self._ask_path(f"keys/{self.key}/rotate", {})

    def describe(self) -> dict[str, str]:
        names = ("address", "key", "token_file", "mount", "ca_file")
        return {name: getattr(self, name) for name in names}

    def _ask(self, verb: str, body: dict[str, str]) -> dict[str, Any]:
        return self._ask_path(f"{verb}/{self.key}", body)

    def _ask_path(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        try:
            token = Path(self.token_file).read_text().strip()
            request = urllib.request.Request(  # noqa: S310 - the scheme is checked in __init__
                f"{self.address.rstrip('/')}/v1/{self.mount}/{path}", data=json.dumps(body).encode(),
                headers={"X-Vault-Token": token, "Content-Type": "application/json"}, method="POST",
            )  # fmt: skip
            context = ssl.create_default_context(cafile=self.ca_file or None)
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
            )
            with opener.open(request, timeout=_WAIT_S) as answer:
                data = answer.read(_ANSWER_BYTES_MAX)
            return dict(json.loads(data)["data"]) if data else {}
        except (OSError, urllib.error.URLError, ValueError, KeyError, TypeError) as error:
            reason = getattr(error, "code", None) or type(error).__name__
            raise RootKeyUnavailable(
                f"the OpenBao that wraps the root key does not answer or refuses ({reason}): the vault stays shut"
            ) from None


class RootKeys:
    """The root keys in one keeper folder: at most the current one and the next."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.current = Root(kind=FILE, data=b"")
        self._next: Root | None = None

    def plant(self) -> None:
        """Make the first one, in a file; `rotate` may have the next one wrapped."""
        self.current = _made(os.urandom(KEY_BYTES), None)
        self._write(self.current, "")

    def open(self, opens: Callable[[bytes], bool]) -> bytes:
        """The root key that opens the current index; what is left of another one is removed."""
        for suffix in (".next", ""):
            for root in self._found(suffix):
                key = self.unwrapped(root)
                if opens(key):
                    self.current = root
                    self._settle(root, suffix)
                    return key
        raise VaultBroken("the root key does not open this vault, or is missing; nothing was overwritten")

    def prepare(self, *, bao: OpenBao | None) -> tuple[bytes, Root]:
        """A new root key beside the old one, durable before any index is sealed under it."""
        key = os.urandom(KEY_BYTES)
        self._next = _made(key, bao)
        self._write(self._next, ".next")
        return key, self._next

    def promote(self) -> None:
        """The next one is in force: it takes the name, the old one goes."""
        assert self._next is not None
        self.current, self._next = self._next, None
        self._settle(self.current, ".next")

    def give_up(self) -> None:
        """Nothing was sealed under the next one; it goes."""
        self._next = None
        for name in _NAMES.values():
            (self.folder / f"{name}.next").unlink(missing_ok=True)

    def unwrapped(self, root: Root) -> bytes:
        if root.kind == FILE:
            key = root.data
        else:
            where = json.loads(root.data)
            key = OpenBao(**where["engine"]).unwrap(where["ciphertext"])
        if len(key) != KEY_BYTES:
            raise VaultBroken("the root key is missing or has the wrong length; nothing was overwritten")
        return key

    def _found(self, suffix: str) -> list[Root]:
        paths = {kind: self.folder / f"{name}{suffix}" for kind, name in _NAMES.items()}
        return [Root(kind=kind, data=path.read_bytes()) for kind, path in paths.items() if path.exists()]

    def _write(self, root: Root, suffix: str) -> None:
        create_durably(self.folder / f"{_NAMES[root.kind]}{suffix}", root.data)

    def _settle(self, root: Root, suffix: str) -> None:
        name = _NAMES[root.kind]
        if suffix:
            (self.folder / f"{name}{suffix}").rename(self.folder / name)
        with suppress(OSError):
            for kind, other in _NAMES.items():
                if kind != root.kind:
                    (self.folder / other).unlink(missing_ok=True)
                (self.folder / f"{other}.next").unlink(missing_ok=True)
            sync_folder(self.folder)


def _made(key: bytes, bao: OpenBao | None) -> Root:
    if bao is None:
        return Root(kind=FILE, data=key)
    wrapped = {"engine": bao.describe(), "ciphertext": bao.wrap(key)}
    return Root(kind=TRANSIT, data=json.dumps(wrapped).encode())
