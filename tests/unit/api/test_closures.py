"""Closing an account through the API: grace, calling off, 410 afterwards, and the certificate for who has the token."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.api_house import Answer, ApiHouse, Tenant, house

from sealwire.custody.closure.book import CONFIRMATION
from sealwire_verifier.closure import verify_closure
from sealwire_verifier.policy import Policy

__all__ = ["house"]
NOW = {"grace_days": 0, "confirmation": CONFIRMATION}
LATER = {"grace_days": 14, "confirmation": CONFIRMATION}


def begin(house: ApiHouse, tenant: Tenant, body: dict[str, Any], key: str | None = None) -> Answer:
    headers = {"Idempotency-Key": key} if key else None
    return house.ask("POST", "/v1/closures", secret=tenant.secret, body=body, headers=headers)


def follow(house: ApiHouse, closure: str, secret: str, state: str) -> dict[str, Any]:
    ends_s = time.monotonic() + 60
    while time.monotonic() < ends_s:
        answer = house.ask("GET", f"/v1/closures/{closure}", secret=secret)
        assert answer.status == 200, answer
        if answer.json["state"] == state:
            return dict(answer.json)
        time.sleep(0.1)
    raise AssertionError(f"not {state} within a minute: {answer.json}")


def test_a_closed_account_answers_410_to_everything_and_its_token_reads_the_certificate(house: ApiHouse) -> None:
    tenant = house.tenant("Going")
    kept = house.keep_call(tenant, "+441632960171")
    log = house.ask("GET", "/v1/log/key", secret=tenant.secret)
    began_s = time.monotonic()
    begun = begin(house, tenant, NOW)
    assert begun.status == 201, begun
    closure, token = begun.json["closure"]["id"], begun.json["retrieval_token"]
    for method, path in (("GET", "/v1/calls"), ("GET", f"/v1/calls/{kept.call}/content"), ("POST", "/v1/erasures")):
        gone = house.ask(method, path, secret=tenant.secret, body={} if method == "POST" else None)
        assert (gone.status, gone.code) == (410, "account-is-closed"), gone
        assert gone.json["certificate"] == f"/v1/closures/{closure}/certificate"
        assert "was closed on 20" in gone.json["detail"]
    seen = follow(house, closure, token, "removed")
    assert time.monotonic() - began_s < 60
    assert seen["levels"]["unreadable"]["reached"]
    certificate = house.ask("GET", seen["certificate"], secret=token)
    assert certificate.status == 200
    assert house.ask("GET", seen["certificate"], secret=house.operator).body == certificate.body
    assert log.status == 200
    policy = Policy.parse(f"log {log.body.decode().strip()}\nholder {_holder(house)}\nquorum none\n")
    assert verify_closure(certificate.body, policy).removed_at is not None
    assert house.ask("GET", "/v1/calls", secret=tenant.secret).status == 401  # its credentials are removed by now


def _holder(house: ApiHouse) -> str:
    async def ask(custody: Any) -> str:
        return str((await custody.keeper.status()).holder_vkey)

    return house.in_custody(ask)


def test_in_the_grace_it_is_read_and_called_off(house: ApiHouse) -> None:
    tenant = house.tenant("Undecided")
    kept = house.keep_call(tenant, "+441632960172")
    begun = begin(house, tenant, LATER, key="one")
    again = begin(house, tenant, LATER, key="one")
    assert again.json["closure"]["id"] == begun.json["closure"]["id"]
    assert again.json["retrieval_token"] is None
    assert begin(house, tenant, LATER).code == "account-is-closing"
    closure = begun.json["closure"]["id"]
    opened = house.ask(
        "GET", f"/v1/calls/{kept.call}/content", secret=tenant.secret,
        headers={"Sealwire-Purpose": "quality-assurance"},
    )  # fmt: skip
    assert opened.status == 200
    certificate = house.ask("GET", f"/v1/closures/{closure}/certificate", secret=house.operator)
    assert (certificate.status, certificate.code) == (404, "closure-certificate-not-ready")
    cancelled = house.ask("POST", f"/v1/closures/{closure}/cancel", secret=tenant.secret)
    assert (cancelled.status, cancelled.json["state"]) == (200, "cancelled")
    token = begun.json["retrieval_token"]
    assert house.ask("GET", f"/v1/closures/{closure}", secret=token).status == 401  # it went with the closure
    assert house.keep_call(tenant, "+441632960173").call


@pytest.mark.parametrize(
    "body",
    [{**LATER, "confirmation": "yes"}, {**LATER, "grace_days": 31}, {**LATER, "grace_days": -1}, {"grace_days": 1}],
)
def test_a_closure_without_its_sentence_or_beyond_its_bounds_is_refused_and_changes_nothing(
    house: ApiHouse, body: dict[str, Any]
) -> None:
    tenant = house.tenant("Careless")
    assert begin(house, tenant, body).status == 422
    assert house.ask("GET", "/v1/calls", secret=tenant.secret).status == 200


def test_the_retrieval_token_reads_its_closure_and_nothing_else(house: ApiHouse) -> None:
    tenant, other = house.tenant("Mine"), house.tenant("Other")
    mine, theirs = begin(house, tenant, LATER).json, begin(house, other, LATER).json
    token = mine["retrieval_token"]
    assert house.ask("GET", f"/v1/closures/{mine['closure']['id']}", secret=token).status == 200
    assert house.ask("GET", f"/v1/closures/{theirs['closure']['id']}", secret=token).status == 404
    for path in ("/v1/calls", "/v1/erasures", "/v1/log/checkpoint", "/v1/closures"):
        assert house.ask("GET", path, secret=token).status == 403
    assert house.ask("POST", f"/v1/closures/{mine['closure']['id']}/cancel", secret=token).status == 403


def test_the_operator_lists_closures_and_what_was_charged(house: ApiHouse) -> None:
    tenant = house.tenant("Listed")
    closure = begin(house, tenant, LATER).json["closure"]["id"]
    listed = house.ask("GET", "/v1/closures", secret=house.operator)
    assert closure in {each["id"] for each in listed.json["items"]}
    sums = house.ask("GET", f"/v1/closures/{closure}/billing-sums", secret=house.operator)
    assert (sums.status, sums.json["items"]) == (200, [])
    assert house.ask("GET", "/v1/closures", secret=tenant.secret).status == 403


def test_the_operator_gives_a_closed_account_nothing(house: ApiHouse) -> None:
    tenant = house.tenant("Closed")
    begun = begin(house, tenant, NOW).json
    follow(house, begun["closure"]["id"], begun["retrieval_token"], "removed")
    path = f"/v1/accounts/{tenant.account}/numbers"
    answer = house.ask("POST", path, secret=house.operator, body={"number": "+441632960179"})
    assert (answer.status, answer.code) == (410, "account-is-closed")


def test_an_account_names_its_country_and_an_unknown_one_is_refused(house: ApiHouse) -> None:
    made = house.ask("POST", "/v1/accounts", secret=house.operator, body={"name": "Here", "country": "GB"})
    assert (made.status, made.json["account"]["country"]) == (201, "GB")
    wrong = house.ask("POST", "/v1/accounts", secret=house.operator, body={"name": "There", "country": "gb"})
    assert (wrong.status, wrong.code) == (422, "country-unknown")
