"""What can go wrong, told apart by what to do about it. Messages hold no numbers, digits or texts."""

from __future__ import annotations

import inspect


class SdkError(Exception):
    """Something went wrong in the SDK."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or inspect.cleandoc(self.__doc__ or type(self).__name__))


class SettingsMissing(SdkError):
    """A setting of the program is missing; give it to Program(...) or set its variable."""


class ProgramRefused(SdkError):
    """The service does not let this program in, and trying again will not help."""


class ServerNotTrusted(SdkError):
    """The server's certificate is not signed by the authority you gave, or is for another name; nothing was sent."""


class CallOver(SdkError):
    """This call is no longer this program's: the service ended it, or the connection was lost."""


class CommandFailed(SdkError):
    """The service did not carry out a command; `code` says why, in a word that stays the same."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class ChannelEnded(CommandFailed):
    """This channel has ended, so nothing more can be done with it; `cause` says why."""

    def __init__(self, code: str, detail: str, *, cause: str = "normal", channel: int = 0) -> None:
        super().__init__(code, detail)
        self.cause = cause
        self.channel = channel


class NotReached(CommandFailed):
    """The called party was not reached; `cause` says why: busy, no-answer, rejected, ..."""

    def __init__(self, code: str, detail: str, *, cause: str = "no-answer") -> None:
        super().__init__(code, detail)
        self.cause = cause


class NotSealed(SdkError):
    """This could not be decrypted: it is cut short, was changed, or is sealed to another key."""


class KeyWrong(SdkError):
    """This is not a key of the kind that is needed here."""


class WebhookRefused(SdkError):
    """This webhook was not signed with your secret, was changed, or is too old; do not act on it."""
