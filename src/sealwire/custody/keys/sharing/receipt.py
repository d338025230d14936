"""What a customer's holder signs when its share is destroyed: proof that nothing of the account opens any more."""

from __future__ import annotations

from base64 import b64encode

import msgspec
import rfc8785

from sealwire.custody.keys.receipts import HolderKey
from sealwire.custody.keys.sharing.refusals import ShareWrong
from sealwire_verifier.errors import NotProved
from sealwire_verifier.note import decode, parse_vkey

METHOD = "share overwritten in its slots, flushed and read back"


class ShareReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The word of the customer's holder. `is_released`: the account had left this holder before."""

    version: int = 1
    type: str = "share.destroyed"
    account: str
    installation: str
    generation: int
    destroyed_at: str
    holder: str
    operator: str
    method: str = METHOD
    effaceability_class: str
    is_released: bool = False
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """RFC 8785 canonical JSON of everything but the signature."""
        fields = msgspec.to_builtins(self)
        del fields["signature"]
        return rfc8785.dumps(fields)


def signed(receipt: ShareReceipt, key: HolderKey) -> ShareReceipt:
    signature = b64encode(key.sign_bytes(receipt.signed_bytes())).decode()
    return msgspec.structs.replace(receipt, signature=signature)


def require_signed(receipt: ShareReceipt, *, vkey: str, account: str) -> None:
    """ShareWrong unless this holder signed that it destroyed the share of this account."""
    about = (receipt.holder, receipt.account, receipt.type, receipt.is_released)
    try:
        if about != (vkey.partition("+")[0], account, "share.destroyed", False):
            raise NotProved("of another holder or account")
        parse_vkey(vkey).check(receipt.signed_bytes(), decode(receipt.signature))
    except NotProved:
        raise ShareWrong("the receipt of a destroyed share does not hold, so it was not believed") from None
