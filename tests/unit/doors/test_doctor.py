"""The doctor names what is wrong and what to do, and fails only on what stops a start."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.unit.backups.test_manifest import SAMPLE, write

from sealwire.config import Settings
from sealwire.doors import platform
from sealwire.doors.doctor import CHECKS, Finding, State, examine, worst
from sealwire.ground.datafolder import DataFolder


def finding(settings: Settings, check: str) -> Finding:
    return next(found for found in examine(settings) if found.check == check)


@pytest.fixture
def settings(reachable_dir: Path) -> Settings:
    return Settings(data_dir=reachable_dir, api_listen="127.0.0.1:38443", sip_listen="127.0.0.1:35060")


def test_every_check_says_something_and_whatever_is_not_fine_says_what_to_do(settings: Settings) -> None:
    found = examine(settings)
    assert len(found) == len(CHECKS)
    assert all(each.sentence for each in found)
    assert [each.check for each in found if each.state is State.PROBLEM] == []
    assert all(each.advice for each in found if each.state is State.WARNING)


def test_one_holder_is_called_not_disaster_recoverable(settings: Settings) -> None:
    assert "Not disaster-recoverable" in finding(settings, "key holders").sentence


def test_a_secret_that_others_may_read_is_a_problem(settings: Settings) -> None:
    with DataFolder(settings):
        (settings.secrets_dir / "postgres.json").write_text("{}")
        (settings.secrets_dir / "postgres.json").chmod(0o644)
        found = finding(settings, "secrets")
    assert found.state is State.PROBLEM
    assert "postgres.json" in found.sentence


def test_a_taken_port_is_a_problem_with_the_setting_to_change(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 38443)):
        found = finding(settings, "API port")
    assert found.state is State.PROBLEM
    assert "SEALWIRE_API_LISTEN" in found.advice


def test_a_folder_of_a_newer_version_is_a_problem(settings: Settings) -> None:
    (settings.data_dir / "FORMAT").write_text("999\n")
    assert finding(settings, "data folder").state is State.PROBLEM


def test_the_worst_finding_counts() -> None:
    fine, problem = Finding("a", State.FINE, "s"), Finding("b", State.PROBLEM, "s")
    assert worst([fine, problem, fine]) is State.PROBLEM
    assert worst([]) is State.FINE


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sealwire.doors.cli", *arguments],
        capture_output=True, text=True, env={**os.environ, **environment}, check=False,
    )  # fmt: skip


def test_the_command_prints_json_for_programs(settings: Settings) -> None:
    done = command("doctor", "--json", "--data", str(settings.data_dir), SEALWIRE_API_LISTEN="127.0.0.1:38444")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["worst"] == "warning"


def test_settings_that_cannot_be_used_are_one_sentence_and_exit_1(settings: Settings) -> None:
    settings.settings_file.write_text("engine_workers = 'many'\n")
    done = command("doctor", "--data", str(settings.data_dir))
    assert done.returncode == 1
    assert done.stderr.startswith("sealwire: sealwire.toml")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_command_that_does_not_exist_is_a_usage_error() -> None:
    done = command("frobnicate")
    assert done.returncode == 2
    assert "frobnicate" in done.stderr


@pytest.mark.parametrize(
    ("module", "attribute", "value", "named"),
    [
        ("sys", "platform", "darwin", "this is"),
        ("platform", "machine", "riscv64", "riscv64"),
        ("platform", "libc_ver", ("", ""), "without glibc"),
        ("sys", "version_info", (3, 12, 0), "CPython"),
    ],
)
def test_another_machine_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, module: str, attribute: str, value: object, named: str
) -> None:
    assert platform.unsupported() is None
    answer = (lambda: value) if module == "platform" else value
    with monkeypatch.context() as patch:
        patch.setattr(f"{module}.{attribute}", answer)
        reason = platform.unsupported()
    assert reason is not None
    assert reason.startswith("Sealwire needs Linux with glibc")
    assert named in reason


def test_a_backup_beyond_its_cycle_is_a_warning(settings: Settings) -> None:
    over = msgspec.structs.replace(SAMPLE, cycle_ends_on=dt.date(2020, 1, 1))
    write(settings.backups_dir / "20191204T120000Z-00000000", over)
    found = finding(settings, "backups")
    assert found.state is State.WARNING
    assert "20191204T120000Z-00000000 is kept beyond its cycle" in found.sentence


def test_nothing_waits_for_removal_in_a_cloud_that_does_not_run(settings: Settings) -> None:
    assert finding(settings, "removal").state is State.FINE
