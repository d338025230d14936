"""Run in a scratch tree by test_a_category_is_added: what a running cloud knows of a category nobody told it of."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from sealwire.config import Settings
from sealwire.custody import register
from sealwire.custody.categories import BY_NAME, standard_periods
from sealwire.custody.erasure import Ground, find, request_records
from sealwire.custody.lifecycle import Custody, RecordErased
from sealwire.custody.operational import claimed
from sealwire.custody.requests import records_of_number
from sealwire.governance.principals import Principal, Scope
from sealwire.vocabulary import E164, CredentialId, Purpose
from tests.api_house import ApiHouse, Tenant, open_api_house

from .examples import keep_example

NAME = sys.argv[1]
ASKED = Purpose.SUBJECT_REQUEST


def seen_over_the_api(house: ApiHouse, tenant: Tenant) -> dict[str, Any]:
    """The lines of inventory, retention and register that name it."""
    told: dict[str, Any] = {}
    for name, part in (("inventory", "categories"), ("register", "processing"), ("retention", "bounds")):
        lines = house.ask("GET", f"/v1/{name}", secret=tenant.secret).json[part]
        told[name] = next((line for line in lines if line["category"] == NAME), None)
    wish = {"settings": [{"category": NAME, "days": 28}]}
    told["preview"] = house.ask("POST", "/v1/retention/preview", secret=tenant.secret, body=wish).json
    told["calendar"] = house.ask("GET", "/v1/retention/calendar?days=40", secret=tenant.secret).json["days"]
    return told


async def life(custody: Custody, tenant: Tenant, settings: Settings) -> dict[str, Any]:
    """Kept, found by its number, opened, erased for its person."""
    category = BY_NAME[NAME]
    principal = Principal(CredentialId.new(), tenant.account, frozenset({Scope.OWNER}), ASKED)
    one = await keep_example(custody, tenant.account, category)
    (opened,) = await custody.open(principal, [one.record], purpose=ASKED)
    (number,) = one.numbers.values()
    found = await records_of_number(custody, principal, E164(number), purpose=ASKED)
    async with custody.database.account(tenant.account) as connection:
        erasure = await request_records(
            connection, tenant.account, found, ground=Ground.SUBJECT_REQUEST, requested_by="test",
            backup_cycle_days=settings.backup_cycle_days, clock=custody.clock,
        )  # fmt: skip
    try:
        await custody.find(tenant.account, [one.record])
        is_hidden = False
    except RecordErased:
        is_hidden = True
    for _ in range(200):
        async with custody.database.account(tenant.account) as connection:
            state = (await find(connection, tenant.account, erasure)).state
        if state == "removed":
            break
        await asyncio.sleep(0.1)
    return {
        "opened": opened.content.reveal() == one.sealed, "found": [row.record for row in found] == [one.record],
        "hidden": is_hidden, "state": state,
    }  # fmt: skip


def main() -> None:
    """One cloud, and everything it says, as JSON."""
    category = BY_NAME[NAME]
    with open_api_house() as house:
        tenant = house.tenant("Added")
        house.in_custody(lambda custody: keep_example(custody, tenant.account, category))
        told = seen_over_the_api(house, tenant)
        told["life"] = house.in_custody(lambda custody: life(custody, tenant, house.settings))
    told["permission"] = category.permission
    told["period"] = standard_periods()[f"{category.code}/0"]
    told["columns"] = sorted(claimed()[f"custody.{category.table}"])
    told["page"] = f"## {NAME}" in register.page()
    told["policy"] = [line.how_long for line in register.privacy_table(register.Policy()) if "parking" in line.what]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
