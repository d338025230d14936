"""Opened content: a wrapper that will not print, log, pickle or compare."""

from __future__ import annotations

from typing import Generic, NoReturn, TypeVar

T = TypeVar("T")


class Opened(Generic[T]):
    """Something that was opened for a purpose; `reveal` is called where it leaves for the person who asked."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The content itself."""
        return self._value

    def __repr__(self) -> str:
        return "<opened>"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return "<opened>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("opened content is not pickled")

    def __eq__(self, _other: object) -> NoReturn:
        raise TypeError("opened content is not compared")

    def __hash__(self) -> NoReturn:
        raise TypeError("opened content is not hashed")
