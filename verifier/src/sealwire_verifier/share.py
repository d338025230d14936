"""Verification of the receipt of a destroyed share: the word of a customer's holder that its half is gone.

 (0) form    canonical members of version 1, a known effaceability class, a time, a generation
 (1) holder  it is signed by a key holder the policy pins
 (2) account it is of the account that is asked about, which had not left this holder before

Where nobody but that holder had the share, nothing sealed to it opens any more, in whatever copy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sealwire_verifier import note
from sealwire_verifier.certificate import CLASSES, canonical, is_moment
from sealwire_verifier.errors import NotProved, must, step
from sealwire_verifier.policy import Policy

_MEMBERS = frozenset(
    {"version", "type", "account", "installation", "generation", "destroyed_at", "holder", "operator", "method",
     "effaceability_class", "is_released", "signature"}
)  # fmt: skip


@dataclass(frozen=True)
class VerifiedShare:
    """What holds after all three steps."""

    account: str
    holder: str
    operator: str
    generation: int
    destroyed_at: str
    effaceability_class: str
    witnesses: list[str]


def verify_share(file: bytes, policy: Policy, *, account: str) -> VerifiedShare:
    """Take all steps; StepFailed names the first that does not hold."""
    with step(0):
        try:
            body = json.loads(file)
        except (ValueError, RecursionError):
            raise NotProved("this is not JSON") from None
        must(isinstance(body, dict) and body.keys() == _MEMBERS, "a receipt has other members than a receipt has")
        must(type(body["version"]) is int and body["version"] == 1, "a receipt is not of version 1")
        must(body["type"] == "share.destroyed", "this is another kind of receipt")
        must(type(body["generation"]) is int and body["generation"] > 0, "the generation is not a number")
        texts = ("account", "installation", "destroyed_at", "holder", "operator", "method", "signature")
        must(all(isinstance(body[name], str) for name in texts), "a member is not text")
        must(body["effaceability_class"] in CLASSES and type(body["is_released"]) is bool, "the class is not known")
        must(is_moment(body["destroyed_at"]), "not a time")
    with step(1):
        keys = [key for key in policy.holders if key.name == body["holder"]]
        must(len(keys) == 1, f"the holder {body['holder']} is not pinned in the policy")
        unsigned = {name: value for name, value in body.items() if name != "signature"}
        keys[0].check(canonical(unsigned), note.decode(body["signature"]))
    with step(2):
        must(body["account"] == account, "the receipt is of another account")
        must(not body["is_released"], "the account had left this holder before, so this shows nothing about it")
    return VerifiedShare(
        account=body["account"], holder=body["holder"], operator=body["operator"], generation=body["generation"],
        destroyed_at=body["destroyed_at"], effaceability_class=body["effaceability_class"], witnesses=[],
    )  # fmt: skip
