"""Step 12 of the demo: the separate verifier, with the service stopped."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sealwire.doors.demo.client import Api, DemoFailed
from sealwire.doors.demo.show import Round
from sealwire.doors.demo.stage import Stage


@dataclass(frozen=True, slots=True)
class Papers:
    """What an auditor takes away: certificate, policy (the keys to pin), and the log as static files."""

    certificate: Path
    policy: Path
    log: Path


async def collect_papers(stage: Stage, api: Api) -> Papers:
    """Fetch, while the service still runs, what the verifier will need."""
    agreements = await api.get("/v1/agreements")
    annex = agreements["items"][0]["annex"]
    lines = [f"log {annex['log_vkey']}", *(f"holder {vkey}" for vkey in annex["holders"]), "quorum none"]
    policy = stage.output / "policy.txt"
    policy.write_text("# The keys that the agreement's annex pins.\n" + "\n".join(lines) + "\n")
    log = stage.output / "log"
    await _fetch_log(api, log)
    return Papers(stage.output / "erasure.tlog-proof", policy, log)


async def check_papers(demo: Round, papers: Papers) -> None:
    """Step 12: certificate and log verify; one changed byte is refused with the number of the step."""
    with demo.step(12, "The separate verifier, with the service stopped") as step:
        told = await _verify("certificate", papers.certificate, papers.policy)
        ok = told["exit"] == 0
        step.figure("certificate_verified", ok, f"certificate: {told['line']}", tone="good" if ok else "bad")
        log = await _verify("log", papers.log, papers.policy)
        ok = log["exit"] == 0
        step.figure("log_verified", ok, f"log: {log['line']}", tone="good" if ok else "bad")
        refused = await _verify("certificate", _with_one_byte_changed(papers.certificate), papers.policy)
        ok = refused["exit"] == 1 and refused["step"] is not None
        step.figure("tampered_certificate_refused", ok)
        step.figure(
            "tampered_refused_at_step", refused["step"],
            f"one byte changed: {refused['line']}", tone="good" if ok else "bad",
        )  # fmt: skip
        step.say("not yet witnessed: no independent witness cosigned this log, and the certificate says so")


async def _fetch_log(api: Api, folder: Path) -> None:
    """The log's static files (C2SP tlog-tiles) for the size of its checkpoint."""
    checkpoint = await api.bytes("/v1/log/checkpoint")
    size = int(checkpoint.split(b"\n")[1])
    wanted = ["checkpoint"]
    level, count = 0, size
    while count:
        whole, part = divmod(count, 256)
        names = [f"{n:03d}" for n in range(whole)] + ([f"{whole:03d}.p/{part}"] if part else [])
        wanted += [f"tile/{level}/{name}" for name in names]
        wanted += [f"tile/entries/{name}" for name in names] if level == 0 else []
        level, count = level + 1, whole
    for name in wanted:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(checkpoint if name == "checkpoint" else await api.bytes(f"/v1/log/{name}"))


async def _verify(command: str, target: Path, policy: Path) -> dict[str, Any]:
    """Run the verifier as an auditor would: its own process, nothing of the service on its path."""
    spec = find_spec("sealwire_verifier")
    if spec is None or spec.origin is None:
        raise DemoFailed("the verifier is not installed")
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(Path(spec.origin).parent.parent)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sealwire_verifier", command, str(target), "--policy", str(policy), "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    out, err = await process.communicate()
    try:
        told = json.loads(out)
    except ValueError:
        told = {}
    if process.returncode == 0:
        line = "verified"
    else:
        line = f"refused at step {told.get('step')}: {told.get('reason') or err.decode().strip()}"
    return {"exit": process.returncode, "line": line, "step": told.get("step")}


def _with_one_byte_changed(certificate: Path) -> Path:
    """A copy whose body (the `extra` line) names another commitment: one byte of it is another one."""
    head, extra, rest = certificate.read_bytes().partition(b"extra ")
    line, _, tail = rest.partition(b"\n")
    body = bytearray(base64.b64decode(line))
    at = body.index(b'"commitments":["') + len(b'"commitments":["')
    body[at] = ord("A") if body[at] != ord("A") else ord("B")
    changed = certificate.with_name("erasure-changed.tlog-proof")
    changed.write_bytes(head + extra + base64.b64encode(bytes(body)) + b"\n" + tail)
    return changed
