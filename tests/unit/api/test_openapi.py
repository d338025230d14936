"""The document tells all there is: scopes, errors with their sentences, an example of everything; the page shows it."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from sealwire.doors.api.app import OPERATIONS, openapi_document
from sealwire.doors.api.authentication import Who
from sealwire.doors.api.problems import MEDIA_TYPE, status_of
from sealwire.doors.api.reference import _render, shown_operations
from sealwire.governance.principals import Scope

DOCUMENT = openapi_document()
ADDRESS = "https://127.0.0.1:8443"
ENTRIES = {
    entry["operationId"]: (path, method, entry)
    for path, entries in DOCUMENT["paths"].items()
    for method, entry in entries.items()
}
HANDLERS = {str(handler.operation_id): handler for handler in OPERATIONS}
BODIES = [name for name in ENTRIES if "requestBody" in ENTRIES[name][2] and "raw_body" not in HANDLERS[name].opt]


def test_it_is_openapi_3_1_and_every_reference_in_it_resolves():
    assert DOCUMENT["openapi"].startswith("3.1")
    text = msgspec.json.encode(DOCUMENT).decode()
    referred = set(re.findall(r'"\$ref":"#/components/schemas/([^"]+)"', text))
    assert referred <= set(DOCUMENT["components"]["schemas"])
    assert "status_code" not in text, "an error in the framework's own form is still described"


@pytest.mark.parametrize("name", ENTRIES)
def test_every_operation_says_what_it_does_who_may_and_how_it_can_fail(name: str):
    _, _, entry = ENTRIES[name]
    who = HANDLERS[name].opt["who"]
    assert isinstance(who, Scope | Who)
    assert len(entry["summary"]) > 5
    assert entry["description"].endswith(".")
    assert (entry["security"] == []) == (who is Who.ANYBODY)
    if who is not Who.ANYBODY:
        assert {"401", "403", "503"} <= set(entry["responses"])
    for kind in HANDLERS[name].opt["raises"]:
        response = entry["responses"][str(status_of(kind))]
        example = response["content"][MEDIA_TYPE]["examples"][kind.code()]["value"]
        assert example["status"] == status_of(kind)
        assert example["detail"] == str(kind())


@pytest.mark.parametrize("name", BODIES)
def test_the_example_of_every_body_is_one_that_the_operation_takes(name: str):
    (form,) = ENTRIES[name][2]["requestBody"]["content"].values()
    taken = HANDLERS[name].parsed_fn_signature.parameters["data"].annotation
    msgspec.convert(form["example"], taken, strict=True)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_post_that_makes_something_takes_an_idempotency_key(name: str):
    _, method, entry = ENTRIES[name]
    takes = any(parameter["name"] == "Idempotency-Key" for parameter in entry.get("parameters", ()))
    makes = method == "post" and not entry["responses"].keys() & {"200"}
    assert takes == makes


@pytest.mark.parametrize("name", ENTRIES)
def test_whoever_opens_content_is_asked_why(name: str):
    path, _, entry = ENTRIES[name]
    asked = any(parameter["name"] == "Sealwire-Purpose" for parameter in entry.get("parameters", ()))
    is_the_purpose = path.startswith("/v1/subject-requests")  # what is opened for a person's request is for that alone
    assert asked == (HANDLERS[name].opt["who"] is Scope.OPEN and not is_the_purpose), path


@pytest.mark.parametrize("name", ENTRIES)
def test_no_address_and_no_query_takes_a_number(name: str):
    path, _, entry = ENTRIES[name]
    parameters = [each["name"] for each in entry.get("parameters", ()) if each["in"] in ("path", "query")]
    assert not [
        each
        for each in [*parameters, path.rpartition("/")[2]]
        if "number" in each and each not in ("numbers", "{number_id}", "number_id")
    ]


class _Page(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page() -> tuple[str, _Page, str]:
    html, policy = _render(DOCUMENT, ADDRESS)
    parsed = _Page()
    parsed.feed(html.decode())
    assert parsed.open == []
    return html.decode(), parsed, policy


def test_the_page_shows_every_operation_with_a_sample(page: tuple[str, _Page, str]):
    html, parsed, _ = page
    shown = {attributes.get("id") for tag, attributes in parsed.tags if tag == "article"}
    assert shown == set(ENTRIES)
    assert html.count("curl --cacert ca.pem") == len(ENTRIES) + 1


def test_every_link_on_the_page_leads_somewhere_on_it(page: tuple[str, _Page, str]):
    _, parsed, _ = page
    ids = {attributes["id"] for _, attributes in parsed.tags if "id" in attributes}
    links = [attributes["href"] or "" for tag, attributes in parsed.tags if tag == "a"]
    assert [link for link in links if link[1:] not in ids and link != "/openapi.json"] == []


def test_the_page_needs_no_script_and_nothing_from_elsewhere(page: tuple[str, _Page, str]):
    html, parsed, policy = page
    assert not {"script", "img", "link", "iframe", "form", "object"} & {tag for tag, _ in parsed.tags}
    assert not [name for _, attributes in parsed.tags for name in attributes if name in ("style", "src", "srcset")]
    assert "url(" not in html
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_a_sample_has_every_part_of_its_request():
    shown = {each.name: each.curl for group in shown_operations(DOCUMENT, ADDRESS).values() for each in group}
    assert "{" not in re.sub(r"-d '[^']*'", "", shown["open-call"])
    assert "Sealwire-Purpose: " in shown["open-call"]
    assert "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)" in shown["create-service"]  # uuidgen may be missing
    assert "-X DELETE" in shown["revoke-credential"]
    assert shown["prove-consistency"].endswith("/v1/log/proofs/consistency?from=1&to=2'")
    assert "Authorization" not in shown["get-health"]
