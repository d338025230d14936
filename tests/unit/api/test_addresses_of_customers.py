"""Addresses of customers' servers are judged when they are configured, and what is said is a sentence."""

from __future__ import annotations

import pytest
from tests.api_house import ApiHouse, Tenant, house

from sealwire.communications.addresses import Reach
from sealwire.communications.egress import AddressMalformed, AddressPlain, AddressRefused, require_usable

__all__ = ["house"]
GOOD = "https://example.org/first"
WRONG = [
    ("http://example.org/first", "address-plain"),
    ("https://127.0.0.1/first", "address-refused"),
    ("https://[::1]:8443/first", "address-refused"),
    ("https://169.254.169.254/latest", "address-refused"),
    ("https://2130706433/", "address-refused"),
    ("https://198.51.100.7/", "address-refused"),
    ("ftp://example.org/first", "address-malformed"),
    ("example.org", "address-malformed"),
]
SENTENCES = {
    "address-plain": "Plain http can be read",
    "address-refused": "This address may not be reached",
    "address-malformed": "This is not an address to reach a server at",
}


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    return house.tenant("Addresses")


@pytest.mark.parametrize(("address", "code"), WRONG)
def test_a_webhook_that_could_never_be_told_is_neither_made_nor_changed_to(
    house: ApiHouse, tenant: Tenant, address: str, code: str
):
    body = {"address": address, "events": ["call.ended"]}
    answer = house.ask("POST", "/v1/webhooks", secret=tenant.secret, body=body)
    assert (answer.status in {409, 422}, answer.code) == (True, code)
    assert answer.json["detail"].startswith(SENTENCES[code])
    made = house.ask("POST", "/v1/webhooks", secret=tenant.secret, body=body | {"address": GOOD}).json["id"]
    changed = house.ask("PATCH", f"/v1/webhooks/{made}", secret=tenant.secret, body={"address": address})
    assert changed.code == code
    seen = house.ask("GET", f"/v1/webhooks/{made}", secret=tenant.secret)
    assert seen.json["address"] == GOOD
    house.ask("DELETE", f"/v1/webhooks/{made}", secret=tenant.secret)


@pytest.mark.parametrize("page", ["first_page", "error_page", "final_page"])
@pytest.mark.parametrize(("address", "code"), WRONG)
def test_a_service_with_a_page_that_could_never_be_asked_is_refused(
    house: ApiHouse, tenant: Tenant, page: str, address: str, code: str
):
    logic = {"kind": "pages", "first_page": GOOD, page: address}
    answer = house.ask("POST", "/v1/services", secret=tenant.secret, body={"name": "pages", "logic": logic})
    assert (answer.status in {409, 422}, answer.code) == (True, code)
    assert answer.json["detail"].startswith(SENTENCES[code])


def test_a_service_is_not_changed_to_such_a_page_and_other_changes_go_through(house: ApiHouse, tenant: Tenant):
    body = {"name": "pages", "logic": {"kind": "pages", "first_page": GOOD}}
    made = house.ask("POST", "/v1/services", secret=tenant.secret, body=body).json["id"]
    wrong = {"logic": {"kind": "pages", "first_page": "https://10.0.0.1/"}}
    assert house.ask("PATCH", f"/v1/services/{made}", secret=tenant.secret, body=wrong).code == "address-refused"
    changed = house.ask("PATCH", f"/v1/services/{made}", secret=tenant.secret, body={"name": "other"})
    assert (changed.status, changed.json["logic"]["first_page"]) == (200, GOOD)


def test_what_the_operator_allows_may_be_plain_and_special_and_nothing_else_may():
    reach = Reach.parse("127.0.0.0/8")
    for address in ("http://127.0.0.1:24000/", "https://127.0.0.1/", "http://localhost/", "https://8.8.8.8/"):
        require_usable(address, reach)
    for address in ("http://8.8.8.8/", "http://10.0.0.1/", "https://10.0.0.1/", "https://8.8.8.8:22/"):
        with pytest.raises(AddressRefused):
            require_usable(address, reach)


def test_a_name_is_left_to_be_judged_when_it_is_used():
    require_usable("https://localhost/", Reach())
    with pytest.raises(AddressPlain):
        require_usable("http://localhost/", Reach())
    for number in ("https://0x7f.1/", "https://127.0.0.1./", "https://127。0。0。1/", "https://[::ffff:10.0.0.1]/"):
        with pytest.raises(AddressRefused):
            require_usable(number, Reach())
    with pytest.raises(AddressMalformed):
        require_usable("https://user@example.org/", Reach())
