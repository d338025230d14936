"""Steps 5 to 8 of the demo: what a customer builds on the cloud. Pages drive a call, keys of its own seal what is
recorded and open what is played, a program drives another call, a message goes out and one comes in.
"""

from __future__ import annotations

import asyncio
import wave
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyrage

from sealwire.communications.recordings.likeness import likeness
from sealwire.doors.demo.client import Api
from sealwire.doors.demo.company import Company
from sealwire.doors.demo.customer import keys
from sealwire.doors.demo.customer.pages import JINGLE
from sealwire.doors.demo.show import Round
from sealwire.doors.demo.stage import Stage
from sealwire.doors.first_start import operator_credential_file

PAGES_NUMBER = "+441632960110"
PAGES_CALLER = "+441632960111"
REMINDED = "+441632960112"
WRITTEN_TO = "+447700900113"
LIKE_ENOUGH = 0.9


class Builder:
    """The customer: its files, its processes, its credential."""

    def __init__(self, demo: Round, stage: Stage, api: Api, account: str) -> None:
        self.demo, self.stage, self.api, self.account = demo, stage, api, account
        self.folder = stage.customer
        self.company = Company(stage.customer)
        self._heard = stage.output / "heard-by-the-caller.wav"
        self._pages_call = ""

    async def build(self) -> None:
        """All four steps; whatever was started is stopped."""
        try:
            await self.call_by_pages()
            await self.open_what_is_sealed()
            await self.call_by_program()
            await self.write()
        finally:
            await self.company.stop()

    async def call_by_pages(self) -> None:
        """Step 5: an inbound call whose every action is asked from the customer's own web server."""
        with self.demo.step(5, "A call driven by the customer’s own web pages") as step:
            public = keys.make_identity(self.folder)
            await self.api.post("/v1/recipients", {"public_key": public, "label": "demo"})
            step.say("a public key of the customer (age); its private half never leaves the customer")
            sealed = pyrage.encrypt(_asset("caller-two").read_bytes(), [pyrage.x25519.Recipient.from_str(public)])
            await self.api.upload("/v1/media", sealed, kind="application/age", name=JINGLE)
            step.say(f"a sound, encrypted before upload ({len(sealed):,} bytes; the cloud cannot open it)")
            await self._serve_pages()
            caller = await self.company.start(
                "sealwire.doors.caller", "--to", f"sip:{PAGES_NUMBER}@{self.stage.settings.sip_listen}",
                "--from", PAGES_CALLER, "--digit", "5", "--end-digit", "", "--speech", "caller-one",
                "--heard", str(self._heard), "--json",
            )  # fmt: skip
            report = await self.company.report(caller, seconds=60)
            record = await self._application("inbound", kind="pages")
            self._pages_call = record["call_id"]
            content = await self.api.get(f"/v1/applications/{record['id']}/content")
            told = content["content"]["parameters"]
            good = report["answered"] and record["return_code"] == 0 and told == "pressed 5"
            step.say(f"the pages said, played, asked: the caller {told}; {report['seconds']:.1f} s", tone="good")
            step.figure("rest_call", bool(good), f"application record: return code {record['return_code']}")

    async def open_what_is_sealed(self) -> None:
        """Step 6: the recording of that call is the customer's alone; so was the sound that was played in it."""
        with self.demo.step(6, "Sealed to the customer: what was recorded, and what was played") as step:
            page = await self.api.until(
                f"/v1/recordings?call_id={self._pages_call}", lambda answer: bool(answer["items"]), seconds=15
            )
            recording = page["items"][0]
            step.say(f"recording {recording['id']}: encryption {recording['encryption']}, key {recording['key_id']}")
            file = self.stage.output / "sealed-recording.wav.age"
            file.write_bytes(await self.api.bytes(f"/v1/recordings/{recording['id']}/audio"))
            opened = file.with_suffix("")
            process = await asyncio.create_subprocess_exec(
                "age", "--decrypt", "--identity", self.folder / "identity", "--output", opened, file
            )
            await process.wait()
            said = _first_channel(_asset("caller-one"))
            match = likeness(said, _first_channel(opened)).correlation if opened.exists() else 0.0
            step.figure(
                "age_opened", process.returncode == 0 and match >= LIKE_ENOUGH,
                f"age --decrypt opened it: correlation with what was said {match:.4f}",
            )  # fmt: skip
            match = likeness(_first_channel(_asset("caller-two")), _first_channel(self._heard)).correlation
            step.figure(
                "sealed_media_played", match >= LIKE_ENOUGH,
                f"the caller heard the sound that was encrypted before upload: correlation {match:.4f}",
            )  # fmt: skip

    async def call_by_program(self) -> None:
        """Step 7: an outbound call, driven by the customer's program, which connected out to the cloud."""
        with self.demo.step(7, "An outbound call driven by the customer’s own program") as step:
            service = await self._start_program()
            step.say("the program is connected by TLS with its own client certificate")
            telephone = await self.company.start(
                "sealwire.doors.answerer", "--listen", self.stage.telephone, "--digit", "1", "--json"
            )
            await self.company.said(telephone, "ready")
            await self.api.post(
                "/v1/calls", {"service_id": service, "to": REMINDED, "from": PAGES_NUMBER, "arguments": "appointment 7"}
            )
            report = await self.company.report(telephone, seconds=60)
            record = await self._application("outbound", kind="program")
            good = report["answered"] and record["return_code"] == 1 and report["heard_loud_seconds"] > 1
            step.say(f"the called telephone heard {report['heard_loud_seconds']:.1f} s and pressed 1")
            step.figure("uas_call", bool(good), f"the program returned {record['return_code']}, as its record says")

    async def write(self) -> None:
        """Step 8: a message out with its receipt, and the answer to it, through a message centre over SMPP."""
        with self.demo.step(8, "A message out with its receipt, and one in") as step:
            sent = await self.api.post(
                "/v1/messages", {"from": PAGES_NUMBER, "to": WRITTEN_TO, "text": "See you tomorrow at nine?"}
            )
            path = f"/v1/messages/{sent['id']}"
            done = await self.api.until(path, lambda answer: answer["state"] in ("delivered", "failed"), seconds=30)
            step.say(f"message {sent['id']}: {done['state']}, {done['segments']} segment")
            listed = await self.api.until(
                "/v1/messages", lambda answer: any(item["direction"] == "in" for item in answer["items"]), seconds=30
            )
            answered = next(item for item in listed["items"] if item["direction"] == "in")
            content = await self.api.get(f"/v1/messages/{answered['id']}/content")
            text = content["text"]
            step.figure("sms_receipt", done["state"] == "delivered" and bool(text), f"delivered; the answer: “{text}”")

    async def _serve_pages(self) -> None:
        service = await self.api.post(
            "/v1/services",
            {
                "name": "reception",
                "logic": {"kind": "pages", "first_page": f"https://{self.stage.pages}/first"},
                "recording": {"whole_call": True, "channels": 2, "sealed_to_customer": True},
            },
        )
        (self.folder / "page-secret").write_text(service["page_secret"])
        operator = self.api.with_secret(operator_credential_file(self.stage.settings).read_text().strip())
        await operator.post(f"/v1/accounts/{self.account}/numbers", {"number": PAGES_NUMBER, "service": "greeting"})
        await operator.close()
        numbers = await self.api.get("/v1/numbers")
        number = next(item["id"] for item in numbers["items"] if item["number"] == PAGES_NUMBER)
        await self.api.patch(f"/v1/numbers/{number}", {"service_id": service["id"]})
        port = self.stage.pages.rpartition(":")[2]
        await self.company.start(
            "sealwire.doors.demo.customer.pages", "--port", port, "--folder", str(self.folder),
            listens=self.stage.pages,
        )  # fmt: skip

    async def _start_program(self) -> str:
        made = await self.api.post(
            "/v1/programs", {"label": "demo", "request": keys.make_program_request(self.folder)}
        )  # fmt: skip
        (self.folder / "program.pem").write_text(made["certificate"])
        (self.folder / "authority.pem").write_text(made["authority"])
        program = await self.company.start(
            "sealwire.doors.demo.customer.program",
            environment={
                "SEALWIRE_UAS": self.stage.settings.uas_listen,
                "SEALWIRE_UAS_CERTIFICATE": str(self.folder / "program.pem"),
                "SEALWIRE_UAS_KEY": str(self.folder / "program.key"),
                "SEALWIRE_UAS_AUTHORITY": str(self.folder / "authority.pem"),
            },
        )
        host, _, port = self.stage.telephone.rpartition(":")
        await self.api.post("/v1/trunks", {"name": "demo", "host": host, "port": int(port), "transport": "udp"})
        service = await self.api.post(
            "/v1/services",
            {"name": "reminder", "direction": "outbound", "logic": {"kind": "program", "application": "reminder"}},
        )
        await self.company.said(program, "connected as ")
        return str(service["id"])

    async def _application(self, direction: str, *, kind: str) -> dict[str, Any]:
        """The application record of the run that has just ended."""

        def found(answer: Any) -> list[dict[str, Any]]:
            items: list[dict[str, Any]] = answer["items"]
            return [item for item in items if item["direction"].startswith(direction[:2]) and item["kind"] == kind]

        listed = await self.api.until("/v1/applications", lambda answer: bool(found(answer)), seconds=20)
        return found(listed)[0]


def _asset(name: str) -> Path:
    return Path(str(files("sealwire.doors.demo_assets") / f"{name}.wav"))


def _first_channel(file: Path) -> bytes:
    """The first channel of a wav file, 8 kHz and 16 bit; a stream's header may not know its length."""
    with wave.open(str(file), "rb") as sound:
        channels, frames = sound.getnchannels(), sound.readframes(sound.getnframes())
    if channels == 1:
        return frames
    samples = memoryview(frames[: len(frames) // (2 * channels) * 2 * channels]).cast("h")
    return samples[::channels].tobytes()
