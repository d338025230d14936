"""What an account configures about itself, against a running cloud: services, numbers, trunks."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Any

import pytest
from tests.api_house import Answer, ApiHouse, Tenant, house

from sealwire.communications.carriers.book import OPERATORS
from sealwire.governance.service_book import ServiceSettings
from sealwire.vocabulary import NumberId, ServiceId, TrunkId

__all__ = ["house"]
PAGES = {"name": "reception", "logic": {"kind": "pages", "first_page": "https://example.org/first"}}
TRUNK = {"name": "carrier", "host": "sip.carrier.example", "username": "u1", "secret": "correct horse"}


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    return house.tenant("Configuration")


@pytest.fixture(scope="module")
def stranger(house: ApiHouse) -> Tenant:
    return house.tenant("Stranger")


def ask(house: ApiHouse, who: Tenant | str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    secret = who if isinstance(who, str) else who.secret
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return house.ask(method, path, secret=secret, body=body, headers=sent)


def assign(house: ApiHouse, tenant: Tenant, number: str, **more: Any) -> dict[str, Any]:
    body = {"number": number, **more}
    answer = ask(house, house.operator, "POST", f"/v1/accounts/{tenant.account}/numbers", body)
    assert answer.status == 201, answer
    return dict(answer.json)


def leaves(house: ApiHouse, tenant: Tenant) -> int:
    return int(ask(house, tenant, "GET", "/v1/log/checkpoint").body.splitlines()[1])


def test_a_service_is_made_read_changed_and_removed(house: ApiHouse, tenant: Tenant):
    made = ask(house, tenant, "POST", "/v1/services", PAGES)
    assert made.status == 201
    assert made.json["page_secret"].startswith("whsec_")
    address = made.headers["location"]
    seen = ask(house, tenant, "GET", address)
    assert seen.status == 200
    assert seen.json == {name: value for name, value in made.json.items() if name != "page_secret"}
    changed = ask(house, tenant, "PATCH", address, {"recording": {"whole_call": True, "consent": "gate"}})
    assert (changed.status, changed.json["page_secret"]) == (200, None)
    assert changed.json["recording"]["consent"] == "gate"
    assert changed.json["logic"] == made.json["logic"]
    assert ask(house, tenant, "DELETE", address).status == 204
    assert ask(house, tenant, "GET", address).code == "service-missing"
    assert ask(house, tenant, "DELETE", address).code == "service-missing"


def test_a_service_made_twice_with_one_key_is_one_and_its_secret_is_told_once(house: ApiHouse, tenant: Tenant):
    first, second = (ask(house, tenant, "POST", "/v1/services", PAGES, Idempotency_Key="svc-1") for _ in range(2))
    assert (first.status, second.status) == (201, 201)
    assert first.json["id"] == second.json["id"]
    assert second.json["page_secret"] is None
    assert second.headers["idempotent-replayed"] == "true"


def test_pages_of_services_hold_each_once_newest_first(house: ApiHouse):
    many = house.tenant("Many services")
    made = [ask(house, many, "POST", "/v1/services", {**PAGES, "name": str(at)}).json["id"] for at in range(5)]
    seen, cursor = [], ""
    for _ in range(3):
        page = ask(house, many, "GET", f"/v1/services?limit=2{cursor}").json
        seen += [each["id"] for each in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert seen == made[::-1]
    assert "whsec_" not in json.dumps(page)


def test_the_schema_of_a_service_is_told_and_is_the_one_that_counts(house: ApiHouse, tenant: Tenant):
    schema = ask(house, tenant, "GET", "/v1/services/schema").json
    definition = schema["$defs"]["ServiceSettings"]
    assert set(definition["properties"]) == set(ServiceSettings.__struct_fields__)
    assert definition["required"] == ["name", "logic"]
    assert definition["additionalProperties"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"logic": {"kind": "pages", "first_page": "ftp://example.org"}},
        {"logic": {"kind": "pages"}},
        {"logic": {"kind": "fax"}},
        {"logic": {"kind": "built-in", "name": "nonsense"}},
        {"logic": {"kind": "program", "application": "a b"}},
        {"logic": {"kind": "pages", "first_page": "https://example.org/?caller=+441632960123"}},
        {
            "logic": {
                "kind": "pages",
                "first_page": "https://example.org/",
                "final_page": "https://a.example/%2b441632960123",
            }
        },
        {"direction": "sideways"},
        {"seconds_max": 0},
        {"seconds_max": 99_999},
        {"name": ""},
        {"recording": {"whole_calls": True}},
        {"page_secret": "whsec_mine"},
    ],
)
def test_a_service_that_cannot_be_is_refused_and_says_where(house: ApiHouse, tenant: Tenant, wrong: dict[str, Any]):
    answer = ask(house, tenant, "POST", "/v1/services", PAGES | wrong)
    assert answer.status == 422
    assert answer.code in ("fields-wrong", "malformed", "address-has-number", "address-malformed")


def test_a_service_is_in_use_until_no_number_points_to_it(house: ApiHouse, tenant: Tenant):
    service = ask(house, tenant, "POST", "/v1/services", PAGES).json["id"]
    number = assign(house, tenant, "+441632960301", service=service)
    assert number["service_id"] == service
    refused = ask(house, tenant, "DELETE", f"/v1/services/{service}")
    assert (refused.status, refused.code) == (409, "service-in-use")
    assert ask(house, tenant, "PATCH", f"/v1/numbers/{number['id']}", {"service_id": None}).status == 200
    assert ask(house, tenant, "DELETE", f"/v1/services/{service}").status == 204


def test_a_signing_secret_is_rotated_and_shown_once(house: ApiHouse, tenant: Tenant):
    made = ask(house, tenant, "POST", "/v1/services", PAGES).json
    path = f"/v1/services/{made['id']}/page-secret"
    first, again = (ask(house, tenant, "POST", path, Idempotency_Key="rotate-1") for _ in range(2))
    assert first.status == 201
    assert first.json["page_secret"] not in (None, made["page_secret"])
    until = dt.datetime.fromisoformat(first.json["signs_with_old_secret_until"])
    assert dt.timedelta(hours=23) < until - dt.datetime.now(dt.UTC) < dt.timedelta(hours=25)
    assert again.json["page_secret"] is None
    built_in = {"name": "b", "logic": {"kind": "built-in", "name": "echo"}}
    other = ask(house, tenant, "POST", "/v1/services", built_in).json["id"]
    assert ask(house, tenant, "POST", f"/v1/services/{other}/page-secret").code == "not-signed"


def test_every_change_of_configuration_stands_in_the_accounts_log(house: ApiHouse):
    logged = house.tenant("Logged")
    time.sleep(1.5)
    before = leaves(house, logged)
    service = ask(house, logged, "POST", "/v1/services", PAGES).json["id"]
    ask(house, logged, "PATCH", f"/v1/services/{service}", {"seconds_max": 60})
    trunk = ask(house, logged, "POST", "/v1/trunks", TRUNK).json["id"]
    ask(house, logged, "DELETE", f"/v1/trunks/{trunk}")
    ask(house, logged, "DELETE", f"/v1/services/{service}")
    ends_s = time.monotonic() + 10
    while leaves(house, logged) < before + 5 and time.monotonic() < ends_s:
        time.sleep(0.2)
    assert leaves(house, logged) == before + 5


def test_a_field_that_a_change_leaves_out_is_not_reset_to_its_default(house: ApiHouse, tenant: Tenant):
    made = ask(house, tenant, "POST", "/v1/services", PAGES | {"seconds_max": 77, "early_media": True}).json
    changed = ask(house, tenant, "PATCH", f"/v1/services/{made['id']}", {}).json
    kept = ("seconds_max", "early_media", "direction", "name", "recording", "logic")
    assert {name: changed[name] for name in kept} == {name: made[name] for name in kept}


def test_a_number_is_assigned_pointed_and_taken_back(house: ApiHouse, tenant: Tenant):
    service = ask(house, tenant, "POST", "/v1/services", PAGES).json["id"]
    number = assign(house, tenant, "+441632960302")
    assert (number["service"], number["service_id"], number["caller_only"]) == (None, None, False)
    pointed = ask(house, tenant, "PATCH", f"/v1/numbers/{number['id']}", {"service_id": service})
    assert (pointed.status, pointed.json["service"]) == (200, "reception")
    taken = f"/v1/accounts/{tenant.account}/numbers/{number['id']}"
    assert ask(house, tenant, "DELETE", taken).code == "not-permitted"
    assert ask(house, house.operator, "DELETE", taken).status == 204
    assert ask(house, house.operator, "DELETE", taken).code == "number-missing"
    listed = ask(house, tenant, "GET", "/v1/numbers").json["items"]
    assert number["id"] not in [each["id"] for each in listed]


def test_a_built_ins_name_still_assigns_a_number_to_it(house: ApiHouse, tenant: Tenant):
    first = assign(house, tenant, "+441632960303", service="greeting")
    second = assign(house, tenant, "+441632960304", service="greeting")
    assert first["service"] == second["service"] == "greeting"
    assert first["service_id"] == second["service_id"]
    path = f"/v1/accounts/{tenant.account}/numbers"
    wrong = ask(house, house.operator, "POST", path, {"number": "+441632960305", "service": "nonsense"})
    assert wrong.status == 422
    foreign = ask(house, house.operator, "POST", path, {"number": "+441632960305", "service": str(ServiceId.new())})
    assert foreign.code == "service-missing"


def test_a_number_of_another_account_is_as_unknown_as_a_random_one(house: ApiHouse, tenant: Tenant, stranger: Tenant):
    theirs = assign(house, stranger, "+441632960306")
    for number in (theirs["id"], str(NumberId.new())):
        answer = ask(house, tenant, "PATCH", f"/v1/numbers/{number}", {"service_id": None})
        assert (answer.status, answer.code) == (404, "number-missing")
    crossed = f"/v1/accounts/{tenant.account}/numbers/{theirs['id']}"
    assert ask(house, house.operator, "DELETE", crossed).code == "number-missing"


def test_a_trunk_is_made_read_changed_and_removed_and_never_tells_its_password(house: ApiHouse, tenant: Tenant):
    made = ask(house, tenant, "POST", "/v1/trunks", TRUNK | {"sources": ["192.0.2.0/24"]})
    assert (made.status, made.json["has_secret"]) == (201, True)
    address = made.headers["location"]
    changed = ask(house, tenant, "PATCH", address, {"priority": 7, "secret": None, "transport": "tls", "port": 5061})
    assert (changed.status, changed.json["has_secret"], changed.json["priority"]) == (200, False, 7)
    seen = [made, changed, ask(house, tenant, "GET", address), ask(house, tenant, "GET", "/v1/trunks")]
    assert all(answer.status in (200, 201) and b"correct horse" not in answer.body for answer in seen)
    assert seen[3].json["items"][0] == seen[2].json == changed.json
    assert ask(house, tenant, "DELETE", address).status == 204
    assert ask(house, tenant, "GET", address).code == "trunk-missing"


def test_the_operators_trunks_are_managed_by_the_operator_and_hidden_from_accounts(house: ApiHouse, tenant: Tenant):
    made = ask(house, house.operator, "POST", "/v1/trunks", TRUNK | {"host": "127.0.0.1"}, Idempotency_Key="op-1")
    assert made.status == 201
    address = made.headers["location"]
    assert [ask(house, house.operator, "GET", path).status for path in ("/v1/trunks", address)] == [200, 200]
    assert ask(house, tenant, "GET", address).code == "trunk-missing"
    assert ask(house, tenant, "PATCH", address, {"priority": 1}).code == "trunk-missing"
    assert made.json["id"] not in json.dumps(ask(house, tenant, "GET", "/v1/trunks").json)
    assert ask(house, house.operator, "PATCH", address, {"priority": 1}).json["priority"] == 1
    assert ask(house, house.operator, "DELETE", address).status == 204
    assert ask(house, house.operator, "GET", f"/v1/trunks/{TrunkId.new()}").code == "trunk-missing"
    assert OPERATORS.value.int == 0


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"host": "127.0.0.1"}, "address-refused"),
        ({"host": "10.1.2.3"}, "address-refused"),
        ({"sources": ["192.0.2.1/24"]}, "network-malformed"),
        ({"sources": ["everywhere"]}, "network-malformed"),
        ({"default_caller": "+441632960999"}, "caller-not-yours"),
        ({"default_caller": "12"}, "malformed"),
        ({"transport": "pigeon"}, "fields-wrong"),
        ({"host": "a b"}, "fields-wrong"),
        ({"host": "sip.example\n"}, "fields-wrong"),
    ],
)
def test_a_trunk_that_cannot_be_is_refused(house: ApiHouse, tenant: Tenant, wrong: dict[str, Any], code: str):
    assert ask(house, tenant, "POST", "/v1/trunks", TRUNK | wrong).code == code


def test_only_a_credential_that_configures_sees_trunks(house: ApiHouse, tenant: Tenant):
    body = {"label": "reader", "scopes": ["records:list"]}
    reader = ask(house, tenant, "POST", "/v1/credentials", body).json["secret"]
    assert ask(house, reader, "GET", "/v1/trunks").code == "not-permitted"
    assert ask(house, reader, "POST", "/v1/services", PAGES).code == "not-permitted"
    assert ask(house, reader, "GET", "/v1/services").status == 200
