"""A body is taken as it is written, and an address says which methods it takes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api_house import ApiHouse, Tenant, house

from sealwire.doors.api.app import openapi_document

__all__ = ["house"]
ECHO = {"name": "x", "logic": {"kind": "built-in", "name": "echo"}}


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    return house.tenant("Bodies")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/credentials", {"label": 5, "scopes": ["owner"]}, "$.label"),
        ("/v1/services", {**ECHO, "early_media": 0}, "$.early_media"),
        ("/v1/services", {**ECHO, "seconds_max": "60"}, "$.seconds_max"),
        ("/v1/reports", {"of": "call-records", "with_content": "true"}, "$.with_content"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_and_named_even_when_it_could_be_made_to_fit(
    house: ApiHouse, tenant: Tenant, path: str, body: dict[str, Any], field: str
):
    refused = house.ask("POST", path, secret=tenant.secret, body=body)
    assert (refused.status, refused.code) == (422, "fields-wrong")
    assert [each["field"] for each in refused.json["errors"]] == [field]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/credentials", {"label": "a\0", "scopes": ["owner"]}),
        ("PUT", "/v1/message-settings", {"stop_words": ["STOP", "\0"]}),
    ],
)
def test_a_text_with_a_nul_is_refused(house: ApiHouse, tenant: Tenant, method: str, path: str, body: dict[str, Any]):
    refused = house.ask(method, path, secret=tenant.secret, body=body)
    assert (refused.status, refused.code) == (422, "fields-wrong")


def test_a_whole_number_may_have_a_point(house: ApiHouse, tenant: Tenant):
    body = {**ECHO, "seconds_max": 60.0}
    made = house.ask("POST", "/v1/services", secret=tenant.secret, body=body)
    assert (made.status, made.json["seconds_max"]) == (201, 60)


@pytest.mark.parametrize("query", ["until=0.5", "until=null", "outcome=null", "since=1700000000"])
def test_a_time_in_a_query_is_written_as_rfc_3339_and_nothing_is_null(house: ApiHouse, tenant: Tenant, query: str):
    refused = house.ask("GET", f"/v1/applications?{query}", secret=tenant.secret)
    assert (refused.status, refused.code) == (400, "query-wrong")


def test_a_purpose_that_is_none_is_refused_even_when_the_body_states_another(house: ApiHouse, tenant: Tenant):
    body = {"number": "+441632960123", "purpose": "subject-request"}
    headers = {"Sealwire-Purpose": "curiosity"}
    assert house.ask("POST", "/v1/subjects", secret=tenant.secret, body=body, headers=headers).status == 422


@pytest.mark.parametrize("path", ["/v1/limits", "/v1/agreements", "/v1/calls"])
def test_options_names_every_method_of_an_address(house: ApiHouse, tenant: Tenant, path: str):
    answer = house.ask("OPTIONS", path, secret=tenant.secret)
    documented = {method.upper() for method in openapi_document()["paths"][path]}
    assert (answer.status, set(answer.headers["allow"].split(", "))) == (204, documented)


def test_the_document_knows_that_unknown_fields_are_refused_and_what_an_id_looks_like():
    document = openapi_document()
    assert document["components"]["schemas"]["NewTrunk"]["additionalProperties"] is False
    parameter = document["paths"]["/v1/services/{service_id}"]["get"]["parameters"][0]
    assert parameter["schema"]["pattern"] == "^(svc)_[0-9a-f]{32}$"
    assert "\\Z" not in str(document)
