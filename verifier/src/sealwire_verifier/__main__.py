"""`sealwire-verify`: certificate, log, consistency. Exit 0 verified, 1 refused (with the step), 2 unreadable input."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from sealwire_verifier.certificate import Verified, verify
from sealwire_verifier.closure import VerifiedClosure, is_closure, verify_closure
from sealwire_verifier.errors import NotProved, StepFailed
from sealwire_verifier.log import VerifiedLog, verify_consistency, verify_log
from sealwire_verifier.policy import Policy
from sealwire_verifier.share import VerifiedShare, verify_share


def main(arguments: list[str] | None = None) -> int:
    """Run one verification and say what came of it."""
    options = _parser().parse_args(arguments)
    try:
        policy = Policy.parse(options.policy.read_text())
        if options.what == "certificate":
            file = options.file.read_bytes()
            verified: Verified | VerifiedClosure | VerifiedLog | VerifiedShare
            verified = verify_closure(file, policy) if is_closure(file) else verify(file, policy)
        elif options.what == "log":
            _folder(options.folder)
            verified = verify_log(options.folder, policy)
        elif options.what == "share":
            verified = verify_share(options.file.read_bytes(), policy, account=options.account)
        else:
            _folder(options.newer)
            verified = verify_consistency(options.older, options.newer, policy)
    except StepFailed as failed:
        _say(
            options.json,
            {"verified": False, "step": failed.step, "reason": failed.reason},
            f"REFUSED, {_printable(failed)}",
        )
        return 1
    except (OSError, UnicodeDecodeError, NotProved) as error:
        _say(options.json, {"verified": None, "reason": str(error)}, f"cannot be read: {_printable(error)}")
        return 2
    witnessed = ", ".join(verified.witnesses) or "nobody (the policy asks for no witness)"
    facts = {**asdict(verified), "witnessed_by": witnessed}
    _say(options.json, {"verified": True, **facts}, "VERIFIED\n" + "\n".join(_lines(facts)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sealwire-verify", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    kinds = parser.add_subparsers(dest="what", required=True)
    certificate = kinds.add_parser("certificate", help="the certificate of an erasure or of a closure (.tlog-proof)")
    certificate.add_argument("file", type=Path)
    log = kinds.add_parser("log", help="a whole log in a folder of tiles")
    log.add_argument("folder", type=Path)
    consistency = kinds.add_parser("consistency", help="an older checkpoint or folder, and the newer folder")
    consistency.add_argument("older", type=Path)
    consistency.add_argument("newer", type=Path)
    share = kinds.add_parser("share", help="the receipt of a share that a customer destroyed")
    share.add_argument("file", type=Path)
    share.add_argument("--account", required=True, help="the account it must be of")
    for kind in (certificate, log, consistency, share):
        kind.add_argument("--policy", type=Path, required=True, help="the keys you pinned")
        kind.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    return parser


def _folder(path: Path) -> None:
    if not path.is_dir():
        raise NotADirectoryError(f"{path} is not a folder")


def _lines(facts: dict[str, object]) -> list[str]:
    """One line a fact; every limit on a line of its own, because they are part of the answer."""
    lines = []
    for name, value in facts.items():
        label = "whole day" if name == "days" else name.replace("_", " ")
        shown = value if isinstance(value, list) else [value]
        if name == "records" and value is None:
            lines.append("  records: those of the whole days, counted when they are removed")
        elif name != "records_listed" or value:
            lines += [f"  {label}: {_printable(item)}" for item in shown if item is not None]
    return lines


def _printable(value: object) -> str:
    """Printable ASCII as it is, everything else escaped: nothing in a file may draw lines of its own here."""
    return "".join(char if " " <= char <= "~" else ascii(char)[1:-1] for char in str(value))


def _say(as_json: bool, answer: dict[str, object], words: str) -> None:
    print(json.dumps(answer) if as_json else words, file=sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
