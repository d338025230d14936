"""An erasure is said to be gone from backups when no backup of the time before its removal is left, and not by date."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import msgspec
import pytest
from tests.api_house import ApiHouse, Tenant, house
from tests.unit.backups.test_manifest import SAMPLE, write

from sealwire.custody.backups.manifest import MANIFEST

__all__ = ["house"]


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    return house.tenant("Backups")


def level_of(house: ApiHouse, tenant: Tenant, erasure: str) -> dict[str, Any]:
    one = house.ask("GET", f"/v1/erasures/{erasure}", secret=tenant.secret).json
    listed = house.ask("GET", "/v1/erasures", secret=tenant.secret).json["items"]
    assert next(each for each in listed if each["id"] == erasure) == one
    return dict(one["levels"]["gone_from_backups"])


def removed(house: ApiHouse, tenant: Tenant) -> tuple[str, dt.datetime]:
    """An erasure that has come to its third level, and when it did."""
    call = house.keep_call(tenant, "+441632960901")
    asked = house.ask(
        "POST", "/v1/erasures", secret=tenant.secret, body={"ground": "subject-request", "call": str(call.call)}
    )
    assert asked.status == 202, asked
    assert not asked.json["levels"]["gone_from_backups"]["reached"]
    ends_s = time.monotonic() + 30
    while (seen := house.ask("GET", f"/v1/erasures/{asked.json['id']}", secret=tenant.secret).json)[
        "state"
    ] != "removed":
        assert not seen["levels"]["gone_from_backups"]["reached"]
        assert time.monotonic() < ends_s, seen
        time.sleep(0.05)
    return seen["id"], dt.datetime.fromisoformat(seen["levels"]["removed"]["at"])


def test_gone_from_backups_is_what_the_backups_say_and_not_the_calendar(house: ApiHouse, tenant: Tenant) -> None:
    erasure, removed_at = removed(house, tenant)
    folder = house.settings.backups_dir
    assert level_of(house, tenant, erasure)["reached"]
    younger, older = removed_at + dt.timedelta(seconds=1), removed_at - dt.timedelta(seconds=1)
    write(folder / "younger", msgspec.structs.replace(SAMPLE, made_at=younger.isoformat()))
    assert level_of(house, tenant, erasure)["reached"]
    write(folder / "older", msgspec.structs.replace(SAMPLE, made_at=older.isoformat()))
    for row in ("day", "month"):
        house.cluster_rows(
            f"UPDATE custody.erasure SET gone_from_backups_by = gone_from_backups_by - interval '2 {row}'"
        )
        assert not level_of(house, tenant, erasure)["reached"]
    (folder / "older" / MANIFEST).write_bytes(b"{")
    assert not level_of(house, tenant, erasure)["reached"]
    (folder / "older" / MANIFEST).unlink()
    (folder / "older").rmdir()
    assert level_of(house, tenant, erasure)["reached"]
