"""The bench of a day that expires, small: it really runs, and its last object says what it must."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from sealwire.doors.bench import expiry
from sealwire.doors.bench.expiry import Plan
from sealwire.doors.commands import bench

RECORDS, SAMPLES = 5_000, 2


@pytest.mark.slow
def test_a_day_goes_like_one_record_and_all_its_rows_go(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = expiry.measure
    monkeypatch.setattr(expiry, "measure", lambda scratch, _: measure(scratch, Plan(1, RECORDS, samples=SAMPLES)))
    ran = CliRunner().invoke(bench.app, ["expiry", "--quick", "--json"])
    assert ran.exit_code == 0, ran.output
    last = json.loads(ran.output.splitlines()[-1])
    assert (last["records_per_day"], last["large_days"], last["day_samples"]) == (RECORDS, 1, SAMPLES + 1)
    assert 0 < last["record_unreadable_s_median"] <= last["record_unreadable_s_p99"] < 20
    assert 0 < last["day_unreadable_s_median"] <= last["day_unreadable_s_p99"] < 20
    assert last["rows_removed_per_s"] > 1_000
    assert last["keeps_beside"] > 0
