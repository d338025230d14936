"""How the demo speaks: plain words and colours for people, one JSON object a step for scripts."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Protocol

from rich.console import Console
from rich.text import Text

Figure = str | int | float | bool | None


class Step:
    """What one step says: lines for people and figures for both."""

    def __init__(self, show: Show, number: int, title: str) -> None:
        self.number, self.title = number, title
        self.figures: dict[str, Figure] = {}
        self._show = show

    def say(self, line: str, *, tone: str = "plain") -> None:
        """One line; `tone` is plain, good, bad or quiet."""
        self._show.line(line, tone)

    def figure(self, name: str, value: Figure, line: str | None = None, *, tone: str = "good") -> None:
        """A measured value, and how to say it."""
        self.figures[name] = value
        if line is not None:
            self.say(line, tone=tone)


class Show(Protocol):
    """Where the demo's steps go."""

    def opened(self, step: Step) -> None: ...

    def line(self, text: str, tone: str) -> None: ...

    def closed(self, step: Step, seconds: float) -> None: ...

    def note(self, text: str) -> None: ...

    def finished(self, figures: dict[str, Figure]) -> None: ...


class ForPeople:
    """Colours on a terminal, plain text elsewhere."""

    _MARKS: ClassVar = {"plain": ("  ", ""), "good": ("✓ ", "green"), "bad": ("✗ ", "bold red"), "quiet": ("  ", "dim")}

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def opened(self, step: Step) -> None:
        self._console.print()
        head = Text(f" {step.number} ", style="bold reverse") if step.number else Text("   ")
        self._console.print(head, Text(step.title, style="bold"))

    def line(self, text: str, tone: str) -> None:
        mark, style = self._MARKS[tone]
        self._console.print(Text("    " + mark, style=style) + Text(text, style="dim" if tone == "quiet" else ""))

    def closed(self, step: Step, seconds: float) -> None:
        del step
        self._console.print(Text(f"      {seconds:.1f} s", style="dim"))

    def note(self, text: str) -> None:
        self._console.print(Text(text))

    def finished(self, figures: dict[str, Figure]) -> None:
        del figures


class ForScripts:
    """One JSON object per step on standard output, and a last one with every figure."""

    def opened(self, step: Step) -> None:
        del step

    def line(self, text: str, tone: str) -> None:
        del text, tone

    def closed(self, step: Step, seconds: float) -> None:
        self._print({"step": step.number, "title": step.title, "seconds": round(seconds, 2), **step.figures})

    def note(self, text: str) -> None:
        del text

    def finished(self, figures: dict[str, Figure]) -> None:
        self._print({"step": "end", **figures})

    def _print(self, value: dict[str, Figure]) -> None:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


class Round:
    """The steps so far and all their figures."""

    def __init__(self, show: Show) -> None:
        self.show = show
        self.figures: dict[str, Figure] = {}

    @contextmanager
    def step(self, number: int, title: str) -> Iterator[Step]:
        """One step: shown when it begins, timed, its figures added when it ends well."""
        step, began_s = Step(self.show, number, title), time.monotonic()
        self.show.opened(step)
        yield step
        self.figures |= step.figures
        self.show.closed(step, time.monotonic() - began_s)
