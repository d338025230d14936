"""Every operation of the OpenAPI document, and the requests it takes about what an account has."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from sealwire.doors.api.app import OPERATIONS, openapi_document
from sealwire.doors.api.authentication import OF_OPERATOR, Who
from sealwire.doors.api.pagination import write_cursor
from sealwire.governance.agreements import document_sha256, standard_document
from sealwire.governance.principals import Scope
from sealwire.vocabulary import RecordId
from tests.holdings import CALLED, SCOPES, Holdings, signed_instruction, wav_file

PURPOSE = (("Sealwire-Purpose", "quality-assurance"),)
NOBODYS_NUMBER = "+441632960188"
DOCUMENT = openapi_document()
ID = re.compile(r"(acc|app|svc|trk|msg|med|rcp|rep|whk|dlv|uas|num|cred|ers|hld|dsr|ins|clo|rec|call)_[0-9a-f]{32}")
CLOSED = {"get-closure-certificate", "sum-closed-billing"}
LIVE = {"get-call-status", "cancel-call", "act-on-call", "redirect-call"}
WITH_NUMBER = {"send-message", "ask-subject"}


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    name: str
    method: str
    path: str
    entry: dict[str, Any]
    who: Scope | Who

    @property
    def allowed(self) -> set[Scope]:
        """The scopes of an account that may do it."""
        if self.who in (Scope.OPERATOR, Who.RETRIEVER_OR_OPERATOR):
            return set()
        if self.who is Who.CLOSURE_FOLLOWER:
            return {Scope.OWNER}
        if self.who is Who.CONFIGURER_OR_OPERATOR:
            return {Scope.CONFIGURE, Scope.OWNER}
        return {self.who, Scope.OWNER} if isinstance(self.who, Scope) else set(SCOPES)

    @property
    def is_of_operator(self) -> bool:
        return self.who in OF_OPERATOR or self.who in (Scope.OPERATOR, Who.ANYBODY)

    @property
    def collection(self) -> str:
        """What the id in the path is one of."""
        if self.name in LIVE:
            return "live-calls"
        if self.name in CLOSED:
            return "closed"
        if self.name == "retry-webhook-delivery":
            return "pending"
        return re.findall(r"/([a-z-]+)/{", self.path)[-1]


WHO = {str(handler.operation_id): handler.opt["who"] for handler in OPERATIONS}
EVERY = [
    Operation(entry["operationId"], method.upper(), path, entry, WHO[entry["operationId"]])
    for path, entries in DOCUMENT["paths"].items()
    for method, entry in entries.items()
]


@dataclass(frozen=True)
class Ids:
    """One of everything that an account can name."""

    of: dict[str, str]
    number: str
    moment: dt.datetime

    @classmethod
    def held(cls, holdings: Holdings) -> Ids:
        return cls(holdings.ids, holdings.number, holdings.moment)

    def random(self) -> Ids:
        """The same, with ids that were never given out."""
        never = {name: f"{text.partition('_')[0]}_{uuid4().hex}" for name, text in self.of.items()}
        return replace(self, of=never, number=NOBODYS_NUMBER)


@dataclass(frozen=True)
class Sent:
    """A request."""

    method: str
    path: str
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


def requests_of(operation: Operation, ids: Ids, *, pages: int) -> list[Sent]:
    """The requests an operation takes about these ids, made from the document; KeyError where nobody has such a thing.

    One with the required parameters, and one for each optional parameter that names something. `pages` is the port of
    the customer's web server.
    """
    by_prefix = {text.partition("_")[0]: text for text in ids.of.values()}
    by_prefix |= {"rec": ids.of["calls"], "call": ids.of["call"]}
    path = operation.path
    for name in re.findall(r"{(\w+)}", path):
        collection = "accounts" if name == "account_id" else operation.collection
        path = path.replace(f"{{{name}}}", "0/000.p/1" if name == "path" else ids.of[collection])
    query, naming = [], []
    for parameter in operation.entry.get("parameters", ()):
        schema = parameter["schema"]
        if parameter["in"] == "query" and parameter["required"]:
            query.append(f"{parameter['name']}={schema['examples'][0]}")
        elif parameter["name"] == "cursor":
            kind = path.removeprefix("/v1/").replace("webhook-deliveries/pending", "pending-deliveries")
            naming.append(f"cursor={write_cursor(kind, (ids.moment, RecordId.parse(ids.of['calls']).value))}")
        elif parameter["in"] == "query" and "_[0-9a-f]{32}" in schema.get("pattern", ""):
            prefix = re.sub(r"\W", "", schema["pattern"].partition("_")[0])
            naming.append(f"{parameter['name']}={by_prefix[prefix]}")
    body, headers = _body_of(operation, ids, by_prefix, pages)
    addresses = [f"{path}?{'&'.join([*query, *each])}".rstrip("?") for each in ([[one] for one in naming] or [[]])]
    made = [Sent(operation.method, address, body, headers) for address in addresses]
    if operation.name == "create-erasure":
        others = ({"records": [ids.of["calls"], ids.of["recordings"]]}, {"number": ids.number})
        made += [replace(made[0], body={"ground": "instruction", **other}) for other in others]
    return made


def _body_of(
    operation: Operation, ids: Ids, by_prefix: dict[str, str], pages: int
) -> tuple[Any, tuple[tuple[str, str], ...]]:  # fmt: skip
    content = operation.entry.get("requestBody", {}).get("content", {})
    if operation.name == "upload-media":
        return wav_file(), (("Content-Type", "audio/wav"), ("Sealwire-Media-Name", "x.wav"))
    if not content:
        return None, PURPOSE
    text = json.dumps(content["application/json"]["example"])
    text = ID.sub(lambda found: by_prefix[found[1]], text)
    if operation.name in WITH_NUMBER:
        text = text.replace("+441632960100", ids.number).replace("+441632960123", CALLED)
    body = json.loads(text)
    match operation.name:
        case "ask-subject":
            body["number"] = ids.number
        case "place-hold":  # what no erasure of these tests asks for
            body["records"] = [ids.of["call-to-hold"]]
        case "give-instruction":
            body["note"] = signed_instruction(ids.of["accounts"])
        case "assign-number":
            body["number"] = "+441632960999"
        case "accept-agreement":
            body["sha256"] = document_sha256(standard_document())
        case "redirect-call":
            body["page"] = f"http://127.0.0.1:{pages}/next"
    return body, PURPOSE
