"""Every example runs as its page says: the commands are read from the pages and typed into a shell.

The cloud, the telephones and the message centre are real; the examples know the cloud by the SDK only.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sealwire.communications.messages.centre import PASSWORD_FILE
from sealwire.communications.recordings.likeness import likeness
from sealwire.config import Settings
from sealwire.doors.answerer import Answerer, AnswerPlan
from sealwire.doors.caller import Caller, CallPlan, CallReport, demo_speech
from sealwire.doors.supervisor import API, KEEPER, MESSENGER, SEQUENCER, SWITCHBOARD, WORKER, Cloud
from sealwire.ground.datafolder import DataFolder
from sealwire_sdk.client import Sealwire, models
from sealwire_sdk.sealing import decrypt
from tests import ports
from tests.smsc.centre import PASSWORD, SYSTEM_ID, MessageCentre
from tests.telephony_house import free_rtp_ports

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
NUMBER, CALLER = "+441632960100", "+441632960123"
CUSTOMER = "+441632960113"
PARTS = ((KEEPER,), (SEQUENCER,), (WORKER, API, SWITCHBOARD, MESSENGER))
ELSEWHERE = ("openssl req", "SEALWIRE_EGRESS", "python3 -m venv", "export PATH", "pip install", "source ")
"""What the first page has typed before an account can be made; this house does it in its own way, or has done it."""


def commands(page: str) -> list[str]:
    """What the page has its reader type, one command after the other."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "examples" / page).read_text(), re.DOTALL)
    return [line for block in blocks for line in re.sub(r"\\\n *", "", block).splitlines() if line]


@dataclass
class Typed:
    """A command that runs."""

    process: asyncio.subprocess.Process
    said: list[str] = field(default_factory=list)

    async def says(self, words: str, *, seconds: float = 60) -> str:
        """Wait for a line with these words."""
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            while line := (await self.process.stdout.readline()).decode():
                self.said.append(line)
                if words in line:
                    return line
        raise AssertionError(f"it ended without saying {words!r}: {self.said}")

    async def ends(self, *, seconds: float = 60) -> str:
        """Its output, once it has ended well."""
        out, _ = await asyncio.wait_for(self.process.communicate(), seconds)
        self.said.append(out.decode())
        assert self.process.returncode == 0, self.said
        return "".join(self.said)

    async def stop(self) -> None:
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGTERM)  # its own group, made below
            await asyncio.wait_for(self.process.wait(), 20)


@dataclass
class Desk:
    """Where somebody tries the examples: a folder with a checkout's `examples`, a cloud beside it."""

    folder: Path
    settings: Settings
    cloud: Cloud
    centre: MessageCentre
    telephone: str
    replies: int = field(default_factory=ports.take)
    clicks: int = 0

    async def type(self, command: str) -> Typed:
        """As written, but for the addresses: tests share a machine."""
        for written, here in {
            "prepare.py examples-cloud": "prepare.py " + str(self.settings.data_dir),
            "--trunk 127.0.0.1:5070": f"--trunk {self.telephone} --api https://{self.settings.api_listen}",
            "localhost:8446": f"localhost:{self.replies}",
            "localhost:8447": f"localhost:{self.clicks}",
        }.items():
            command = command.replace(written, here)
        settings = self.folder / "example-account/settings.sh"
        known = f"source {settings}; " if settings.exists() else ""
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", f"{known}{command.removesuffix('&')}", cwd=self.folder, start_new_session=True,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1",
                              "PYTHONPATH": str(ROOT / "sdk/src")},
        )  # fmt: skip
        return Typed(process)

    async def follow(self, page: str) -> list[Typed]:
        """Every command of a page that is not typed elsewhere; those with & keep running and are returned."""
        running = []
        for command in commands(page):
            if not command.startswith(ELSEWHERE):
                typed = await self.type(command)
                if command.endswith("&"):
                    running.append(typed)
                else:
                    await typed.ends()
        return running

    def client(self) -> Sealwire:
        """The customer's own look, with the credential that the examples have."""
        text = (self.folder / "example-account/settings.sh").read_text()
        found = dict(re.findall(r"export (\w+)='(.*)'", text))
        return Sealwire(found["SEALWIRE_API"], found["SEALWIRE_CREDENTIAL"], ca=found["SEALWIRE_CA"])

    async def newest_run(self, kind: str, *, seen: int = 0) -> models.ApplicationSeen:
        """The application record that comes after as many of this kind."""
        async with asyncio.timeout(30):
            while True:
                with self.client() as cloud:
                    found = [each for each in await asyncio.to_thread(_applications, cloud) if each.kind == kind]
                if len(found) > seen:
                    return found[0]
                await asyncio.sleep(0.2)

    async def call(self, **changes: Any) -> CallReport:
        plan = {"digits": "", "end_digit": "", "seconds_max": 60.0} | changes
        return await Caller(CallPlan(to=f"sip:{NUMBER}@{self.settings.sip_listen}", caller=CALLER, **plan)).run()


def _applications(cloud: Sealwire) -> list[models.ApplicationSeen]:
    return list(cloud.iter_applications())


@asynccontextmanager
async def telephone(listen: str, **changes: Any) -> AsyncIterator[asyncio.Task[CallReport]]:
    """A telephone that waits for one call."""
    plan = {"digits": "", "end_digit": "", "seconds_max": 60.0} | changes
    answerer = Answerer(AnswerPlan(listen=listen, **plan))
    running = asyncio.ensure_future(answerer.run())
    try:
        await answerer.listening.wait()
        yield running
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk() -> AsyncIterator[Desk]:
    folder = Path(tempfile.mkdtemp(prefix="sealwire-examples-")).resolve()
    folder.chmod(0o711)
    centre = MessageCentre(ports.take())
    try:
        await centre.start()
        (folder / "desk").mkdir()
        (folder / "desk/examples").symlink_to(ROOT / "examples")
        certificate = commands("README.md")[0]
        subprocess.run(["bash", "-c", certificate], cwd=folder / "desk", check=True, capture_output=True)
        (folder / "desk").chmod(0o755)
        settings = Settings(
            data_dir=folder / "data", api_listen=f"127.0.0.1:{ports.take()}",
            sip_listen=f"127.0.0.1:{ports.take(2)}", rtp_ports=free_rtp_ports(),
            uas_listen=f"127.0.0.1:{ports.take()}", egress_allow="127.0.0.1/32",
            egress_ca=str(folder / "desk/pages.pem"), smsc=f"smpp://{SYSTEM_ID}@127.0.0.1:{centre.port}",
        )  # fmt: skip
        with DataFolder(settings):
            (settings.secrets_dir / PASSWORD_FILE).write_text(PASSWORD + "\n")
        async with Cloud(settings, parts=PARTS) as cloud:
            ready = Desk(folder / "desk", settings, cloud, centre, f"127.0.0.1:{ports.take()}")
            await ready.follow("README.md")
            yield ready
    finally:
        await centre.stop()
        shutil.rmtree(folder, ignore_errors=True)


def frames(file: Path) -> bytes:
    with wave.open(str(file), "rb") as sound:
        return sound.readframes(sound.getnframes())


async def test_every_example_has_a_page_that_says_what_to_type() -> None:
    pages = sorted(folder.name for folder in (ROOT / "examples").iterdir() if any(folder.glob("*.py")))
    assert pages == ["appointment_reminder", "click_to_call", "ivr_menu", "voicemail"]
    index = (ROOT / "examples/README.md").read_text()
    for page in pages:
        assert f"({page}/README.md)" in index
        assert commands(f"{page}/README.md")


async def test_the_menu_answers_and_says_the_hours(desk: Desk) -> None:
    (ivr,) = await desk.follow("ivr_menu/README.md")
    try:
        await until_connected(desk)
        report = await desk.call(digits="1")
        assert (report.answered, report.hung_up_by) == (True, "far end")
        assert report.heard_loud_seconds > 4
        assert (await desk.newest_run("program")).return_code == 0
    finally:
        await ivr.stop()


async def test_a_message_is_left_and_only_its_owner_hears_it(desk: Desk) -> None:
    set_up, listing = commands("voicemail/README.md")
    await (await desk.type(set_up)).ends()
    assert (desk.folder / "identity.txt").stat().st_mode & 0o077 == 0
    speech = demo_speech("caller-one")
    report = await desk.call(digits="#", interrupt_after=1.0, speech=speech, end_digit="#")  # skips the prompt
    assert (report.answered, report.tone_heard) == (True, True)
    assert (await desk.newest_run("built-in")).return_code == 0

    said = await (await desk.type(listing)).ends()
    (line,) = said.splitlines()
    assert CALLER in line
    (file,) = (desk.folder / "messages").iterdir()
    assert likeness(speech, frames(file)).correlation >= 0.9

    with desk.client() as cloud:
        (recording,) = [each for each in cloud.iter_recordings() if each.encryption == "age"]
        sealed = cloud.play_recording(recording.id)
    assert sealed.startswith(b"age-encryption.org/v1\n")
    plain = file.read_bytes()
    assert plain[44:1044] not in sealed
    (desk.folder / "sealed.age").write_bytes(sealed)
    age = ["age", "-d", "-i", str(desk.folder / "identity.txt"), str(desk.folder / "sealed.age")]
    assert subprocess.run(age, check=True, capture_output=True).stdout == plain
    assert decrypt(sealed, (desk.folder / "identity.txt").read_text().splitlines()[1]) == plain
    assert await (await desk.type(listing)).ends() == ""  # what is here already is not opened again


async def test_a_reminder_is_confirmed_on_the_telephone_or_by_answering_the_message(desk: Desk) -> None:
    receiver, reminder = commands("appointment_reminder/README.md")
    replies = await desk.type(receiver)
    try:
        await replies.says("leads here")
        await desk.centre.bound()
        async with telephone(desk.telephone, status=486):
            said = await (await desk.type(reminder)).ends(seconds=90)
        assert said.startswith("appointment 1: busy, wrote msg_")
        (submit,) = [each for each in desk.centre.submits if "tomorrow at nine" in str(each["text"])]
        assert submit["to"].lstrip("+") == "441632960112"

        await desk.centre.deliver("reply", **{"from": submit["to"], "to": submit["from"], "text": "Yes"})
        assert (await replies.says("msg_")).rstrip().endswith(": confirmed")

        async with telephone(desk.telephone, digits="1") as answered:
            said = await (await desk.type(reminder)).ends(seconds=90)
            assert (await answered).heard_loud_seconds > 1
        assert said == "appointment 1: confirmed by telephone\n"
        assert len(desk.centre.submits) == 1
    finally:
        await replies.stop()


async def test_a_forged_webhook_confirms_nothing(desk: Desk) -> None:
    receiver, _ = commands("appointment_reminder/README.md")
    replies = await desk.type(receiver)
    try:
        await replies.says("leads here")
        forged = "-H 'webhook-id: x' -H 'webhook-timestamp: 1' -H 'webhook-signature: v1,AAAA' -d '{}'"
        curl = f"curl --cacert pages.pem -s -o /dev/null -w '%{{http_code}}' {forged} https://localhost:8446"
        assert await (await desk.type(curl)).ends() == "401"
    finally:
        await replies.stop()


async def test_a_click_calls_the_agent_then_the_customer_and_shows_how_far_it_is(desk: Desk) -> None:
    desk.clicks = ports.take()
    serving, click = commands("click_to_call/README.md")
    second = f"127.0.0.1:{ports.take()}"
    with desk.client() as cloud:  # the customer's telephone, reached by a trunk of the account's own
        host, _, port = second.rpartition(":")
        rule = models.DialRule(prefix=CUSTOMER)
        cloud.create_trunk(name="customer", host=host, port=int(port), transport="udp", rules=[rule])
    server = await desk.type(serving)
    try:
        await server.says("click at")
        speech = demo_speech("caller-two")
        async with (
            telephone(desk.telephone, keep_heard=True) as agent,
            telephone(second, speech=speech, hang_up_after=12.0) as customer,
        ):
            answer = await (await desk.type(click)).ends()
            (path,) = re.findall(r"Location: (/calls/call_[0-9a-f]{32})", answer)
            seen = await statuses(desk, path)
            assert (await customer).answered
            heard = bytes((await agent).heard)
        assert "agent ringing" in seen or "agent up" in seen
        assert "agent up, customer up" in seen
        assert seen[-1] == "ended, connected"
        pieces = [speech[at : at + 8_000] for at in range(0, len(speech) - 8_000, 8_000)]
        assert max(likeness(piece, heard).correlation for piece in pieces) >= 0.9
    finally:
        await server.stop()


async def statuses(desk: Desk, path: str) -> list[str]:
    """What the page shows, until the call has ended."""
    context = ssl.create_default_context(cafile=str(desk.folder / "pages.pem"))
    seen: list[str] = []
    async with asyncio.timeout(60):
        while not seen or not seen[-1].startswith("ended"):
            reader, writer = await asyncio.open_connection("localhost", desk.clicks, ssl=context, family=socket.AF_INET)
            writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
            assert " 200 " in head, head
            writer.close()
            if body not in seen:
                seen.append(body)
            await asyncio.sleep(0.3)
    return seen


async def until_connected(desk: Desk) -> None:
    """Programs connect in their own time."""
    log = desk.settings.logs_dir / "switchboard.log"
    async with asyncio.timeout(20):
        while not any("connected" in line for line in log.read_text().splitlines()):
            await asyncio.sleep(0.1)
