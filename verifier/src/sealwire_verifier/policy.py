"""C2SP tlog-policy: the keys an auditor pins. One line kind is ours: `holder <vkey>`, who attests destroyed keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sealwire_verifier import note
from sealwire_verifier.checkpoint import Checkpoint, parse_text
from sealwire_verifier.errors import NotProved


@dataclass
class Policy:
    """Logs and holders that are believed, and which witnesses must have cosigned."""

    logs: list[note.VerifierKey] = field(default_factory=list)
    holders: list[note.VerifierKey] = field(default_factory=list)
    witnesses: dict[str, note.VerifierKey] = field(default_factory=dict)
    groups: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    quorum: str | None = None

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Read a policy file; NotProved names the line that cannot be used."""
        policy = cls()
        for number, line in enumerate(text.split("\n"), start=1):
            words = line.strip(" \t").split()
            if not words or words[0].startswith("#"):
                continue
            try:
                policy._take(words[0], words[1:])
            except (NotProved, IndexError, ValueError) as error:
                raise NotProved(f"policy line {number}: {error}") from None
        if policy.quorum is None:
            raise NotProved("the policy has no quorum line; write `quorum none` to ask for no witnesses")
        return policy

    def _take(self, kind: str, words: list[str]) -> None:
        if kind == "log":
            key = _key(words[0], note.ED25519)  # one key may sign several logs, each under its own name
            _must_be_new(key, key.identity in {other.identity for other in self.logs})
            self.logs.append(key)
        elif kind == "holder":
            key = _key(words[0], note.ED25519)
            _must_be_new(key, any(other.name == key.name or other.public == key.public for other in self.holders))
            self.holders.append(key)
        elif kind == "witness":
            self._name(words[0])
            key = _key(words[1], note.COSIGNATURE)
            _must_be_new(key, any(other.public == key.public for other in self.witnesses.values()))
            self.witnesses[words[0]] = key
        elif kind == "group":
            self._group(words[0], words[1], words[2:])
        elif kind == "quorum" and self.quorum is None and len(words) == 1:
            if words[0] != "none":
                self._known(words)
            self.quorum = words[0]
        else:
            raise NotProved(f"{kind} is not understood here")

    def _group(self, name: str, threshold: str, members: list[str]) -> None:
        self._name(name)
        self._known(members)
        needed = {"all": len(members), "any": 1}.get(threshold) or int(threshold)
        used = {member for _, others in self.groups.values() for member in others}
        if not 1 <= needed <= len(members) or len(set(members)) < len(members) or used & set(members):
            raise NotProved(f"group {name} has no members, an impossible threshold or a member twice")
        self.groups[name] = needed, members

    def _name(self, name: str) -> None:
        if name == "none" or name in self.witnesses or name in self.groups:
            raise NotProved(f"the name {name} is taken")

    def _known(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.witnesses and name not in self.groups:
                raise NotProved(f"{name} is not defined above")

    def signed_head(self, checkpoint: bytes) -> tuple[Checkpoint, note.Note]:
        """The head in a checkpoint that a pinned log signed under its own origin."""
        signed = note.parse(checkpoint)
        logs = note.verify(signed, self.logs)
        head = parse_text(signed.text)
        if head.origin not in {key.name for key in logs}:
            raise NotProved("the checkpoint is of another log than the key that signed it")
        return head, signed

    def cosigned(self, signed: note.Note) -> list[str]:
        """Names of the witnesses that cosigned; NotProved when they are not enough."""
        known = {key.identity: name for name, key in self.witnesses.items()}
        present = any((signature.name, signature.key_id) in known for signature in signed.signatures)
        keys = note.verify(signed, self.witnesses.values()) if present else []
        names = sorted(known[key.identity] for key in keys)
        if self.quorum != "none" and not self._reached(self.quorum or "", set(names)):
            raise NotProved(f"the witnesses ({', '.join(names) or 'none'}) are not the quorum {self.quorum}")
        return names

    def _reached(self, name: str, names: set[str]) -> bool:
        if name not in self.groups:
            return name in names
        needed, members = self.groups[name]
        return sum(self._reached(member, names) for member in members) >= needed


def _key(text: str, kind: int) -> note.VerifierKey:
    key = note.parse_vkey(text)
    if key.kind != kind:
        raise NotProved(f"{key.name} is a key of the wrong type")
    return key


def _must_be_new(key: note.VerifierKey, is_listed: bool) -> None:
    if is_listed:
        raise NotProved(f"{key.name} is listed twice")
