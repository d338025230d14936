"""The doctor names what is wrong and what to do, and fails only on what stops a start."""

from __future__ import annotations

import asyncio
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
from tests.unit.doors.test_supervisor import STEADY
from tests.unit.keys.house import NOON, open_keeper

from sealwire.config import Settings
from sealwire.custody.keys.service import KeeperService
from sealwire.doors import doctor, platform
from sealwire.doors.doctor import CHECKS, examine, worst
from sealwire.doors.findings import Finding, State
from sealwire.doors.supervisor import API, MESSENGER, SWITCHBOARD, Cloud, Part
from sealwire.errors import SealwireError
from sealwire.ground.clock import TestClock
from sealwire.ground.datafolder import DataFolder
from sealwire.ground.wire import serve


def finding(settings: Settings, check: str) -> Finding:
    return next(found for found in examine(settings) if found.check == check)


@pytest.fixture
def settings(reachable_dir: Path) -> Settings:
    return Settings(
        data_dir=reachable_dir, api_listen="127.0.0.1:19443", sip_listen="127.0.0.1:19060", uas_listen="127.0.0.1:19201"
    )


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
    with socket.create_server(("127.0.0.1", 19443)):
        found = finding(settings, "API port")
    assert found.state is State.PROBLEM
    assert "SEALWIRE_API_LISTEN" in found.sentence


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
    free = {"SEALWIRE_API_LISTEN": "127.0.0.1:19444", "SEALWIRE_UAS_LISTEN": "127.0.0.1:19202"}
    done = command("doctor", "--json", "--data", str(settings.data_dir), SEALWIRE_SIP_LISTEN="127.0.0.1:19060", **free)
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


def refusal(settings: Settings, *parts: Part) -> str:
    """What `up` says to these settings."""
    with pytest.raises(SealwireError) as refused:
        asyncio.run(Cloud(settings, parts=(parts,)).start())
    assert not settings.postgres_dir.exists()
    return str(refused.value)


@pytest.mark.parametrize(
    ("check", "part", "setting", "value", "said"),
    [
        ("message centre", MESSENGER, "smsc", "smpps://a@host:1", "TLS (smpps) is not spoken"),
        ("message centre", MESSENGER, "smsc", "smpp://a@host:2775", "secrets/smsc.password"),
        ("tariff", STEADY, "tariff", "/nowhere/tariff.toml", "cannot be read"),
        ("way out", STEADY, "egress_allow", "10.1.0.0/99", "write networks as 10.1.0.0/16"),
        ("way out", STEADY, "egress_ca", "/nowhere/ca.pem", "certificates in PEM form"),
        ("speech", SWITCHBOARD, "speech_engine", "festival", "write espeak-ng, or command:"),
        ("speech", SWITCHBOARD, "speech_engine", "command:/nowhere/say", "/nowhere/say cannot be run"),
        ("media ports", SWITCHBOARD, "rtp_ports", "20000-20002", "at least 4 ports"),
    ],
)
def test_what_up_refuses_the_doctor_says_in_the_same_words(
    settings: Settings, check: str, part: Part, setting: str, value: str, said: str
) -> None:
    wrong = msgspec.structs.replace(settings, **{setting: value})
    found = finding(wrong, check)
    assert found.state is State.PROBLEM
    assert said in found.sentence
    assert refusal(wrong, part) == found.sentence


@pytest.mark.parametrize(
    ("check", "part", "port", "setting"),
    [
        ("API port", API, 19443, "API_LISTEN"),
        ("SIP port", SWITCHBOARD, 19060, "SIP_LISTEN"),
        ("SIP TLS port", SWITCHBOARD, 19061, "SIP_LISTEN"),
        ("programs port", SWITCHBOARD, 19201, "UAS_LISTEN"),
    ],
)
def test_a_port_that_another_program_has_is_refused_in_the_same_words(
    settings: Settings, check: str, part: Part, port: int, setting: str
) -> None:
    settings = msgspec.structs.replace(settings, sip_tls=True)
    assert finding(settings, check).state is State.FINE
    with socket.create_server(("127.0.0.1", port)):
        found = finding(settings, check)
        assert found.state is State.PROBLEM
        assert f"TCP 127.0.0.1:{port} is taken" in found.sentence
        assert f"SEALWIRE_{setting}" in found.sentence
        assert refusal(settings, part) == found.sentence


def test_a_password_that_is_no_text_is_said_and_not_a_crash(settings: Settings) -> None:
    wanted = msgspec.structs.replace(settings, smsc="smpp://a@host:2775")
    with DataFolder(wanted):
        (wanted.secrets_dir / "smsc.password").write_bytes(b"\xff\xfe")
        assert "secrets/smsc.password" in finding(wanted, "message centre").sentence
        (wanted.secrets_dir / "smsc.password").write_text("secret42\n")
        assert finding(wanted, "message centre").state is State.FINE


def test_media_ports_that_others_hold_are_counted(settings: Settings) -> None:
    few = msgspec.structs.replace(settings, rtp_ports="19300-19303")
    assert "room for 2 legs" in finding(few, "media ports").sentence
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        one.bind(("127.0.0.1", 19300))
        other.bind(("127.0.0.1", 19303))
        assert finding(few, "media ports").state is State.PROBLEM


def test_without_espeak_the_doctor_warns(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = finding(settings, "speech")
    assert found.state is State.WARNING
    assert "apt-get install espeak-ng" in found.advice


@pytest.mark.parametrize("path", ["/proc/sealwire/data", "/dev/null/data"])
def test_a_data_folder_that_cannot_be_made_is_said_alike_by_both(settings: Settings, path: str) -> None:
    nowhere = msgspec.structs.replace(settings, data_dir=Path(path))
    said = refusal(nowhere, STEADY)
    assert said.startswith(f"{path} cannot be made or written")
    assert said.endswith("choose another folder with --data")
    found = finding(nowhere, "data folder")
    assert (found.state, found.sentence) == (State.PROBLEM, said)


def test_a_folder_of_somebody_else_is_said_alike_by_both(settings: Settings) -> None:
    (settings.data_dir / "thesis.odt").write_text("x")
    assert finding(settings, "data folder").sentence == refusal(settings, STEADY)


@pytest.mark.parametrize(("days_ahead", "state"), [(0, State.FINE), (400, State.PROBLEM)])
async def test_a_clock_that_the_keeper_doubts_is_a_problem(
    settings: Settings, tmp_path: Path, days_ahead: int, state: State
) -> None:
    await (await open_keeper(tmp_path / "keeper", TestClock(NOON))).close()
    keeper = await open_keeper(tmp_path / "keeper", TestClock(NOON + dt.timedelta(days=days_ahead)))
    service = KeeperService(keeper)
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    async with await serve(settings.keeper_socket, service.handlers(), on_close=service.closed):
        found = await asyncio.to_thread(doctor.clock, settings)
    await service.stop()
    await keeper.close()
    assert found.state is state
    assert ("clock-confirmed" in found.advice) == (state is State.PROBLEM)
