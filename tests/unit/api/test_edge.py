"""The outermost layer on a real server, around small applications: bounds, headers, ids, and what is never told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import uvicorn

from sealwire.doors.api import server as server_module
from sealwire.doors.api.edge import Edge, Limits
from sealwire.doors.api.parts import Parts
from sealwire.doors.api.server import PatientProtocol, Server
from sealwire.ground.clock import SystemClock

PUBLIC = "/v1/health"  # needs no credential, so no database
NARROW = Limits(body_bytes_max=1000, body_pause_s=0.2, body_s=0.4, answer_s=0.8, requests_at_once=2, linger_s=0.2)


class OnlyAClock:
    """The parts, as far as the edge needs them for a public address."""

    clock = SystemClock()


async def answers(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and says how long it was."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode()), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def dawdles(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(30)


async def fails(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("+441632960123 rang")


async def fails_half_way(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
    await send({"type": "http.response.body", "body": b"x" * 10, "more_body": True})
    raise RuntimeError("+441632960123 rang")


@asynccontextmanager
async def serving(application: Any) -> AsyncIterator[Callable[[], Any]]:
    """A server on a free port; yields what opens a connection to it."""
    edge = Edge(application, cast("Parts", OnlyAClock()), limits=NARROW)
    configuration = uvicorn.Config(
        edge, port=0, http=PatientProtocol, ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, interface="asgi3",
    )  # fmt: skip
    server = Server(configuration)
    task = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield lambda: asyncio.open_connection("127.0.0.1", port)
    finally:
        server.should_exit = True
        await task


def request(*headers: str, body: bytes = b"", path: str = PUBLIC) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def ask(connect: Any, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """One request, read until the other end hangs up or the announced length is there."""
    reader, writer = await connect()
    writer.write(sent)
    try:
        return await asyncio.wait_for(read_one(reader), 5)
    finally:
        writer.close()


async def read_one(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


def code(body: bytes) -> str:
    return str(json.loads(body)["type"]).removeprefix("urn:sealwire:problem:")


async def test_every_answer_has_an_id_of_ours_and_the_security_headers():
    async with serving(answers) as connect:
        status, headers, body = await ask(connect, request("Content-Length: 5", "X-Request-Id: mine", body=b"hello"))
        other = (await ask(connect, request("Content-Length: 0")))[1]
    assert (status, body) == (200, b"5")
    assert headers["x-request-id"].startswith("req_")
    assert headers["x-request-id"] != other["x-request-id"]
    assert headers["strict-transport-security"] == "max-age=63072000"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"  # the operation's own choice stands
    assert "server" not in headers
    assert "connection" not in headers


async def test_a_body_that_is_larger_than_allowed_is_refused_and_the_connection_closed():
    async with serving(answers) as connect:
        for sent in (
            request("Content-Length: 1001"),
            request("Transfer-Encoding: chunked", body=b"3e9\r\n" + b"x" * 1001 + b"\r\n"),
        ):
            reader, writer = await connect()
            writer.write(sent)
            status, headers, body = await read_one(reader)
            assert (status, code(body), headers["connection"]) == (413, "body-too-large", "close")
            assert await asyncio.wait_for(reader.read(), 2) == b""
            writer.close()


async def test_a_body_as_large_as_allowed_is_taken():
    async with serving(answers) as connect:
        assert (await ask(connect, request("Content-Length: 1000", body=b"x" * 1000)))[2] == b"1000"


async def test_a_body_that_stops_arriving_is_given_up():
    async with serving(answers) as connect:
        status, _, body = await ask(connect, request("Content-Length: 100", body=b"x"))
    assert (status, code(body)) == (408, "body-too-slow")


async def test_a_body_that_drips_is_given_up_too():
    async with serving(answers) as connect:
        reader, writer = await connect()
        writer.write(request("Content-Length: 100"))

        async def drip() -> None:
            for _ in range(100):
                writer.write(b"x")
                await asyncio.sleep(0.05)

        dripping = asyncio.ensure_future(drip())
        status, _, body = await asyncio.wait_for(read_one(reader), 3)
        dripping.cancel()
        writer.close()
    assert (status, code(body)) == (408, "body-too-slow")


async def test_headers_that_do_not_end_close_the_connection(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server_module, "HEADERS_S_MAX", 0.2)
    monkeypatch.setattr(server_module, "KEEP_ALIVE_S", 0.2)
    async with serving(answers) as connect:
        reader, writer = await connect()
        writer.write(b"GET /v1/health HTTP/1.1\r\nX-Slow: ")
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()


async def test_an_answer_that_takes_too_long_is_given_up():
    async with serving(dawdles) as connect:
        status, headers, body = await ask(connect, request("Content-Length: 0"))
    assert (status, code(body), headers["retry-after"]) == (503, "answer-too-slow", "2")


async def test_more_requests_than_allowed_at_once_are_told_to_come_back():
    async with serving(dawdles) as connect:
        answered = await asyncio.gather(*(ask(connect, request("Content-Length: 0")) for _ in range(4)))
    assert sorted(code(body) for _, _, body in answered) == ["answer-too-slow"] * 2 + ["too-busy"] * 2


async def test_a_failure_of_ours_tells_the_request_id_and_nothing_else(capsys: pytest.CaptureFixture[str]):
    async with serving(fails) as connect:
        status, headers, body = await ask(connect, request("Content-Length: 0"))
    assert status == 500
    assert json.loads(body)["instance"] == headers["x-request-id"]
    told = body.decode() + "".join(capsys.readouterr())
    assert "441632960123" not in told


async def test_an_answer_that_fails_half_way_ends_before_its_announced_length():
    async with serving(fails_half_way) as connect:
        with pytest.raises(asyncio.IncompleteReadError):
            await ask(connect, request("Content-Length: 0"))


async def test_a_form_is_refused_before_it_is_read():
    async with serving(answers) as connect:
        sent = b"POST /v1/health HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
        status, _, body = await ask(connect, sent)
    assert (status, code(body)) == (415, "content-type-wrong")
