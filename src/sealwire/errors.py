"""The five families of errors, told apart by whose move is next.

A class docstring is the default message: what happened, what it means, what to do. Messages carry opaque
ids only, never a number, a name or content. HTTP statuses are given in `doors.api.problems` alone.
"""

from __future__ import annotations

import inspect
import re
from typing import ClassVar


class SealwireError(Exception):
    """Something went wrong and no more exact error was raised; this is a bug, please report it."""

    registry: ClassVar[dict[str, type[SealwireError]]] = {}

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or inspect.cleandoc(self.__doc__ or type(self).__name__))

    def __init_subclass__(cls) -> None:
        if cls.code() in SealwireError.registry:
            raise TypeError(f"two errors share the code {cls.code()}")
        SealwireError.registry[cls.code()] = cls

    @classmethod
    def code(cls) -> str:
        """The stable name of this error in problem documents and on the wire: `keeper-unavailable`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


class Malformed(SealwireError):
    """The bytes that were sent cannot be understood; correct them and send again."""


class Refused(SealwireError):
    """A rule says no; sending the same again will not help."""


class Missing(SealwireError):
    """Nothing is known under this id."""


class Gone(SealwireError):
    """This record was erased; its certificate says when and how."""

    def __init__(self, detail: str | None = None, *, certificate: str | None = None) -> None:
        super().__init__(detail)
        self.certificate = certificate


class Unavailable(SealwireError):
    """A part this depends on is not answering; nothing was changed, try again."""


class Broken(SealwireError):
    """A seal or a proof does not hold; the process stops rather than go on."""
