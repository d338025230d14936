"""How a program stays connected, and how it says what is wrong; the service's side is a script, over real TLS."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sealwire_sdk.errors import ProgramRefused, ServerNotTrusted, SettingsMissing
from sealwire_sdk.uas import Call, CallOver, Program
from sealwire_sdk.uas.frames import FrameTooLarge

WELCOME = {"type": "welcome", "version": 1, "program": "uas_1", "ping_s": 5.0, "valid_until": "x"}
OFFER = {
    "type": "offer", "call": "app_1", "application": "menu", "call_id": "call_1", "direction": "inbound",
    "state": "ringing", "caller": "+441632960123", "callee": "+441632960100", "service": None, "arguments": "",
    "new": 1,
}  # fmt: skip
Script = Callable[["Stage"], Awaitable[None]]


class Stage:
    """One connection, at the service's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, frame: dict[str, Any]) -> None:
        body = msgspec.msgpack.encode(frame)
        self.writer.write(struct.pack(">I", len(body)) + body)

    async def frame(self, kind: str) -> dict[str, Any]:
        while True:
            (length,) = struct.unpack(">I", await self.reader.readexactly(4))
            frame: dict[str, Any] = msgspec.msgpack.decode(await self.reader.readexactly(length))
            if frame["type"] == kind:
                return frame

    async def welcome(self) -> None:
        assert (await self.frame("hello"))["applications"] == ["menu"]
        self.send(WELCOME)


def write_pair(folder: Path, *, name: str = "pair", days: int = 30) -> tuple[Path, Path]:
    """A certificate for localhost that is its own authority."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=60))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@asynccontextmanager
async def staged(folder: Path, *scripts: Script) -> AsyncIterator[Program]:
    """A program, and a service that plays one script for each connection."""
    certificate, key = write_pair(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    left = list(scripts)
    failures: list[BaseException] = []

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if left:
                await left.pop(0)(Stage(reader, writer))
        except (asyncio.IncompleteReadError, OSError):
            pass
        except BaseException as error:
            failures.append(error)
        finally:
            writer.close()

    server = await asyncio.start_server(play, "localhost", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    yield Program(server=f"localhost:{port}", certificate=certificate, key=key, authority=certificate)
    server.close()
    assert failures == []
    assert left == []


def with_menu(program: Program, menu: Callable[[Call], Any]) -> Program:
    program.application("menu")(menu)
    return program


async def nothing(_: Call) -> None:
    return None


async def test_it_comes_back_after_the_connection_was_cut_and_its_call_is_over(tmp_path: Path) -> None:
    heard: list[str] = []

    async def menu(call: Call) -> int:
        try:
            await call.answer()
        except CallOver:
            heard.append("over")
        return 0

    async def cut(stage: Stage) -> None:
        await stage.welcome()
        stage.send(OFFER)
        assert (await stage.frame("command"))["action"] == {"action": "answer"}

    async def again(stage: Stage) -> None:
        await stage.welcome()
        program.stop()
        await stage.frame("draining")

    async with staged(tmp_path, cut, again) as program:
        async with asyncio.timeout(10):
            await with_menu(program, menu).serve()
    assert heard == ["over"]


async def test_it_notices_a_service_that_is_silent(tmp_path: Path) -> None:
    async def silent(stage: Stage) -> None:
        await stage.frame("hello")
        stage.send(WELCOME | {"ping_s": 0.1})
        await asyncio.sleep(3)

    async def again(stage: Stage) -> None:
        await stage.welcome()
        program.stop()
        await stage.frame("draining")

    async with staged(tmp_path, silent, again) as program:
        async with asyncio.timeout(10):
            await with_menu(program, nothing).serve()


async def test_pings_are_answered_and_members_and_calls_it_does_not_know_harm_nothing(tmp_path: Path) -> None:
    async def pings(stage: Stage) -> None:
        await stage.welcome()
        stage.send({"type": "ping", "later": [1, 2]})
        await stage.frame("pong")
        stage.send({"type": "result", "call": "app_9", "id": 1, "result": {}})
        stage.send({"type": "withdrawn", "call": "app_9"})
        stage.send(OFFER | {"application": "not-ours"})
        await stage.frame("decline")
        program.stop()

    async with staged(tmp_path, pings) as program:
        async with asyncio.timeout(10):
            await with_menu(program, nothing).serve()


async def test_a_final_goodbye_ends_the_program_with_the_reason(tmp_path: Path) -> None:
    async def goodbye(stage: Stage) -> None:
        await stage.frame("hello")
        stage.send({"type": "goodbye", "code": "program-refused", "detail": "revoked", "final": True})

    async with staged(tmp_path, goodbye) as program:
        with pytest.raises(ProgramRefused, match="program-refused: revoked"):
            await with_menu(program, nothing).serve()


async def test_a_server_that_another_authority_signed_is_not_trusted_and_told_nothing(tmp_path: Path) -> None:
    other, other_key = write_pair(tmp_path, name="other")
    async with staged(tmp_path) as told:
        program = Program(server=told.server, certificate=other, key=other_key, authority=other)
        with pytest.raises(ServerNotTrusted, match="not trusted"):
            await with_menu(program, nothing).serve()


async def test_what_is_wrong_with_the_files_is_said_in_a_sentence(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path)
    ended, ended_key = write_pair(tmp_path, name="ended", days=-1)
    other, _ = write_pair(tmp_path, name="other")
    (tmp_path / "text").write_text("hello")
    for files, words in (
        ((tmp_path / "none", key, certificate), "certificate is not at"),
        ((certificate, key, tmp_path / "none"), "authority is not at"),
        ((ended, ended_key, certificate), "has ended"),
        ((other, key, certificate), "do not fit together"),
        ((tmp_path / "text", key, certificate), "not a PEM file"),
    ):
        program = Program(server="localhost:1", certificate=files[0], key=files[1], authority=files[2])
        with pytest.raises((ProgramRefused, SettingsMissing), match=words):
            await with_menu(program, nothing).serve()


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", "_CERTIFICATE", "_KEY", "_AUTHORITY"):
        monkeypatch.delenv(f"SEALWIRE_UAS{name}", raising=False)
    with pytest.raises(SettingsMissing, match=r"set SEALWIRE_UAS$"):
        Program()
    with pytest.raises(SettingsMissing, match="SEALWIRE_UAS_KEY"):
        Program(server="localhost:1", certificate="x")


async def test_applications_have_one_name_each_and_there_is_at_least_one() -> None:
    program = Program(server="localhost:1", certificate="x", key="x", authority="x")
    with pytest.raises(SettingsMissing, match="no application"):
        await program.serve()
    with_menu(program, nothing)
    with pytest.raises(ValueError, match="two applications"):
        program.application("menu")(nothing)
    with pytest.raises(ValueError, match="1 to 64 letters"):
        program.application("a menu")


async def test_diagnostics_hold_ids_and_never_what_a_caller_typed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def menu(call: Call) -> int:
        digits = await call.get_digits()
        raise ValueError(f"{digits} from {call.caller}")

    async def typed(stage: Stage) -> None:
        await stage.welcome()
        stage.send(OFFER)
        command = await stage.frame("command")
        result = {"digits": "4711", "ended_by": "count"}
        stage.send({"type": "result", "call": "app_1", "id": command["id"], "result": result})
        assert await stage.frame("done") == {"type": "done", "call": "app_1", "code": None, "failed": True}
        program.stop()

    with caplog.at_level(logging.DEBUG):
        async with staged(tmp_path, typed) as program:
            async with asyncio.timeout(10):
                await with_menu(program, menu).serve()
    assert "call app_1: menu failed: ValueError at test_program.py" in caplog.text
    assert "4711" not in caplog.text
    assert "+441632960123" not in caplog.text


async def test_a_frame_that_is_too_large_is_not_sent_and_the_call_goes_on(tmp_path: Path) -> None:
    async def menu(call: Call) -> int:
        with pytest.raises(FrameTooLarge):
            await call.set_parameters("x" * 70_000)
        return 4

    async def waits(stage: Stage) -> None:
        await stage.welcome()
        stage.send(OFFER)
        assert (await stage.frame("done"))["code"] == 4
        program.stop()

    async with staged(tmp_path, waits) as program:
        async with asyncio.timeout(10):
            await with_menu(program, menu).serve()
