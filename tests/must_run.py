"""A plugin of pytest, for `.ci/run` as root: a test that was skipped has failed, unless this machine cannot run it.

`pytest -p tests.must_run`. Which reasons are the machine's own is said here, not where tests are skipped.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

OF_THE_MACHINE = (
    "this machine lets nobody mount a tmpfs",
    "this user may not mount a small file system",
    "no image file can be mounted here",
    "this file system does not tell where a file lies",
    "this is not a git checkout",
    "its duty, or itself",
)
"""No mounting in a container, a file system without block addresses, an unpacked archive; and a case that is none."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(known in reason for known in OF_THE_MACHINE):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: must run here, but: {reason}"
    return report
