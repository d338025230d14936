"""Promises 2 and 9 after real traffic through every door: no number, text, name or sound lies anywhere in the clear.

A whole cloud with a telephone, pages, a message centre and everything an account can have. Then its files are searched,
and what its processes told one another by NOTIFY meanwhile.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest

from sealwire.custody.forensics.patterns import Pattern, number_patterns
from sealwire.custody.forensics.sweep import SweepReport, sweep
from sealwire.ground.postgres.cluster import dsn
from sealwire.vocabulary import E164
from tests.api_house import ApiHouse
from tests.holdings import CALLED, Holdings, Ports, furnish, open_whole_house, wav_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
PORTS = Ports(31000, 31100)
OWN, OPTED_OUT = "+441632960177", "+441632960124"
SOURCE = Path(__file__).parents[2] / "src" / "sealwire"
CHANNELS = sorted(
    {
        name
        for file in [*SOURCE.rglob("*.sql"), *SOURCE.rglob("*.py")]
        for name in re.findall(r"pg_notify\('(\w+)'", file.read_text())
    }
)


class Ear:
    """Hears every channel there is, on a thread of its own."""

    def __init__(self, house: ApiHouse) -> None:
        self.heard: list[tuple[str, str]] = []
        self._house, self._over, self._listens = house, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen()), daemon=True)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(dsn(self._house.settings, "sealwire_owner"))
        for channel in CHANNELS:
            await connection.add_listener(channel, lambda _c, _p, name, payload: self.heard.append((name, payload)))
        self._listens.set()
        while not self._over.is_set():
            await asyncio.sleep(0.1)
            await connection.execute("SELECT 1")
        await connection.close()

    @contextmanager
    def open(self) -> Iterator[Ear]:
        self._thread.start()
        assert self._listens.wait(10)
        try:
            yield self
        finally:
            self._over.set()
            self._thread.join(10)


@pytest.fixture(scope="module")
def traffic() -> Iterator[tuple[ApiHouse, Holdings, Ear]]:
    with open_whole_house(PORTS) as house:
        with Ear(house).open() as ear:
            held = furnish(house, PORTS, "Traffic", OWN)
        yield house, held, ear


@asynccontextmanager
async def numbers_planted(house: ApiHouse) -> AsyncIterator[None]:
    """A careless log line with everything in it."""
    careless = house.settings.logs_dir / "careless.log"
    careless.write_bytes(b"\n".join([CALLED.encode(), OPTED_OUT.encode(), *TEXTS, wav_file()]))
    yield
    careless.unlink()


TEXTS = [b"See you at nine.", b"Sealwire-Media-Name: welcome.wav"]


def patterns() -> list[Pattern]:
    found = number_patterns(E164(CALLED), subject="called") + number_patterns(E164(OPTED_OUT), subject="opted out")
    for text in TEXTS:
        raw = text.partition(b": ")[2] or text
        found += [Pattern(form, text.decode(), name) for form, name in _forms(raw)]
    samples = wav_file()[44:]
    return [*found, *(Pattern(samples[at : at + 64], "uploaded sound", "raw") for at in (400, 1200, 2000))]


def _forms(raw: bytes) -> list[tuple[bytes, str]]:
    return [(raw, "raw"), (raw.hex().encode(), "hex"), (raw.decode().encode("utf-16-le"), "UTF-16LE")]


async def searched(house: ApiHouse) -> SweepReport:
    report = await sweep(house.settings, patterns(), dsn=dsn(house.settings, "sealwire_owner"))
    assert report.is_valid, report.missed
    return report


async def test_no_file_of_the_installation_holds_what_was_said_written_or_called(
    traffic: tuple[ApiHouse, Holdings, Ear],
) -> None:
    house, held, _ = traffic
    assert set(held.ids) >= {"calls", "recordings", "messages", "media", "applications", "billing-records", "reports"}
    report = await searched(house)
    assert report.hits == 0, report.places[:10]
    async with numbers_planted(house):
        planted = await searched(house)
    assert {place.split(": ")[0] for place in planted.places} == {
        each.subject.split(": ")[0] for each in patterns()
    }  # fmt: skip


def test_what_processes_tell_one_another_by_notify_is_empty(traffic: tuple[ApiHouse, Holdings, Ear]) -> None:
    _, _, ear = traffic
    assert {name for name, _ in ear.heard} >= {"sealwire_message", "sealwire_webhooks", "sealwire_erasure"}
    assert {payload for _, payload in ear.heard} == {""}


def test_objects_are_named_by_chance_and_files_by_their_part(traffic: tuple[ApiHouse, Holdings, Ear]) -> None:
    house, _, _ = traffic
    objects = [file.relative_to(house.settings.objects_dir) for file in house.settings.objects_dir.rglob("*")]
    assert objects
    assert all(re.fullmatch(r"[0-9a-f]{32}(/[0-9a-f]{32}(#[0-9]+)?)?", str(name)) for name in objects)
    for folder in (house.settings.logs_dir, house.settings.temp_dir, house.settings.run_dir):
        assert not [name for name in folder.rglob("*") if re.search(r"[0-9]{7}", name.name)]


def test_a_number_is_in_no_column_of_the_database_but_that_of_the_accounts_own(
    traffic: tuple[ApiHouse, Holdings, Ear],
) -> None:
    """Every row of every table as text: the own number stands where it is configured."""
    house, _, _ = traffic
    found: dict[str, set[str]] = {}
    for table in house.cluster_rows(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    ):
        rows = house.cluster_rows(f"SELECT to_jsonb(t)::text AS row FROM {table['name']} t")
        for number in (CALLED, OPTED_OUT, OWN):
            if any(number[3:] in row["row"] for row in rows):
                found.setdefault(number, set()).add(table["name"])
    assert found == {OWN: {"governance.number"}}
