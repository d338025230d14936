"""Which connected programs serve which applications, and whose turn it is."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from sealwire.communications.control.perform import MessageSender
from sealwire.communications.control.port import Application, Sounds
from sealwire.communications.control.programs.connection import ProgramConnection, TooManyPrograms
from sealwire.communications.control.programs.session import ProgramApplication
from sealwire.communications.control.programs.verbs import Desk
from sealwire.ground import diagnostics
from sealwire.vocabulary import AccountId

PROGRAMS_MAX = 64
"""Connected programs of one account."""


class ProgramDirectory:
    """Every connected program of this switchboard."""

    def __init__(self, *, sounds: Sounds, messages: MessageSender | None = None) -> None:
        self._desk = Desk(sounds, messages)
        self._connections: list[ProgramConnection] = []
        self._turns = itertools.count(1)

    @property
    def connections(self) -> list[ProgramConnection]:
        return list(self._connections)

    def application(self, account: AccountId, name: str) -> Application | None:
        """The application of this name that connected programs of the account run; None when none does."""
        if not any(name in connection.applications for connection in self._of(account)):
            return None
        return ProgramApplication(account, name, directory=self, desk=self._desk)

    def next_for(
        self, account: AccountId, name: str, *, without: Collection[ProgramConnection]
    ) -> ProgramConnection | None:
        """The program with the fewest calls, and among equals the one whose turn it is; None when none takes calls."""
        takers = [
            connection
            for connection in self._of(account)
            if name in connection.applications and connection.takes_calls and connection not in without
        ]
        if not takers:
            return None
        chosen = min(takers, key=lambda each: (each.is_doubted, len(each.sessions), each.turn))
        chosen.turn = next(self._turns)
        return chosen

    def join(self, connection: ProgramConnection) -> None:
        """A program is there; TooManyPrograms when its account has its fill of them."""
        account = connection.identity.account
        if len(self._of(account)) >= PROGRAMS_MAX:
            raise TooManyPrograms
        self._connections.append(connection)
        diagnostics.event("program.connected", program=connection.identity.program, account=account)

    def leave(self, connection: ProgramConnection) -> None:
        """It has gone; nothing happens when it never joined."""
        if connection in self._connections:
            self._connections.remove(connection)
            diagnostics.event("program.gone", program=connection.identity.program)

    def _of(self, account: AccountId) -> list[ProgramConnection]:
        return [connection for connection in self._connections if connection.identity.account == account]
