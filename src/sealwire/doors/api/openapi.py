"""The OpenAPI 3.1 document: what the framework derives from the handlers, completed with what they declare.

Added here: who may call, every error each operation can answer with, an example of each body (built from the
examples of the fields), and the constraints of the edge. The reference page and the isolation test read this document.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import License

from sealwire import __version__
from sealwire.doors.api.authentication import Who
from sealwire.doors.api.pace import TooManyRequests
from sealwire.doors.api.problems import (
    MEDIA_TYPE,
    BodyCutOff,
    BodyNotJson,
    BodyTooLarge,
    BodyTooSlow,
    ContentTypeWrong,
    FieldsWrong,
    Problem,
    QueryWrong,
    status_of,
    title_of,
    type_of,
)
from sealwire.errors import Gone, Malformed, SealwireError, Unavailable
from sealwire.governance.credentials import NotAuthenticated
from sealwire.governance.principals import NotPermitted
from sealwire.governance.standing import AccountIsClosed
from sealwire.vocabulary import Purpose

CONFIGURATION = OpenAPIConfig(
    title="Sealwire",
    version=__version__,
    summary="A communications cloud whose promises about personal data can be checked",
    license=License(name="Apache-2.0", identifier="Apache-2.0"),
    use_handler_docstrings=True,
)
_OF_BODIES = (BodyNotJson, FieldsWrong, ContentTypeWrong, BodyTooLarge, BodyTooSlow, BodyCutOff)
_SECURITY = {
    "credential": {
        "type": "http",
        "scheme": "bearer",
        "description": "A credential's secret, `sealwire_` and 43 characters, sent with every request.",
    }
}
_STATUS_TITLES = {200: "Done", 201: "Made", 202: "Accepted", 204: "Done, nothing to say"}
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_EXAMPLE_INSTANCE = "req_0b1c2d3e4f5061728394a5b6c7d8e9f0"
_EXAMPLE_CERTIFICATE = "/v1/certificates/ers_5f0c1e2d9a7b4c6e8f10213243546576"


def complete(document: dict[str, Any], operations: Iterable[HTTPRouteHandler]) -> dict[str, Any]:
    """The framework's document with scopes, errors and examples."""
    by_name = {str(handler.operation_id): handler for handler in operations}
    schemas = document["components"]["schemas"]
    exact = _exactly_as_taken(by_name.values())
    schemas |= {name: schema for name, schema in exact.items() if name not in schemas or "properties" in schema}
    document["components"]["securitySchemes"] = _SECURITY
    for path in document["paths"].values():
        for entry in path.values():
            _complete_operation(entry, by_name[entry["operationId"]], schemas)
    completed: dict[str, Any] = _made_portable(document)
    return completed


def _exactly_as_taken(operations: Iterable[HTTPRouteHandler]) -> dict[str, Any]:
    """Bodies as msgspec, which reads them, describes them: unknown fields, kinds and bounds included."""
    bodies = [handler.parsed_fn_signature.parameters.get("data") for handler in operations]
    taken = [Problem, *dict.fromkeys(field.annotation for field in bodies if field is not None)]
    return msgspec.json.schema_components(taken, ref_template="#/components/schemas/{name}")[1]


def _made_portable(schema: Any) -> Any:
    r"""`\Z` is Python's; what every reader of the document knows is `$` (ECMA 262). One choice is a constant."""
    match schema:
        case {"enum": [only], **rest}:
            return {"const": only, **rest}
        case dict():
            return {
                name: value.replace("\\Z", "$")
                if name == "pattern" and isinstance(value, str)
                else _made_portable(value)
                for name, value in schema.items()
            }
        case list():
            return [_made_portable(each) for each in schema]
    return schema


def example_of(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:  # noqa: PLR0911 - one return for each form
    """An example of a schema, from the examples of its fields."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    options = schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf")
    if options:
        return example_of(options[0], schemas)
    if "properties" in schema:
        return {name: example_of(field, schemas) for name, field in schema["properties"].items()}
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "array":
            return [example_of(schema["items"], schemas)]
        case "boolean":
            return True
        case "integer":
            return schema.get("default", 1)
        case _:
            return schema.get("default", "...")


def error_example(kind: type[SealwireError]) -> dict[str, Any]:
    """A problem document as this error gives it."""
    example: dict[str, Any] = {
        "type": type_of(kind),
        "title": title_of(kind),
        "status": status_of(kind),
        "detail": str(kind()),
        "instance": _EXAMPLE_INSTANCE,
    }
    if issubclass(kind, Gone):
        example["certificate"] = _EXAMPLE_CERTIFICATE
    if kind in (FieldsWrong, QueryWrong):
        example["errors"] = [{"field": "$.number", "problem": "Expected `str`, got `int`"}]
    return example


def _complete_operation(entry: dict[str, Any], handler: HTTPRouteHandler, schemas: dict[str, Any]) -> None:
    who = handler.opt["who"]
    entry["description"] = " ".join(entry.get("description", "").split())
    entry["x-who"] = who.value if isinstance(who, Who) else f"a credential with the scope `{who.value}`"
    entry["security"] = [] if who is Who.ANYBODY else [{"credential": []}]
    entry.pop("deprecated", None)
    for parameter in entry.get("parameters", ()):
        _tidy_parameter(parameter)
    if (raw := handler.opt.get("raw_body")) is not None:
        entry["requestBody"] = raw
    elif "requestBody" in entry:
        _give_examples(entry["requestBody"]["content"], schemas)
        if handler.opt["body"] is not None:
            entry["requestBody"]["content"]["application/json"]["example"] = handler.opt["body"]
    answers = {code: answer for code, answer in entry["responses"].items() if code.startswith("2")}
    for code, answer in answers.items():
        answer["description"] = _STATUS_TITLES[int(code)]
        answer.pop("headers", None)
        for media_type in handler.opt.get("also_answers", ()):
            answer["content"][media_type] = next(iter(answer["content"].values()))
        _give_examples(answer.get("content", {}), schemas)
    if who is Who.ANYBODY:
        answers["503"] = {**answers["200"], "description": "A part is not ready"}
    entry["responses"] = answers | _problem_responses(_errors_of(entry, handler))
    if who is Who.ANYBODY:
        entry["responses"]["503"] = {**answers["200"], "description": "A part is not ready; the same body"}


def _errors_of(entry: dict[str, Any], handler: HTTPRouteHandler) -> list[type[SealwireError]]:
    has_credential = handler.opt["who"] is not Who.ANYBODY
    of_credentials: list[type[SealwireError]] = [NotAuthenticated, NotPermitted, AccountIsClosed, TooManyRequests]
    errors = of_credentials if has_credential else []
    errors += [QueryWrong]
    if "requestBody" in entry:
        errors += [*_OF_BODIES, Malformed]
    return list(dict.fromkeys([*errors, *handler.opt["raises"], Unavailable]))


def _problem_responses(errors: list[type[SealwireError]]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for kind in sorted(errors, key=lambda each: (status_of(each), each.code())):
        response = responses.setdefault(
            str(status_of(kind)),
            {"description": "", "content": {MEDIA_TYPE: {"schema": _PROBLEM, "examples": {}}}},
        )
        response["content"][MEDIA_TYPE]["examples"][kind.code()] = {"value": error_example(kind)}
        response["description"] = ", ".join(response["content"][MEDIA_TYPE]["examples"])
    return responses


def _give_examples(content: dict[str, Any], schemas: dict[str, Any]) -> None:
    for media_type, form in content.items():
        if media_type == "application/json":
            form["example"] = example_of(form["schema"], schemas)


def _tidy_parameter(parameter: dict[str, Any]) -> None:
    for name in ("deprecated", "allowEmptyValue", "allowReserved"):
        parameter.pop(name, None)
    schema = parameter["schema"]
    schema.pop("description", None)
    stated = [option for option in schema.get("oneOf", ()) if option != {"type": "null"}]
    if len(stated) == 1:  # a parameter is left out, it cannot be null
        del schema["oneOf"]
        parameter["schema"] = stated[0] | schema
    if schema.get("enum") == list(Purpose):  # one name for it, in bodies and headers
        parameter["schema"] = {"$ref": "#/components/schemas/Purpose"}
