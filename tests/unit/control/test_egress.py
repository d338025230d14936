"""The way out to customers' servers, against real HTTPS servers that behave and that do not."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sites import Asked, Site, open_site, response

from sealwire.communications.addresses import AddressRefused, Reach
from sealwire.communications.egress import (
    NAMES_AT_ONCE_MAX,
    AddressMalformed,
    Answered,
    Egress,
    ServerAnswerBroken,
    ServerAnswerTooLarge,
    ServerTooSlow,
    ServerUnreachable,
    address_after,
    read_address,
)
from sealwire.config import Settings, SettingsRefused

LOOPBACK = Reach.parse("127.0.0.1/32")
Post = Callable[..., Awaitable[Answered]]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path / "site", port=24010) as running:
        yield running


@pytest.fixture
async def post(site: Site) -> AsyncIterator[Post]:
    egress = Egress(LOOPBACK, trusted=site.ca)

    async def send(address: str, body: bytes = b"{}", **more: Any) -> Answered:
        chosen: dict[str, Any] = {"headers": {}, "seconds_max": 2.0, "bytes_max": 1000} | more
        return await egress.post(address, body, **chosen)

    yield send
    await egress.close()


async def test_a_post_arrives_whole_with_the_name_it_was_sent_to_and_asks_for_no_coding(site: Site, post: Post):
    address = site.says("/page?b=1", {"actions": []})
    answered = await post(address, b'{"a": 1}', headers={"Content-Type": "application/json"})
    (asked,) = site.asked
    assert (answered.status, answered.body) == (200, b'{"actions": []}')
    assert asked.json == {"a": 1}
    assert asked.headers["host"] == f"localhost:{site.port}"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["user-agent"].startswith("Sealwire/")


async def test_a_connection_is_kept_for_the_next_request(site: Site, post: Post):
    address = site.says("/page", {})
    for _ in range(5):
        await post(address)
    assert len({asked.peer for asked in site.asked}) == 1


async def test_a_kept_connection_that_the_server_has_closed_is_replaced_unnoticed(site: Site, post: Post):
    async def answer_and_close(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"{}"))
        await writer.drain()
        writer.close()

    address = site.does("/page", answer_and_close)
    assert [(await post(address)).status for _ in range(5)] == [200] * 5
    assert len(site.asked) == 5


async def test_a_redirect_is_an_answer_and_is_not_followed(site: Site, post: Post):
    site.says("/secret", {})

    async def redirect(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"", status=302, headers="Location: /secret\r\n"))

    assert (await post(site.does("/page", redirect))).status == 302
    assert site.asked_at("/secret") == []


@pytest.mark.alone
async def test_a_server_that_never_answers_is_given_up_in_time(site: Site, post: Post):
    async def hang(_: Asked, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    began_s = time.monotonic()
    with pytest.raises(ServerTooSlow):
        await post(site.does("/page", hang), seconds_max=0.3)
    assert time.monotonic() - began_s < 1


@pytest.mark.alone
async def test_a_server_that_drips_is_given_up_in_the_same_time(site: Site, post: Post):
    async def drip(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        for _each in range(900):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    began_s = time.monotonic()
    with pytest.raises(ServerTooSlow):
        await post(site.does("/page", drip), seconds_max=0.4)
    assert time.monotonic() - began_s < 1


@pytest.mark.parametrize("announced", [True, False])
async def test_an_answer_that_is_too_large_is_not_read_to_its_end(site: Site, post: Post, announced: bool):
    sent = 0

    async def flood(_: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        length = b"Content-Length: 1000000000\r\n" if announced else b"Connection: close\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        while sent < 100_000_000:
            writer.write(b"x" * 10_000)
            sent += 10_000
            await writer.drain()

    with pytest.raises(ServerAnswerTooLarge):
        await post(site.does("/page", flood), bytes_max=50_000)
    assert sent < 5_000_000  # what fits into buffers on the way


@pytest.mark.parametrize("headers", ["X-{}: y\r\n", "X-{}: " + "y" * 5000 + "\r\n"])
async def test_headers_without_end_are_refused(site: Site, post: Post, headers: str):
    many = "".join(headers.format(number) for number in range(200))

    async def chatter(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"{}", headers=many))

    with pytest.raises((ServerAnswerTooLarge, ServerAnswerBroken)):
        await post(site.does("/page", chatter))


async def test_a_compressed_answer_is_refused_and_never_unpacked(site: Site, post: Post):
    bomb = gzip.compress(b"\0" * 10_000_000)

    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(bomb, headers="Content-Encoding: gzip\r\n"))

    with pytest.raises(ServerAnswerBroken):
        await post(site.does("/page", answer), bytes_max=100_000)


@pytest.mark.parametrize("sent", [b"hello there\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"])
async def test_what_is_not_http_or_ends_half_way_is_broken(site: Site, post: Post, sent: bytes):
    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()
        writer.close()

    with pytest.raises(ServerAnswerBroken):
        await post(site.does("/page", answer))


async def test_a_certificate_for_another_name_is_not_accepted(tmp_path: Path):
    async with open_site(tmp_path, names=("other.example",)) as site:
        egress = Egress(LOOPBACK, trusted=site.ca)
        with pytest.raises(ServerUnreachable):
            await egress.post(site.says("/", {}), b"", headers={}, seconds_max=2, bytes_max=10)
        await egress.close()
        assert site.asked == []


async def test_a_certificate_by_an_unknown_authority_is_not_accepted(site: Site):
    egress = Egress(LOOPBACK)
    with pytest.raises(ServerUnreachable):
        await egress.post(site.says("/", {}), b"", headers={}, seconds_max=2, bytes_max=10)
    await egress.close()
    assert site.asked == []


async def test_nobody_at_home_is_said(post: Post):
    with pytest.raises(ServerUnreachable):
        await post("https://localhost:24999/")


async def test_a_name_nobody_knows_is_unreachable(post: Post):
    with pytest.raises(ServerUnreachable):
        await post("https://no-such-name.invalid/")


@pytest.mark.parametrize("host", [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "localhost", "[::1]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]", "169.254.169.254", "[fd00:ec2::254]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "10.0.0.1", "100.100.100.200", "168.63.129.16", "①②⑦.⓪.⓪.①",
])  # fmt: skip
async def test_loopback_and_its_like_are_refused_however_they_are_written(site: Site, host: str):
    site.says("/", {})
    egress = Egress(Reach(), trusted=site.ca)
    with pytest.raises((AddressRefused, AddressMalformed, ServerUnreachable)) as refused:
        await egress.post(f"https://{host}:{site.port}/", b"", headers={}, seconds_max=2, bytes_max=10)
    await egress.close()
    assert refused.type is not ServerUnreachable or not _resolves(host), "it was connected to"
    assert site.asked == []


def _resolves(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host.strip("[]"), 443))
    except (OSError, UnicodeError):
        return False


@pytest.mark.parametrize("answers", [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
async def test_a_name_that_changes_its_answer_is_connected_to_where_it_was_checked(
    site: Site, post: Post, monkeypatch: pytest.MonkeyPatch, answers: list[str]
):
    """Only 127.0.0.1 is allowed: whichever answer was judged is the one that counts, and nobody asks twice."""
    given_out: list[str] = []

    def rebinding(_host: str, port: int, **_: Any) -> list[Any]:
        given_out.append(answers[len(given_out)])
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (given_out[-1], port))]

    address = site.says("/", {})
    with monkeypatch.context() as changed:
        changed.setattr(socket, "getaddrinfo", rebinding)
        if answers[0] == "127.0.0.1":
            assert (await post(address)).status == 200
        else:
            with pytest.raises(AddressRefused):
                await post(address)
    assert given_out == answers[:1]


async def test_plain_http_goes_to_allowed_networks_only(site: Site):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(b"{}"))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 24011)
    for reach, is_reached in ((LOOPBACK, True), (Reach(), False)):
        egress = Egress(reach)
        try:
            await egress.post("http://127.0.0.1:24011/", b"", headers={}, seconds_max=2, bytes_max=10)
            assert is_reached
        except AddressRefused:
            assert not is_reached
        await egress.close()
    server.close()


def test_plain_http_to_a_public_address_is_refused():
    assert Reach().permitted(["8.8.8.8"], port=443, is_plain=False) == ["8.8.8.8"]
    with pytest.raises(AddressRefused):
        Reach().permitted(["8.8.8.8"], port=80, is_plain=True)


@pytest.mark.parametrize("port", [22, 25, 80, 110, 587])
def test_well_known_ports_of_other_services_are_refused(port: int):
    with pytest.raises(AddressRefused):
        Reach().permitted(["8.8.8.8"], port=port, is_plain=False)


@pytest.mark.parametrize("address", [
    "ftp://example.org/", "https://", "https:///x", "https://user@example.org/", "https://a:b@example.org/",
    "https://example.org/#x", "https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://example.org:0/",
    "https://example.org:99999/", "https://exa mple.org/", "https://example.org/\r\nX: y", "https://example.org\\@x/",
    "https://example.org/" + "x" * 2000, "//example.org/", "example.org", "", "file:///etc/passwd",
    "https://[::1", "https://xn--/", "https://ex\u0000ample.org/",
])  # fmt: skip
def test_an_address_that_could_be_read_in_two_ways_is_not_read(address: str):
    with pytest.raises(AddressMalformed):
        read_address(address)


def test_a_name_in_another_script_is_looked_up_in_its_ascii_form():
    assert read_address("https://bücher.example/").raw_host == b"xn--bcher-kva.example"


def test_a_page_may_be_named_relative_to_the_one_that_names_it():
    assert address_after("https://example.org/a/b?c=1", "d") == "https://example.org/a/d"
    assert address_after("https://example.org/a/b", "/d?e=2") == "https://example.org/d?e=2"
    assert address_after("https://example.org/a", "https://example.com/") == "https://example.com/"
    with pytest.raises(AddressMalformed):
        address_after("https://example.org/a", "javascript:alert(1)")


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_in_every_dress(address: ipaddress.IPv4Address):
    number = int(address)
    is_open = Reach().may_connect(address)
    assert Reach().may_connect(ipaddress.IPv6Address((0xFFFF << 32) | number)) == is_open
    if is_open:
        assert address.is_global
    for wrapped in (f"64:ff9b::{address}", ipaddress.IPv6Address((0x2002 << 112) | (number << 80))):
        assert not Reach().may_connect(ipaddress.ip_address(str(wrapped)))


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_that_is_not_global_is_open(address: ipaddress.IPv6Address):
    if Reach().may_connect(address) and address.ipv4_mapped is None:
        assert address in ipaddress.IPv6Network("2000::/3")
        assert address.is_global


@given(st.ip_addresses(v=4))
def test_allowing_a_translator_does_not_open_what_lies_behind_it(address: ipaddress.IPv4Address):
    translating = Reach.parse("64:ff9b::/96")
    assert translating.may_connect(ipaddress.ip_address(f"64:ff9b::{address}")) == translating.may_connect(address)


def test_some_public_addresses_are_open():
    for address in ("8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001::1"):
        assert Reach().may_connect(ipaddress.ip_address(address)), address


def test_networks_that_are_not_networks_are_refused_at_the_start():
    with pytest.raises(SettingsRefused):
        Reach.parse("10.0.0.0/8, banana")
    with pytest.raises(SettingsRefused):
        Egress.of(Settings(data_dir=Path("/nowhere"), egress_ca="/nowhere/ca.pem"))


async def test_names_that_nobody_answers_for_hold_up_no_other_accounts_pages(
    site: Site, post: Post, monkeypatch: pytest.MonkeyPatch
):
    address, asked, free = site.says("/page", {}), [], threading.Event()
    resolve = socket.getaddrinfo

    def slow(host: str, *rest: Any, **more: Any) -> Any:
        if host.startswith("slow"):
            asked.append(host)
            free.wait(20)
            raise socket.gaierror
        return resolve(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    hanging = [
        asyncio.ensure_future(post(f"https://slow-{at}.example/", whose="thief", seconds_max=10.0)) for at in range(300)
    ]
    try:
        await asyncio.sleep(0.3)
        assert (await post(address, whose="victim")).status == 200
        assert len(asked) == NAMES_AT_ONCE_MAX
    finally:
        free.set()
        outcomes = await asyncio.gather(*hanging, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ServerUnreachable}
    assert len(asked) == 300
