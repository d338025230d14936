"""A benchmark that cannot be honest fails; CPU time of children that are gone is not lost."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sealwire.doors.bench.calling import (
    CallsFailed,
    LoadFailed,
    cpu_by_process,
    percentile,
    require_all_at_once,
    run_callers,
)

NOBODY = "sip:+441632960100@127.0.0.1:30999"


def test_calls_that_were_not_all_up_together_are_no_measurement():
    with pytest.raises(CallsFailed):
        require_all_at_once({"calls": 10, "concurrent": 9, "ended_by_far_end": 10})
    with pytest.raises(CallsFailed):
        require_all_at_once({"calls": 10, "concurrent": 10, "ended_by_far_end": 9})
    require_all_at_once({"calls": 10, "concurrent": 10, "ended_by_far_end": 10})


@pytest.mark.slow
async def test_calls_that_nobody_answers_are_no_measurement():
    with pytest.raises(CallsFailed):
        await run_callers(NOBODY, "--calls", "1", "--speak-seconds", "1")


async def test_callers_that_cannot_run_are_no_measurement():
    with pytest.raises(LoadFailed):
        await run_callers(NOBODY, "--calls", "none")


def test_cpu_time_of_a_child_that_has_ended_is_counted():
    spin = "import time; ends = time.process_time() + 0.3\nwhile time.process_time() < ends: pass"
    parent = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spin!r}]); print('done', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        assert cpu_by_process({"parent": process.pid})["parent"] >= 0.3
        process.stdin.close()
    assert cpu_by_process({"gone": 2**22 + os.getpid()}) == {"gone": 0.0}


def test_a_percentile_is_one_of_the_values():
    assert percentile([5.0, 1.0, 3.0], 0.5) == 3.0
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
