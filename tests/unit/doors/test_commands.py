"""What the command says to what cannot be: a sentence, exit 1, no traceback; and what it prints into a pipe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.doors.test_doctor import command

import sealwire
from sealwire.config import Settings
from sealwire.doors.commands import up
from sealwire.doors.supervisor import Cloud
from sealwire.ground.clock import SystemClock
from sealwire.ground.datafolder import DataFolder
from sealwire.ground.local_ca import local_certificates


def test_the_version_is_told() -> None:
    done = command("--version")
    assert (done.returncode, done.stdout) == (0, f"sealwire {sealwire.__version__}\n")


@pytest.mark.parametrize("words", [("backup", "list"), ("backup", "make"), ("backup", "verify", "/nowhere")])
def test_a_folder_that_is_no_data_folder_has_no_backups_and_says_so(words: tuple[str, ...], tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        done = command(*words, "--data", str(folder))
        assert done.returncode == 1
        assert done.stderr.startswith(f"sealwire: {folder} is no data folder of Sealwire")
        assert done.stdout == ""


def test_backups_of_a_foreign_folder_are_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").write_text("x")
    done = command("backup", "list", "--data", str(tmp_path))
    assert (done.returncode, "was not made by Sealwire" in done.stderr) == (1, True)


def test_up_on_a_path_that_cannot_be_made_says_what_to_do() -> None:
    done = command("up", "--data", "/dev/null/data")
    assert done.returncode == 1
    assert "/dev/null/data cannot be made or written (not a directory)" in done.stderr
    assert "choose another folder with --data" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_long_path_is_one_line_in_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / ("long" * 30) / ("path" * 30)
    up._say_where(Cloud(Settings(data_dir=folder)), up._console())
    assert str(folder) in capsys.readouterr().out


def prepare(folder: Path, data: Path) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).parents[3] / "examples/prepare.py"
    command = [sys.executable, script, data, "+441632960100", "--api", "https://127.0.0.1:32203"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_examples_are_not_prepared_on_a_folder_without_a_cloud(tmp_path: Path) -> None:
    done = prepare(tmp_path, tmp_path / "nothing")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path}/nothing is no data folder of a cloud that was started")
    assert not (tmp_path / "example-account").exists()


def test_the_examples_are_not_prepared_twice(tmp_path: Path) -> None:
    (tmp_path / "example-account").mkdir()
    done = prepare(tmp_path, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("example-account is there already: source example-account/settings.sh")


def test_a_cloud_that_does_not_answer_is_told_without_a_traceback(tmp_path: Path) -> None:
    with DataFolder(Settings(data_dir=tmp_path / "data")) as made:
        (made.settings.secrets_dir / "operator-credential").write_text("swk_x")
        local_certificates(made.settings, clock=SystemClock())
    done = prepare(tmp_path, tmp_path / "data")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "example-account").exists()
