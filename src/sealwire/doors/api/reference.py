"""The reference page: the OpenAPI document as a page for people. No script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup, escape

from sealwire.doors.api.authentication import Who, operation
from sealwire.doors.api.openapi import example_of

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Row:
    """A parameter or a field: name, type, what it is."""

    name: str
    type: str
    is_needed: bool
    text: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """One way an operation can refuse."""

    status: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back when it works."""

    status: str
    media_type: str
    rows: list[Row]
    example: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """One operation as the page shows it."""

    name: str
    method: str
    path: str
    summary: str
    text: str
    who: str
    parameters: list[Row]
    body: list[Row]
    answers: list[Answer]
    failures: list[Failure]
    curl: str


def reference_pages(document: dict[str, Any], *, address: str) -> list[HTTPRouteHandler]:
    """`/`, `/reference` and `/openapi.json`, made once."""
    document = document | {"servers": [{"url": address}]}
    as_json = msgspec.json.encode(document)
    page, policy = _render(document, address)

    @get(["/", "/reference"], media_type="text/html", **operation("reference", "Reference", Who.ANYBODY))
    async def reference() -> Response[bytes]:
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
        return Response(page, media_type="text/html", headers=headers)

    @get("/openapi.json", **operation("openapi", "Reference", Who.ANYBODY))
    async def openapi() -> Response[bytes]:
        return Response(as_json, media_type="application/json", headers={"Cache-Control": "no-cache"})

    return [reference, openapi]


def shown_operations(document: dict[str, Any], address: str) -> dict[str, list[Shown]]:
    """Every operation, grouped by resource in the order of the document."""
    groups: dict[str, list[Shown]] = {}
    for path, entries in document["paths"].items():
        for method in _METHODS:
            if method in entries:
                entry = entries[method]
                groups.setdefault(entry["tags"][0], []).append(_shown(path, method, entry, document, address))
    return groups


def _render(document: dict[str, Any], address: str) -> tuple[bytes, str]:
    folder = files(__package__) / "templates"
    style = (folder / "reference.css").read_text()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["prose"] = prose
    page = environment.from_string((folder / "reference.html").read_text()).render(
        style=Markup(style),  # noqa: S704 - our own file, and its hash is in the policy
        groups=shown_operations(document, address),
        version=document["info"]["version"],
        address=address,
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    nothing_else = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; {nothing_else}"
    return page.encode(), policy


def prose(text: str) -> Markup:
    """A docstring's text with its `code` marked up."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped first


def _shown(path: str, method: str, entry: dict[str, Any], document: dict[str, Any], address: str) -> Shown:
    schemas = document["components"]["schemas"]
    body = entry.get("requestBody", {}).get("content", {}).get("application/json", {})
    return Shown(
        name=entry["operationId"], method=method.upper(), path=path, summary=entry["summary"],
        text=entry["description"], who=entry["x-who"],
        parameters=[_parameter(each, schemas) for each in entry.get("parameters", ())],
        body=list(_rows(body["schema"], schemas)) if body else [],
        answers=[_answer(code, each, schemas) for code, each in entry["responses"].items() if code.startswith("2")],
        failures=list(_failures(entry)),
        curl=curl(path, method, entry, schemas, address),
    )  # fmt: skip


def curl(path: str, method: str, entry: dict[str, Any], schemas: dict[str, Any], address: str) -> str:
    """One line that can be pasted, once ca.pem is at hand and SEALWIRE_CREDENTIAL is set."""
    query = []
    lines = ["curl --cacert ca.pem"]
    if entry["security"]:
        lines.append('-H "Authorization: Bearer $SEALWIRE_CREDENTIAL"')
    for parameter in entry.get("parameters", ()):
        example = str(example_of(parameter["schema"] | _only_examples(parameter), schemas))
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", example)
        elif parameter["in"] == "query" and parameter["required"]:
            query.append(f"{parameter['name']}={example}")
        elif parameter["name"] == "Sealwire-Purpose":
            lines.append("-H 'Sealwire-Purpose: quality-assurance'")
        elif parameter["name"] == "Idempotency-Key":
            lines.append('-H "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)"')
    body = entry.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        lines += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(body['example'], ensure_ascii=False)}'"]
    if method not in ("get", "post") or (method == "post" and not body):
        lines.append(f"-X {method.upper()}")
    if "audio/wav" in str(entry["responses"].get("200", {}).get("content", {})):
        lines.append("-o recording.wav")
    lines.append(f"'{address}{path}{'?' + '&'.join(query) if query else ''}'")
    return " \\\n  ".join(lines)


def _only_examples(parameter: dict[str, Any]) -> dict[str, Any]:
    return {"examples": parameter["schema"]["examples"]} if "examples" in parameter["schema"] else {}


def _parameter(parameter: dict[str, Any], schemas: dict[str, Any]) -> Row:
    kind = _type(parameter["schema"], schemas).removesuffix(" or null")
    return Row(parameter["name"], kind, parameter["required"], parameter.get("description", ""), parameter["in"])


def _answer(code: str, answer: dict[str, Any], schemas: dict[str, Any]) -> Answer:
    for media_type, form in answer.get("content", {}).items():
        if media_type == "application/json":
            example = json.dumps(form["example"], indent=2, ensure_ascii=False)
            return Answer(code, media_type, list(_rows(form["schema"], schemas)), example)
        return Answer(code, media_type, [], None)
    return Answer(code, "", [], None)


def _failures(entry: dict[str, Any]) -> Iterator[Failure]:
    for code, response in entry["responses"].items():
        for content in response.get("content", {}).values():
            for name, example in content.get("examples", {}).items():
                yield Failure(code, name, example["value"]["detail"])


def _rows(schema: dict[str, Any], schemas: dict[str, Any], prefix: str = "") -> Iterator[Row]:
    """The fields of an object, those of objects in it below them with a dotted name."""
    schema = _resolved(schema, schemas)
    needed = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        inner = _resolved(field, schemas)
        text = field.get("description") or (inner.get("description", "") if "properties" in inner else "")
        yield Row(prefix + name, _type(field, schemas), name in needed, text)
        if "properties" in inner:
            yield from _rows(inner, schemas, f"{prefix}{name}.")
        elif inner.get("type") == "array" and "properties" in _resolved(inner["items"], schemas):
            yield from _rows(inner["items"], schemas, f"{prefix}{name}[].")


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """What a schema stands for, without references and without the null of `| None`."""
    while True:
        options = [each for each in _options(schema) if each.get("type") != "null"]
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        elif len(options) == 1:
            schema = options[0]
        else:
            return schema


def _options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return list(schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf") or ())


def _type(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    can_be_null = any(each.get("type") == "null" for each in _options(schema))
    inner = _resolved(schema, schemas)
    if "enum" in inner:
        name = " | ".join(str(each) for each in inner["enum"] if each is not None)
    elif inner.get("type") == "array":
        name = f"list of {_type(inner['items'], schemas)}"
    else:
        kind = str(inner.get("type", "value"))
        name = {"date-time": "time", "date": "date"}.get(inner.get("format", ""), kind)
    if "maximum" in inner and "minimum" in inner and inner["maximum"] < 1 << 32:
        name += f", {int(inner['minimum'])} to {int(inner['maximum'])}"
    return f"{name} or null" if can_be_null else name
