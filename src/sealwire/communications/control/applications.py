"""Which application runs a service: its pages, a connected program, or a built-in."""

from __future__ import annotations

from typing import Protocol

from sealwire.communications.control.builtins import BUILT_INS
from sealwire.communications.control.pages.application import PagesApplication
from sealwire.communications.control.pages.client import PageClient
from sealwire.communications.control.perform import MessageSender
from sealwire.communications.control.port import Application, Sounds
from sealwire.governance.services import BuiltIn, Pages, Program, Service
from sealwire.vocabulary import AccountId


class Programs(Protocol):
    """The customers' programs that are connected now."""

    def application(self, account: AccountId, name: str) -> Application | None: ...


class ServiceApplications:
    """One per process. Without a page client or programs those kinds of service have no application."""

    def __init__(
        self,
        *,
        sounds: Sounds,
        messages: MessageSender | None = None,
        pages: PageClient | None = None,
        programs: Programs | None = None,
    ) -> None:
        self._sounds = sounds
        self._messages = messages
        self._pages = pages
        self._programs = programs

    def application(self, service: Service) -> Application | None:
        """None when there is none now."""
        match service.logic:
            case BuiltIn(name=name):
                return BUILT_INS.get(name)
            case Program(application=name) if self._programs is not None:
                return self._programs.application(service.account, name)
            case Pages() if self._pages is not None:
                return PagesApplication(service, client=self._pages, sounds=self._sounds, messages=self._messages)
        return None
