"""The data folder belongs to one cloud at a time, is closed to others, and says its format."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sealwire.config import FORMAT_VERSION, Settings
from sealwire.ground.datafolder import DataFolder, DataFolderForeign, DataFolderInUse, DataFolderNewer


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def test_a_new_folder_is_laid_out_closed_to_others_with_its_format(settings: Settings) -> None:
    with DataFolder(settings):
        assert (settings.data_dir / "FORMAT").read_text() == f"{FORMAT_VERSION}\n"
        for folder in (settings.data_dir, settings.keeper_dir, settings.secrets_dir, settings.evidence_dir):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_second_cloud_on_the_same_folder_is_refused_until_the_first_stops(settings: Settings) -> None:
    with DataFolder(settings), pytest.raises(DataFolderInUse, match="another Sealwire is running"):
        DataFolder(settings).take()
    with DataFolder(settings):
        pass


def test_the_lock_of_a_killed_process_does_not_stay(settings: Settings) -> None:
    code = (
        "import os, sys; from pathlib import Path; from sealwire.config import Settings; "
        "from sealwire.ground.datafolder import DataFolder; "
        "DataFolder(Settings(data_dir=Path(sys.argv[1]))).take(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, settings.data_dir], check=False).returncode == -9
    with DataFolder(settings):
        pass


def test_a_folder_of_a_newer_version_is_refused_with_a_sentence(settings: Settings) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "FORMAT").write_text(f"{FORMAT_VERSION + 1}\n")
    with pytest.raises(DataFolderNewer, match="made by a newer version of Sealwire"):
        DataFolder(settings).take()
    assert sorted(path.name for path in settings.data_dir.iterdir()) == ["FORMAT"]


@pytest.mark.parametrize("content", ["", "one", "-1"])
def test_a_format_that_is_no_number_is_refused(settings: Settings, content: str) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "FORMAT").write_text(content)
    with pytest.raises(DataFolderForeign):
        DataFolder(settings).take()


def test_somebody_elses_folder_is_refused_and_left_as_it_is(settings: Settings) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "thesis.odt").write_text("x")
    with pytest.raises(DataFolderForeign, match=r"thesis\.odt"):
        DataFolder(settings).take()
    assert [path.name for path in settings.data_dir.iterdir()] == ["thesis.odt"]


def test_settings_written_before_the_first_start_are_welcome(settings: Settings) -> None:
    settings.data_dir.mkdir()
    settings.settings_file.write_text('operator_name = "us"\n')
    with DataFolder(settings):
        assert (settings.data_dir / "FORMAT").exists()
