"""The command `sealwire`: each module in `doors.commands` is one command, found by its name and loaded when used.

Such a module has a `command` (a function typer can read) or an `app` (a typer app with commands of its own).
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from sealwire import __version__
from sealwire.doors import commands
from sealwire.doors.platform import unsupported
from sealwire.errors import SealwireError

_FIRST = ("demo", "up", "doctor")


class _Registry(TyperGroup):
    """The commands there are, by looking into the folder."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's own signature
        found = sorted(module.name for module in pkgutil.iter_modules(commands.__path__) if module.name[0] != "_")
        return sorted(found, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{commands.__name__}.{cmd_name}")
        app = getattr(module, "app", None)
        if app is None:
            app = typer.Typer(add_completion=False, rich_markup_mode=None)
            app.command()(module.command)
        loaded = typer.main.get_command(app)
        loaded.name = cmd_name
        return loaded


sealwire = typer.Typer(cls=_Registry, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"sealwire {__version__}")
        raise typer.Exit


@sealwire.callback()
def _about(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Which version this is.")
    ] = False,
) -> None:
    """Sealwire: a communications cloud whose promises about personal data can be checked."""


def main() -> None:
    """Run a command; a failure is one sentence. Exit 1 refused or failed, 2 wrong machine or usage, 130 Ctrl-C."""
    if (reason := unsupported()) is not None:
        print(reason, file=sys.stderr)
        sys.exit(2)
    try:
        sealwire(prog_name="sealwire")
    except SealwireError as error:
        Console(stderr=True, highlight=False).print(f"[red]sealwire:[/red] {_escaped(str(error))}", soft_wrap=True)
        sys.exit(1)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        print(f"sealwire: {error.strerror or error}{where}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")


if __name__ == "__main__":
    main()
