"""The SDK's client is written from the API's own document: nothing missing, nothing out of date."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from sealwire.doors.api.app import openapi_document

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / "sdk" / "src" / "sealwire_sdk" / "client"


def test_writing_the_client_again_changes_nothing(tmp_path: Path) -> None:
    specification = importlib.util.spec_from_file_location("generate_client", ROOT / "sdk" / "generate_client.py")
    assert specification is not None
    assert specification.loader is not None
    generator = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generator)
    written = generator.generate(openapi_document())
    for name, text in written.items():
        (tmp_path / name).write_text(text)
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--config", str(ROOT / "pyproject.toml")]
    subprocess.run([*ruff, "check", "-q", "--fix", "--exit-zero", *config, tmp_path], check=True)
    subprocess.run([*ruff, "format", "-q", *config, tmp_path], check=True)
    for name in written:
        fresh, committed = (tmp_path / name).read_text(), (CLIENT / name).read_text()
        assert fresh == committed, f"{name} is not what the API says: run bin/generate-client"


def test_every_operation_has_a_method_in_both_clients() -> None:
    operations = [
        operation["operationId"].replace("-", "_")
        for item in openapi_document()["paths"].values()
        for operation in item.values()
    ]
    assert operations
    for name in ("synchronous.py", "asynchronous.py"):
        text = (CLIENT / name).read_text()
        assert [operation for operation in operations if f"def {operation}(" not in text] == []
