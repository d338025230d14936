"""The OpenAPI document is what the API does: Schemathesis, which knows the document only, finds nothing it breaks.

Each operation is tried with its examples, at its boundaries and with 200 more requests, good and bad, at a whole cloud
with real records, a call that is up and a message centre; and the cloud's own diagnostics say that each was answered
2xx at least once. What the run needs to know beside the document is written down here: the credentials, ids that
exist, and where a rule cannot be said in a schema.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sealwire.governance.agreements import document_sha256, standard_document
from sealwire.governance.principals import Scope
from tests.api_house import ApiHouse
from tests.holdings import Holdings, Ports, furnish, open_whole_house, signed_instruction

EXAMPLES = 200
PORTS = Ports(first=29_800, sound=29_600)
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "positive_data_acceptance", "missing_required_header",
    "unsupported_method", "allow_header_conformance", "use_after_free", "ensure_resource_availability", "ignored_auth",
)  # fmt: skip
EXAMPLE_HASH, STANDARD_HASH = "9f86d081884c7d65" * 4, document_sha256(standard_document())
ID = re.compile(r"(acc|app|svc|trk|msg|med|rcp|rep|whk|dlv|uas|num|cred|ers|hld|dsr|ins|clo|rec|call)_[0-9a-f]{32}")
# Asked with the operator's credential, about an account that nothing else is asked about.
BY_OPERATOR = {
    "create-account", "assign-number", "remove-number", "get-account-limits", "set-account-limits", "set-suspension",
    "allow-sender-name", "list-closures", "get-closure-certificate", "sum-closed-billing",
}  # fmt: skip
# What makes things go, or what may be done no more: asked of an account of its own, so that the rest goes on.
DESTRUCTIVE = BY_OPERATOR | {
    "remove-service", "change-service", "remove-trunk", "remove-webhook",
    "revoke-credential", "bind-credential", "rotate-credential",
    "erase-media", "add-opt-out", "erase-opt-out", "place-hold", "release-hold",
    "retire-recipient", "revoke-program", "create-erasure", "cancel-call",
    "create-trunk", "change-trunk", "refuse-subject-request", "set-limits", "set-destinations", "put-message-settings",
}  # fmt: skip
# Rules that a schema cannot say: for these a request that is good by the document may be refused with that status.
BEYOND_SCHEMAS = {
    "act-on-call": "a prompt that is a text and a file",
    "accept-agreement": "the hash of another text",
    "add-opt-out": "a number that nobody can have",
    "assign-number": "a number that nobody can have; what is shown as caller only is answered by no service",
    "begin-closure": "another sentence than that of confirmation",
    "bind-credential": "bits of the host set in a network",
    "change-retention": "a category that there is not; days beyond the bounds; a setting that is named twice",
    "change-service": "a number, port or name in an address that cannot be, words for one kind of logic only",
    "change-trunk": "a caller that is no number of the account, bits of the host set in a network",
    "change-webhook": "a port or name that no server has",
    "create-credential": "bits of the host set in a network",
    "create-erasure": "what to erase is said in exactly one way",
    "create-recipient": "a wrong checksum",
    "create-report": "a period that ends before it begins",
    "create-service": "as change-service",
    "create-subject-request": "an identifier of nobody, a key with a wrong checksum, a kind that needs more",
    "create-trunk": "as change-trunk",
    "create-webhook": "as change-webhook",
    "extend-hold": "a day before the last one, or after 2149",
    "name-retention-class": "a name of nothing but spaces",
    "place-hold": "what to hold is said in exactly one way; a reason of the other kind; a last day that is past",
    "give-instruction": "a text in another form than docs/formats/instruction.md has",
    "get-usage": "a period that ends before it begins",
    "preview-retention": "as change-retention",
    "prove-consistency": "a size the log does not have yet",
    "prove-inclusion": "a size the log does not have yet",
    "put-message-settings": "a word of which nothing is left once it is written plainly; a class that has no name",
    "redirect-call": "as change-webhook",
    "register-instruction-key": "a text that is no verifier key",
    "register-program": "a request that its key did not sign",
    "renew-program": "a request that its key did not sign",
    "send-message": "a text that cannot be written, a number that nobody can have, an id of another form",
    "set-destinations": "a country that there is not",
    "start-call": "a number that nobody can have",
    "sum-billing-records": "a period that ends before it begins",
    "sum-closed-billing": "a period that ends before it begins",
    "upload-media": "bytes that are no sound; a name with an empty part",
}
FOUND = {"act-on-call": 0.01}
"""How often a request names what there is. An action lasts up to 30 s, so that few are really done."""
OF_ITS_OWN = {
    "get-call-status": "live-calls", "cancel-call": "live-calls", "act-on-call": "another-live-call",
    "redirect-call": "redirected-live-call", "retry-webhook-delivery": "pending",
    "get-closure-certificate": "closed", "sum-closed-billing": "closed",
}  # fmt: skip
"""What is not named as the address of an operation is; sent to a page that does not exist a call ends."""
GONE = ["410"]  # of what was erased: its id is as good as ever
# CPython 3.11 counts the recursion of ast.parse for all threads together and then refuses (gh-106905).
ONE_PARSER_AT_A_TIME = """
import ast, runpy, threading
parse, lock = ast.parse, threading.Lock()
def one_at_a_time(*given, **named):
    with lock:
        return parse(*given, **named)
ast.parse = one_at_a_time
runpy.run_module("schemathesis.cli", run_name="__main__", alter_sys=True)
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2700)]


@dataclass(frozen=True)
class Run:
    """What came of it."""

    document: dict[str, Any]
    report: str
    returned: int
    answered: dict[str, Counter[int]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with open_whole_house(PORTS) as house:
        yield examine(house, tmp_path_factory.mktemp("word"), examples=EXAMPLES)


def examine(house: ApiHouse, folder: Path, *, examples: int, only: list[str] | None = None) -> Run:
    """Run Schemathesis against this cloud."""
    kept, lost = furnish(house, PORTS, "Kept", "+441632960100"), furnish(house, PORTS, "Lost", "+441632960101")
    document = json.loads(house.ask("GET", "/openapi.json").body)
    (folder / "openapi.json").write_text(json.dumps(_with_ids(document, kept, lost)))
    (folder / "schemathesis.toml").write_text(_settings(house, document, kept, lost, examples=examples))
    lines_before = len(house.log_lines())
    chosen = [word for each in only or () for word in ("--include-operation-id", each)]
    words = ["--config-file", "schemathesis.toml", "run", "openapi.json", *chosen]
    done = subprocess.run(
        [sys.executable, "-c", ONE_PARSER_AT_A_TIME, *words], cwd=folder, capture_output=True, text=True, timeout=2400,
        check=False, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    return Run(document, done.stdout + done.stderr, done.returncode, _answered(house, document, lines_before))


def test_no_request_is_answered_otherwise_than_the_document_says(run: Run):
    assert run.returned == 0, run.report[-20_000:]


def test_every_operation_is_answered_well_at_least_once(run: Run):
    reached = {name for name, statuses in run.answered.items() if any(status // 100 == 2 for status in statuses)}
    assert sorted(set(_operations(run.document)) - reached) == []


def test_every_operation_was_tried(run: Run):
    assert min(sum(statuses.values()) for statuses in run.answered.values()) > 1
    assert sum(sum(statuses.values()) for statuses in run.answered.values()) > EXAMPLES * len(run.answered) / 2


def _operations(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {
        entry["operationId"]: (method, path)
        for path, entries in document["paths"].items()
        for method, entry in entries.items()
    }


def _ids_of(name: str, path: str, kept: Holdings, lost: Holdings) -> dict[str, str]:
    """The ids that exist, by prefix, for this operation."""
    ids = (lost if name in DESTRUCTIVE else kept).ids
    by_prefix = {text.partition("_")[0]: text for text in ids.values()}
    segment = re.search(r"/([a-z-]+)/{", path)
    collection = segment[1] if segment else ""
    collection = OF_ITS_OWN.get(name, collection)
    named = {"rec": ids["calls"], "call": ids["call"]}
    if collection in ids:
        named[ids[collection].partition("_")[0]] = ids[collection]
    return by_prefix | named


def _with_ids(document: dict[str, Any], kept: Holdings, lost: Holdings) -> dict[str, Any]:
    """The document with ids that exist in its examples; nothing else is different."""
    changed: dict[str, Any] = json.loads(json.dumps(document))
    for name, (method, path) in _operations(document).items():
        ids = _ids_of(name, path, kept, lost)
        text = json.dumps(changed["paths"][path][method])
        text = ID.sub(lambda found, ids=ids: ids[found[1]], text).replace(EXAMPLE_HASH, STANDARD_HASH)
        text = text.replace("https://example.org/next", f"http://127.0.0.1:{PORTS.pages}/next")
        changed["paths"][path][method] = json.loads(text)
        if name == "give-instruction":
            (form,) = changed["paths"][path][method]["requestBody"]["content"].values()
            form["example"]["note"] = signed_instruction(str(kept.tenant.account))
    return changed


def _settings(house: ApiHouse, document: dict[str, Any], kept: Holdings, lost: Holdings, *, examples: int) -> str:
    assert house.cloud.certificates is not None
    lines = [
        f'base-url = "https://{house.settings.api_listen}"',
        f'tls-verify = "{house.cloud.certificates.ca}"',
        "continue-on-failure = true",
        "workers = 2",
        "request-timeout = 60",
        "[generation]",
        f"max-examples = {examples}",
        "deterministic = true",
        "allow-x00 = false",  # a text with U+0000 is refused everywhere; see tests/unit/api/test_bodies.py
        "[phases.stateful]",
        "enabled = false",
        "[checks]",
        "enabled = false",
        *[f"{check}.enabled = true" for check in CHECKS],
    ]
    secrets = {each.tenant.account: _credential(house, each) for each in (kept, lost)}
    dictionaries, operations = [], []
    for name, (method, path) in _operations(document).items():
        holder = lost if name in DESTRUCTIVE else kept
        secret = house.operator if name in BY_OPERATOR else secrets[holder.tenant.account]
        secret = house.tenant("Closing").secret if name == "begin-closure" else secret  # with all that depends on it
        operations += ["[[operations]]", f'include-operation-id = "{name}"']
        operations += [f'headers = {{ Authorization = "Bearer {secret}" }}']
        statuses = ["2xx", "3xx", "401", "403", "404", "409", "429", "503", *GONE]
        statuses += ["422"] if name in BEYOND_SCHEMAS else []
        if any(each["name"] == "cursor" for each in document["paths"][path][method].get("parameters", ())):
            statuses.append("400")  # a cursor is good only when the list before gave it
        operations += [f"checks.positive_data_acceptance.expected-statuses = {json.dumps(statuses)}"]
        for parameter in document["paths"][path][method].get("parameters", ()):
            example = str(parameter["schema"].get("examples", [""])[0])
            if parameter["in"] == "path" and (found := ID.fullmatch(example)):
                identity = _ids_of(name, path, kept, lost)[found[1]]
                dictionaries += [f"[dictionaries.{name}-{parameter['name']}]", f'values = ["{identity}"]']
                binding = f'{{ dictionary = "{name}-{parameter["name"]}", probability = {FOUND.get(name, 0.5)} }}'
                operations += [f'parameters."path.{parameter["name"]}" = {binding}']
    return "\n".join([*lines, *dictionaries, *operations, ""])


def _credential(house: ApiHouse, holder: Holdings) -> str:
    """One that may do everything in its account."""
    body = {"label": "word", "scopes": [Scope.OWNER.value], "default_purpose": "quality-assurance"}
    return str(house.ask("POST", "/v1/credentials", secret=holder.owner, body=body).json["secret"])


def _answered(house: ApiHouse, document: dict[str, Any], lines_before: int) -> dict[str, Counter[int]]:
    """How often each operation gave each status, by the API's own diagnostics."""
    names = {(method.upper(), path): name for name, (method, path) in _operations(document).items()}
    answered: dict[str, Counter[int]] = defaultdict(Counter)
    for line in house.log_lines()[lines_before:]:
        if line.get("event") != "api.request":
            continue
        route = re.sub(r":\w+}", "}", str(line["route"]))
        if (line["method"], route) in names:
            answered[names[line["method"], route]][int(line["status"])] += 1
    return answered
