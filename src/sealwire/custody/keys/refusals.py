"""Every error the keeper can answer with, so that both ends of the wire know them by name."""

from __future__ import annotations

from sealwire.errors import Broken, Gone, Malformed, Missing, Refused, Unavailable


class PathMalformed(Malformed):
    """This is not a place in the key tree: write category/class/day/slot within their bit widths."""


class Punctured(Gone):
    """The key of this record was destroyed; nothing can open it any more."""


class AccountUnknown(Missing):
    """The keeper holds no keys for this account: create it first."""


class AccountClosed(Refused):
    """The keys of this account were destroyed when it was closed; nothing more can be kept in this category."""


class AccountDiffers(Refused):
    """An account of this id exists with another log key or other periods; it was left as it is."""


class PeriodMissing(Refused):
    """This account has no retention period for that category and class, and what has no end is not kept: set one."""


class PastDue(Refused):
    """This day lies past its retention period; the keeper gives out no keys for it."""


class NotDue(Refused):
    """By the keeper's calendar this period has not ended, so nothing was destroyed; check the clock of who asked."""


class HolderDoesNotLetGo(Unavailable):
    """A process holds these keys and neither drops them nor ends, so nothing was destroyed: end it (pid in the log)."""


class DayErased(Refused):
    """The keys of this day were destroyed; take a later day."""


class BlocksExhausted(Refused):
    """All 65,536 blocks of this category, class and day are given out; use another retention class."""


class ProofRefused(Refused):
    """The evidence for opening does not hold, so no key was derived: write the leaf and prove it again."""


class ContextRefused(Refused):
    """A record's context names another account or another place than the request; nothing was opened."""


class MediaEnded(Refused):
    """This media stream is no longer open: its key was destroyed or the stream was finished. Open it again."""


class ClockSuspect(Refused):
    """The clock jumped; the keeper neither grants nor destroys by it. Set the clock right and restart the keeper."""


class ClockFarAhead(ClockSuspect):
    """The clock is 31 days ahead of when the keeper last ran: set it right, or confirm it, and restart the keeper."""


class ClockInjected(Refused):
    """A keeper in production takes its time from the machine alone; remove SEALWIRE_CLOCK and start again."""


class KeeperAlreadyRunning(Refused):
    """Another keeper has this vault open; two would undo each other's erasures. Stop the other one first."""


class VaultNewer(Refused):
    """The vault was written by a newer version of Sealwire; nothing was changed. Start that version or a later one."""


class VaultBroken(Broken):
    """A file of the vault is damaged; nothing was overwritten. Copy the keeper folder aside and check the disk."""


class EpochNotDestroyed(Broken):
    """An old epoch key could not be overwritten, so nothing was certified; check the disk and restart the keeper."""


class KeeperStopping(Unavailable):
    """The keeper is stopping; nothing was changed, try again in a moment."""


class Held(Refused):
    """Some of this is held (legal hold or restriction) and was not destroyed; release the hold first."""


class Restricted(Refused):
    """This record is restricted (GDPR Art. 18): it opens for a subject request or a legal claim only."""


class HoldMalformed(Malformed):
    """A hold names at least one record or day and a last day from today on; nothing was held."""


class OpenOnly(Refused):
    """This connection to the keeper may open and do nothing else, as it was asked for; nothing was changed."""
