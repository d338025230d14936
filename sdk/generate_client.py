"""Writes the client from the service's own OpenAPI document, so that no operation is missing and no type is a guess.

    python sdk/generate_client.py openapi.json sdk/src/sealwire_sdk/client

Three files: `models.py`, `synchronous.py`, `asynchronous.py`. They are committed; a test compares.
"""

from __future__ import annotations

import json
import keyword
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Schema = Mapping[str, Any]
HEADER = '"""{what} Written by generate_client.py from the service\'s OpenAPI document: do not edit."""\n'
OWN_HEADERS = {"Sealwire-Purpose": "purpose", "Sealwire-Media-Name": "name"}
OWN_PROBLEMS = {"Problem", "FieldProblem"}
"""Raised as exceptions, which are written by hand."""
KINDS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
TIMES = {"date-time": "dt.datetime", "date": "dt.date"}


def snake(name: str) -> str:
    """A name that Python takes: `create-account` is create_account, `from` is from_."""
    text = re.sub(r"\W", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).lower()
    return f"{text}_" if keyword.iskeyword(text) else text


def type_of(schema: Schema) -> str:
    """The Python type of a schema."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        words = [repr(value) for value in schema["enum"] if value is not None]
        return f"Literal[{', '.join(words)}]" + (" | None" if None in schema["enum"] else "")
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    options = schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf")
    if options:
        kinds = list(dict.fromkeys(type_of(option) for option in options))
        full = [kind for kind in kinds if kind != "None"]
        return " | ".join([*full, "None"] if "None" in kinds else full)
    return _plain_type(schema)


def _plain_type(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        full = [one for one in kind if one != "null"]
        inner = _plain_type({**schema, "type": full[0]})
        return f"{inner} | None" if "null" in kind else inner
    if kind == "array":
        return f"list[{type_of(schema.get('items', {}))}]"
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"dict[str, {type_of(more)}]" if isinstance(more, Mapping) and more else "dict[str, Any]"
    if kind == "string" and schema.get("format") in TIMES:
        return TIMES[schema["format"]]
    return KINDS.get(str(kind), "Any")


def _names_in(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        if "$ref" in part:
            yield type_of(part)
        for inner in part.values():
            yield from _names_in(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _names_in(inner)


def _names_needed(document: Schema) -> set[str]:
    """Schemas that have to be models: what is answered, and what bodies hold. A body's own fields are arguments."""
    schemas, found = document["components"]["schemas"], set(OWN_PROBLEMS)
    waiting = [name for _, _, operation in _operations(document) for name in _names_of(operation, schemas)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _names_in(schemas[name])
    return found - OWN_PROBLEMS


def _names_of(operation: Schema, schemas: Schema) -> Iterator[str]:
    yield from _names_in([operation["responses"], operation.get("parameters", [])])
    for name in _names_in(operation.get("requestBody", {})):
        yield from _names_in(schemas[name])


def models(document: Schema) -> str:
    """Every object of the document as a msgspec Struct; what has a `const` is told apart by it."""
    schemas = document["components"]["schemas"]
    lines = [HEADER.format(what="What the API takes and answers."), "from __future__ import annotations\n"]
    lines += ["import datetime as dt", "from typing import TYPE_CHECKING, Any, Literal\n", "import msgspec\n"]
    needed = sorted(_names_needed(document))
    words = [name for name in needed if "properties" not in schemas[name]]
    closed = {name: schemas[name] for name in words} | _fields_of_words({name: schemas[name] for name in needed})
    lines += ["if TYPE_CHECKING:", *(_words(name, schema) for name, schema in closed.items())]
    lines += ["else:  # a newer service may know more words than this"]
    lines += [f"    {name} = str" for name in closed]
    for name in needed:
        if name not in words:
            lines += _struct(name, schemas[name], schemas)
    return "\n".join(lines)


def _fields_of_words(schemas: Schema) -> dict[str, Schema]:
    """Fields with a closed list of words of their own, as `WebhookSeenState`."""
    fields = [(name, field, inner) for name in schemas for field, inner in schemas[name].get("properties", {}).items()]
    return {_own_words(name, field): inner for name, field, inner in fields if "enum" in inner}


def _own_words(name: str, field: str) -> str:
    return f"{name}{field.title().replace('_', '')}"


def _words(name: str, schema: Schema) -> str:
    return f"    {name} = {type_of(schema)}\n{_docstring(schema.get('description') or _title(name), 4)}"


def _struct(name: str, schema: Schema, schemas: Schema) -> Iterator[str]:
    fields, required = schema["properties"], set(schema.get("required", ()))
    tag = next(((field, inner["const"]) for field, inner in fields.items() if "const" in inner), None)
    tagged = f", tag_field={tag[0]!r}, tag={tag[1]!r}" if tag else ""
    yield f"\n\nclass {name}(msgspec.Struct, kw_only=True, omit_defaults=True{tagged}):"
    yield _docstring(schema.get("description") or (f"`{tag[1]}`." if tag else _title(name)), 4)
    for field, inner in fields.items():
        if tag and field == tag[0]:
            continue
        kind, own = _own_words(name, field) if "enum" in inner else type_of(inner), snake(field)
        default = "" if field in required else _default_of(inner, schemas)
        if field not in required and default == "None" and not kind.endswith("| None"):
            kind = f"{kind} | None"
        renamed = f'name="{field}"' if own != field else ""
        if renamed:
            default = f"msgspec.field({', '.join([*([f'default={default}'] if default else []), renamed])})"
        yield f"    {own}: {kind}{f' = {default}' if default else ''}"
        if inner.get("description"):
            yield _docstring(inner["description"], 4)
    yield ""


def _default_of(schema: Schema, schemas: Schema) -> str:
    """What the service takes a field for that is left out, as Python; None where the document does not say."""
    if "default" not in schema:
        if "$ref" in schema:
            return _default_of(schemas[type_of(schema)], schemas)
        inner = schema.get("allOf", ())
        return _default_of(inner[0], schemas) if inner else "None"
    value = schema["default"]
    if isinstance(value, list | dict) and value:
        return "None"
    return repr(value)


def _title(name: str) -> str:
    """`CallSeen` is "Call seen."; better than nothing."""
    return f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', ' ', name).capitalize()}."


def client(document: Schema, *, is_async: bool) -> str:
    """One class with a method for every operation."""
    name, wire = ("AsyncOperations", "AsyncWire") if is_async else ("Operations", "Wire")
    methods = [method for operation in _operations(document) for method in _methods(document, *operation, is_async)]
    a, wait, enter = ("async ", "await ", "a") if is_async else ("", "", "")
    text = _by_name("\n".join(methods), document)
    used = sorted(set(re.findall(r"\b\w+\b", _without_docstrings(text))) & _names_needed(document))
    head = f'''{HEADER.format(what="Every operation of the API.")}
# ruff: noqa: A002 - arguments are called what the API calls them

from __future__ import annotations

import datetime as dt
from collections.abc import {"AsyncIterator" if is_async else "Iterator"}
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

import msgspec

from sealwire_sdk.client.models import {", ".join(used)}
from sealwire_sdk.client.transport import Call, {wire}, decoded, given, path_of


class {name}:
    """A method for each operation. What is left out (or UNSET) is not sent."""

    def __init__(
        self,
        address: str | None = None,
        secret: str | None = None,
        *,
        ca: Path | str | None = None,
        seconds: float = 30.0,
    ) -> None:
        self._wire = {wire}(address, secret, ca=ca, seconds=seconds)

    {a}def __{enter}enter__(self) -> Self:
        return self

    {a}def __{enter}exit__(self, *_: object) -> None:
        {wait}self.close()

    {a}def close(self) -> None:
        """Close every connection."""
        {wait}self._wire.close()
'''
    return head + "\n" + text


def _by_name(text: str, document: Schema) -> str:
    """A list of words that has a name is called by it."""
    schemas = document["components"]["schemas"]
    for name in _names_needed(document):
        if "properties" not in schemas[name]:
            text = text.replace(type_of(schemas[name]), name)
    return text


def _without_docstrings(text: str) -> str:
    return re.sub(r'"""(?s:.*?)"""', "", text)


def _operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, Mapping) and "operationId" in operation:
                yield method.upper(), path, operation


def _methods(document: Schema, method: str, path: str, operation: Schema, is_async: bool) -> Iterator[str]:
    shape = _Shape(document, method, path, operation)
    yield shape.method(is_async)
    if shape.answer == "bytes":
        yield shape.method(is_async, into_file=True)
    if shape.item is not None:
        yield shape.pages(is_async)


class _Shape:
    """What a method needs to know about its operation."""

    def __init__(self, document: Schema, method: str, path: str, operation: Schema) -> None:
        self.http, self.path, self.operation = method, path, operation
        self.name = snake(operation["operationId"])
        parameters = operation.get("parameters", [])
        everything = {one["name"].lower() for one in parameters}
        self.takes_key = "idempotency-key" in everything
        self.repeatable = method != "POST" or self.takes_key
        self.inside = [one for one in parameters if one["in"] == "path"]
        self.asked = [
            one for one in parameters if one["in"] in ("query", "header") and one["name"].lower() != "idempotency-key"
        ]
        self.body, self.content_types = self._body(document)
        self.answer = self._answer()
        schemas = document["components"]["schemas"]
        items = schemas.get(self.answer, {}).get("properties", {}).get("items", {}).get("items")
        pages = items is not None and any(one["name"] == "cursor" for one in self.asked)
        self.item = type_of(items) if pages else None

    def _body(self, document: Schema) -> tuple[Schema | None, list[str]]:
        content = self.operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        if schema is None:
            return None, list(content)
        if "$ref" in schema:
            schema = document["components"]["schemas"][type_of(schema)]
        return schema, []

    def _answer(self) -> str:
        for status, answer in self.operation["responses"].items():
            if not status.startswith("2"):
                continue
            content = answer.get("content", {})
            if not content or status == "204":
                return "None"
            if "text/plain" in content:
                return "str"
            schema = content.get("application/json", {}).get("schema")
            return type_of(schema) if schema else "bytes"
        return "None"

    def own_name(self, parameter: str) -> str:
        """What a parameter is called here; a header gives way to a field of the body."""
        own = OWN_HEADERS.get(parameter, snake(parameter))
        return f"stated_{own}" if own in {snake(name) for name in (self.body or {}).get("properties", {})} else own

    def _may_be_unset(self, schema: Schema) -> bool:
        """Where null says something else than leaving out does: what is changed, or has another default."""
        is_change = self.http in ("PATCH", "PUT") or schema.get("default") is not None
        return is_change and type_of(schema).endswith("| None")

    def signature(self, *, without: frozenset[str] = frozenset()) -> list[str]:
        arguments = [f"{snake(one['name'])}: str" for one in self.inside]
        named: list[str] = []
        optional: list[str] = []
        if self.content_types:
            named.append("content: bytes")
            optional.append(f"content_type: Literal{self.content_types!r} = {self.content_types[0]!r}")
        required = set((self.body or {}).get("required", ()))
        for name, schema in (self.body or {}).get("properties", {}).items():
            kind = type_of(schema)
            if name in required:
                named.append(f"{snake(name)}: {kind}")
            elif self._may_be_unset(schema):
                optional.append(f"{snake(name)}: {kind} | msgspec.UnsetType = msgspec.UNSET")
            else:
                optional.append(f"{snake(name)}: {kind.removesuffix(' | None')} | None = None")
        for one in self.asked:
            if one["name"] not in without:
                own = self.own_name(one["name"])
                kind = type_of(one["schema"]).removesuffix(" | None")
                if one.get("required"):
                    named.append(f"{own}: {kind}")
                else:
                    optional.append(f"{own}: {kind} | None = None")
        if self.takes_key:
            optional.append("idempotency_key: str | None = None")
        return arguments + (["*", *named, *optional] if named or optional else [])

    def call(self) -> str:
        path = f'"{self.path}"'
        if self.inside:
            filled = ", ".join(f"{snake(one['name'])}={snake(one['name'])}" for one in self.inside)
            path = f"path_of({path}, {filled})".replace(":str}", "}")
        parts = [f'"{self.http}"', path]
        query = [f'"{one["name"]}": {snake(one["name"])}' for one in self.asked if one["in"] == "query"]
        if query:
            parts.append(f"query={{{', '.join(query)}}}")
        headers = [f'"{one["name"]}": {self.own_name(one["name"])}' for one in self.asked if one["in"] == "header"]
        if self.content_types:
            headers.append('"Content-Type": content_type')
            parts.append("content=content")
        if headers:
            parts.append(f"headers={{{', '.join(headers)}}}")
        if self.body is not None:
            parts.append(f"body={{{', '.join(self._fields(self.body))}}}")
        if self.takes_key:
            parts.append("key=idempotency_key")
        if not self.repeatable:
            parts.append("repeatable=False")
        return f"Call({', '.join(parts)})"

    def _fields(self, body: Schema) -> Iterator[str]:
        required = set(body.get("required", ()))
        for name, schema in body.get("properties", {}).items():
            as_is = name in required or self._may_be_unset(schema)
            yield f'"{name}": {snake(name)}' if as_is else f'"{name}": given({snake(name)})'

    def method(self, is_async: bool, *, into_file: bool = False) -> str:
        a, wait = ("async ", "await ") if is_async else ("", "")
        name, answer, arguments = self.name, self.answer, ["self", *self.signature()]
        words = f"{self.operation.get('summary', '')}. {self.operation.get('description', '')}".strip()
        if into_file:
            name, answer = f"{self.name}_into", "int"
            arguments.insert(1 + len(self.inside), "file: BinaryIO")
            words = f"{self.operation.get('summary', '')}, piece by piece into `file`; the number of bytes."
        lines = [f"    {a}def {name}({', '.join(arguments)}) -> {answer}:", _docstring(words, 8)]
        sent = f"{wait}self._wire.send({self.call()})"
        if into_file:
            lines.append(f"        return {wait}self._wire.send_into({self.call()}, file)")
        elif answer == "None":
            lines.append(f"        {sent}")
        elif answer == "bytes":
            lines.append(f"        return {sent}")
        elif answer == "str":
            lines.append(f"        return ({sent}).decode()")
        else:
            lines.append(f"        return decoded({sent}, {answer})")
        return "\n".join(lines) + "\n"

    def pages(self, is_async: bool) -> str:
        a, wait, kind = ("async ", "await ", "AsyncIterator") if is_async else ("", "", "Iterator")
        signature = self.signature(without=frozenset({"cursor"}))
        names = [one.partition(":")[0] for one in signature if one != "*"]
        inside = {snake(one["name"]) for one in self.inside}
        passed = ", ".join([name if name in inside else f"{name}={name}" for name in names])
        name, arguments = f"iter_{self.name.removeprefix('list_')}", ", ".join(["self", *signature])
        lines = [f"    {a}def {name}({arguments}) -> {kind}[{self.item}]:"]
        lines.append(_docstring(f"{self.operation.get('summary', '')}, page after page, to the last.", 8))
        lines += [
            "        cursor: str | None = None",
            "        while True:",
            f"            page = {wait}self.{self.name}({passed}{', ' if passed else ''}cursor=cursor)",
            *(
                ["            for item in page.items:", "                yield item"]
                if is_async
                else ["            yield from page.items"]
            ),
            "            cursor = page.next_cursor",
            "            if cursor is None:",
            "                return",
        ]
        return "\n".join(lines) + "\n"


def _docstring(text: str, indent: int) -> str:
    words = " ".join(text.replace("\\", "\\\\").replace('"""', "'''").split())
    space = " " * indent
    if len(words) + indent + 7 <= 120:
        return f'{space}"""{words}"""'
    wrapped = textwrap.wrap(words, 113 - indent)
    return f'{space}"""{wrapped[0]}\n' + "\n".join(f"{space}{line}" for line in wrapped[1:]) + f'\n{space}"""'


def generate(document: Schema) -> dict[str, str]:
    """File names and texts."""
    return {
        "models.py": models(document),
        "synchronous.py": client(document, is_async=False),
        "asynchronous.py": client(document, is_async=True),
    }


def main() -> None:
    """Write the three files; the formatter of the project makes them pretty."""
    document, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    for name, text in generate(document).items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
