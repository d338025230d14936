"""Every error between a keeper and its further holders, so that both ends know them by name."""

from __future__ import annotations

from sealwire.errors import Broken, Malformed, Refused, Unavailable


class HolderAway(Unavailable):
    """A holder of the keys does not answer; keeping and opening go on, and no erasure is certified without it."""


class HoldersPending(Unavailable):
    """The keys are destroyed here and not yet at every holder, so nothing is certified: start the missing holder."""


class HoldersTooFew(Unavailable):
    """Fewer holders answer than must take part in a change of keys, so nothing was changed: start the others."""


class HolderVersion(Refused):
    """Keeper and holder speak different versions of their protocol: bring both to the same version of Sealwire."""


class HolderUnpaired(Refused):
    """This holder belongs to no installation yet: join it with the code that it printed at its start."""


class HolderOfAnother(Refused):
    """This holder belongs to another installation or another keeper; it gave nothing away and changed nothing."""


class JoiningCodeRefused(Refused):
    """The joining code is wrong, used or burnt; make a new one at the holder: bin/sealwire holder code."""


class HolderNotAuthentic(Refused):
    """Whoever answers there is not the holder that was joined (its key is another), so nothing was sent to it."""


class KeeperNotAuthentic(Refused):
    """Whoever asks has not shown to be this holder's keeper, so nothing was answered."""


class EpochLower(Refused):
    """This would turn a holder back to an epoch that it has left behind; a holder only goes forward."""


class CopyRefused(Malformed):
    """What was sent to this holder is not what it was said to be, so it was not taken; the copy before it stands."""


class NothingPrepared(Refused):
    """This holder has prepared no such epoch, so it destroyed nothing; it has to catch up first."""


class HolderCannotStore(Unavailable):
    """The holder could not write the new copy (is its disk full?); it keeps the one before and has signed nothing."""


class VaultPutBack(Broken):
    """A holder has seen a later epoch: this vault was put back from a copy, and what was erased would open again.

    Nothing is served from it. Recover the keeper from that holder: bin/sealwire keeper recover.
    """


class VaultForked(Broken):
    """A holder has another vault of this very epoch, so one of two keepers ran beside the other; nothing is served."""


class HolderStateBroken(Broken):
    """A file in the holder's folder is damaged; nothing was overwritten. Join it again in an empty folder."""


class RecoveryRefused(Refused):
    """The keeper cannot be rebuilt from this; nothing was written."""
