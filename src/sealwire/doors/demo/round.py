"""Steps 1 to 4 of the demo: an account, two real calls, what the API shows of them, what is held and why."""

from __future__ import annotations

import asyncio
import json
import sys
import wave
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from sealwire.communications.recordings.likeness import likeness
from sealwire.communications.switches.port import SAMPLE_BYTES, SAMPLE_RATE
from sealwire.doors.demo.client import Api, DemoFailed
from sealwire.doors.demo.show import Round
from sealwire.doors.demo.stage import Stage

CALLED = "+441632960100"
CALLERS = ("+441632960101", "+441632960102")
SPEECHES = ("caller-one.wav", "caller-two.wav")
DIGITS = ("5", "7")
CALL_SECONDS_MAX = 45.0


@dataclass(slots=True)
class Played:
    """What the first steps leave for the later ones."""

    api: Api
    account: str
    secret: str
    calls: list[dict[str, Any]] = field(default_factory=list)
    recordings: list[dict[str, Any]] = field(default_factory=list)
    speeches: list[Path] = field(default_factory=list)


async def open_account(demo: Round, operator: Api) -> tuple[Api, str, str]:
    """Step 1: account, agreement, credential."""
    with demo.step(1, "An account, its agreement, a credential") as step:
        made = await operator.post("/v1/accounts", {"name": "Demo Ltd"})
        account = made["account"]["id"]
        step.say(f"account {account}")
        await operator.post(f"/v1/accounts/{account}/numbers", {"number": CALLED, "service": "greeting"})
        step.say(f"number {CALLED} answers with the built-in service “greeting”")
        owner = operator.with_secret(made["credential"]["secret"])
        text = await owner.get("/v1/agreements/standard")
        await owner.post("/v1/agreements", {"sha256": text["sha256"]})
        step.figure("agreement_sha256", text["sha256"], f"standard agreement accepted (sha256 {text['sha256'][:16]}…)")
        issued = await owner.post(
            "/v1/credentials",
            {
                "label": "demo",
                "scopes": [
                    "records:list",
                    "records:open",
                    "records:erase",
                    "account:configure",
                    "calls:control",
                    "messages:send",
                ],
                "default_purpose": "service-operation",
            },
        )
        step.say("a credential, shown once, kept as a hash; it opens content for service-operation", tone="good")
        await owner.put("/v1/limits/destinations", {"items": [{"destination": "GB"}]})
        step.say("nothing may be called or written to but what the owner allows: now the United Kingdom")
        await owner.close()
        step.figures["account"] = account
    return operator.with_secret(issued["secret"]), account, issued["secret"]


async def make_calls(demo: Round, stage: Stage) -> list[Path]:
    """Step 2: two callers at the same time, each a process of another code base than the switch."""
    speeches = [Path(str(files("sealwire.doors.demo_assets") / name)) for name in SPEECHES]
    with demo.step(2, "Two real calls over SIP and RTP") as step:
        calls = []
        for number, (caller, digit, speech) in enumerate(zip(CALLERS, DIGITS, speeches, strict=True), start=1):
            step.say(f"call {number}: {caller} calls {CALLED}, hears the prompt, presses {digit}, speaks")
            calls.append(asyncio.ensure_future(_call(stage, caller=caller, digit=digit, speech=speech)))
            await asyncio.sleep(1)
        for number, report in enumerate(await asyncio.gather(*calls), start=1):
            _require_good(report, number)
            step.figure(f"call_{number}_seconds", round(report["seconds"], 1))
            step.figure(
                f"call_{number}_prompt_seconds_heard",
                round(report["heard_loud_seconds"], 1),
                f"call {number}: {report['seconds']:.1f} s; heard {report['heard_loud_seconds']:.1f} s of prompt, "
                f"spoke {report['sent_speech_seconds']:.1f} s, digit by RFC 4733",
            )
    return speeches


async def show_records(demo: Round, stage: Stage, api: Api, speeches: list[Path]) -> tuple[list[Any], list[Any]]:
    """Step 3: list without content, open with a purpose, compare what was recorded with what was said."""
    with demo.step(3, "Call records and recordings in the API") as step:
        calls = await _listed(api, "/v1/calls")
        recordings = await _listed(api, "/v1/recordings")
        step.say(f"listed without content: {len(calls)} calls, {len(recordings)} recordings, nothing opened")
        content = await api.get(f"/v1/calls/{calls[0]['id']}/content")
        if content["content"]["caller"] != CALLERS[0] or content["content"]["digits"] != DIGITS[0]:
            raise DemoFailed("the opened call record does not hold what was called")
        told = content["content"]
        step.say(f"opened call 1: from {told['caller']}, pressed {told['digits']}", tone="good")
        figures = []
        for number, (recording, speech) in enumerate(zip(recordings, speeches, strict=True), start=1):
            file = stage.output / f"recording-{number}.wav"
            file.write_bytes(await api.bytes(f"/v1/recordings/{recording['id']}/audio"))
            heard = _samples(file)
            match = likeness(_samples(speech), heard).correlation
            figures.append(match)
            tone = "good" if match >= 0.9 else "bad"
            seconds = len(heard) / (SAMPLE_BYTES * SAMPLE_RATE)
            step.say(f"{file.name}: {seconds:.1f} s; correlation with what was said: {match:.4f}", tone=tone)
        step.figure("audio_correlation", round(min(figures), 4))
    return calls, recordings


async def answer_subject(demo: Round, api: Api) -> None:
    """Step 4: what is held about a number, and for the account."""
    with demo.step(4, f"“What do you hold about {CALLERS[0]}, why, until when, who has opened it?”") as step:
        report = await api.post("/v1/subjects", {"number": CALLERS[0]})
        for holding in report["holdings"]:
            purposes = ", ".join(sorted({look["purpose"] for look in holding["looks"]}))
            who = f"opened {len(holding['looks'])} × ({purposes})" if purposes else "never opened"
            step.say(f"{holding['category']}: {holding['purpose']}; until {holding['due_on']}; {who}", tone="good")
        step.figure("subject_holdings", len(report["holdings"]))
        step.say("the account’s inventory:")
        inventory = await api.get("/v1/inventory")
        for line in inventory["categories"]:
            step.say(
                f"{line['category']:<15} {line['records']:>3} records  {line['bytes']:>9,} bytes  "
                f"next expiry {line['next_expiry'] or '—'}  in {', '.join(line['where'])}",
                tone="quiet",
            )
        step.figure("inventory_records", sum(line["records"] for line in inventory["categories"]))


def _samples(file: Path) -> bytes:
    with wave.open(str(file), "rb") as sound:
        return sound.readframes(sound.getnframes())


async def _call(stage: Stage, *, caller: str, digit: str, speech: Path) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sealwire.doors.caller", "--to", f"sip:{CALLED}@{stage.settings.sip_listen}",
        "--from", caller, "--digit", digit, "--speech", str(speech), "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        out, _ = await asyncio.wait_for(process.communicate(), CALL_SECONDS_MAX)
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    try:
        report: dict[str, Any] = json.loads(out)
    except ValueError:
        raise DemoFailed(f"the calling program failed with exit code {process.returncode}") from None
    return report


def _require_good(report: dict[str, Any], number: int) -> None:
    if report["error"] or not report["answered"] or report["heard_loud_seconds"] < 1.0:
        raise DemoFailed(f"call {number} did not go well: SIP {report['status']} {report['reason']} {report['error']}")


async def _listed(api: Api, path: str) -> list[Any]:
    """Both calls, oldest first; the records of the second are written just after it ended."""
    page = await api.until(path, lambda answer: len(answer["items"]) == len(CALLERS), seconds=10)
    return sorted(page["items"], key=lambda item: item["started_at"])
