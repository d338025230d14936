"""Every error about a customer's share, so that keeper and customer's holder know them by name."""

from __future__ import annotations

from sealwire.errors import Gone, Malformed, Missing, Refused, Unavailable


class ShareAway(Unavailable):
    """The customer's holder has lent no key for this account, so nothing of it opens or is erased: start that holder.

    Nothing was changed and nothing is lost; what was to be erased is erased when the holder is back.
    """


class ShareMissing(Missing):
    """No holder of the customer's has joined this account."""


class ShareElsewhere(Refused):
    """This account's share lies on another holder: leave that one first, then let this one join."""


class ShareOfAnother(Refused):
    """This share was made for another keeper; nothing was given away. Its customer can make a new joining code."""


class ShareWrong(Refused):
    """What the customer's holder lent does not open the account, so it was not used; what is sealed stays as it is."""


class ShareBehind(Refused):
    """The customer's holder has another generation of the share than the account is sealed to: it was put back."""


class ShareDestroyed(Gone):
    """The customer has destroyed the share of this account: nothing of it opens any more, here or in any backup."""


class ShareUnknown(Missing):
    """This holder has no share of that account; sealwire share list shows those it has."""


class ShareBroken(Malformed):
    """A file of this holder is damaged; nothing was overwritten. Copy its folder aside and check the disk."""
