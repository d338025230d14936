"""kill -9 of the API in an upload and of the switchboard in a bridged call: nothing is lost, nothing half is kept."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import pytest

from sealwire.custody.forensics.patterns import Pattern, number_patterns
from sealwire.custody.forensics.sweep import sweep
from sealwire.custody.media import UPLOAD_LASTS_MAX, remove_left_over
from sealwire.ground.clock import SystemClock, TestClock
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import E164, ApplicationId, HangupCause, RecordId, ReturnCode
from tests.api_house import ApiHouse
from tests.holdings import CALLED, Holdings, Ports, furnish, open_whole_house, wav_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
PORTS = Ports(31010, 31110)
BRIDGED = "+441632960125"


@pytest.fixture(scope="module")
def held() -> Iterator[tuple[ApiHouse, Holdings]]:
    with open_whole_house(PORTS) as house:
        yield house, furnish(house, PORTS, "Killed", "+441632960178")


def until(holds: Callable[[], Any], *, seconds: float = 30) -> Any:
    ends_s = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < ends_s, "it did not come true in time"
        time.sleep(0.02)
    return found


def kill(house: ApiHouse, name: str) -> None:
    child = house.cloud.child(name)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: not child.is_running)


def objects_of(house: ApiHouse) -> set[str]:
    top = house.settings.objects_dir
    return {str(file.relative_to(top)) for file in top.rglob("*") if file.is_file()}


def swept(house: ApiHouse, patterns: list[Pattern]) -> list[str]:
    report = asyncio.run(sweep(house.settings, patterns, dsn=dsn(house.settings, "sealwire_owner")))
    assert report.is_valid, report.missed
    return report.places


class AtBegin:
    """Kills a process the moment a stream of sealed media is written down."""

    def __init__(self, house: ApiHouse, name: str) -> None:
        self._house, self._name, self.killed = house, name, threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()), daemon=True)
        self._thread.start()

    async def _watch(self) -> None:
        owner = await asyncpg.connect(dsn(self._house.settings, "sealwire_owner"))
        while not await owner.fetchval("SELECT EXISTS (SELECT FROM custody.media_begun WHERE category = 10)"):
            await asyncio.sleep(0.001)
        pid = self._house.cloud.child(self._name).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await owner.close()
        self.killed.set()


def test_an_api_killed_in_an_upload_leaves_no_file_no_record_and_no_plaintext(held: tuple[ApiHouse, Holdings]) -> None:
    house, holdings = held
    sound = wav_file(600.0)  # ten minutes: as long as sealing takes, it can be killed
    before, owner = objects_of(house), holdings.owner
    listed = house.ask("GET", "/v1/media", secret=owner).json["items"]
    at_begin = AtBegin(house, "api")
    headers = {"Content-Type": "audio/wav", "Sealwire-Media-Name": "half.wav"}
    with pytest.raises(OSError):  # noqa: PT011 - the connection breaks in one way or another
        raise OSError(house.ask("POST", "/v1/media", secret=owner, body=sound, headers=headers).status)
    assert at_begin.killed.wait(10)
    house.cloud.child("api").start()
    until(lambda: _answers(house))
    assert house.ask("GET", "/v1/media", secret=owner).json["items"] == listed
    samples = sound[44:]
    pieces = [samples[at : at + 64] for at in (4000, 40_000, 400_000, 4_000_000)]
    assert (
        swept(house, [Pattern(piece, "sound", "raw") for piece in pieces] + [Pattern(b"half.wav", "name", "raw")]) == []
    )
    assert remove_now(house, SystemClock()) == 0  # it might still be going on
    assert remove_now(house, TestClock(SystemClock().now() + UPLOAD_LASTS_MAX)) == 1
    assert objects_of(house) == before
    assert house.ask("POST", "/v1/media", secret=owner, body=wav_file(), headers=headers).status == 201


def _answers(house: ApiHouse) -> bool:
    try:
        return house.ask("GET", "/v1/health").status == 200
    except OSError:
        return False


def remove_now(house: ApiHouse, clock: Any) -> int:
    """What the worker does now and then, at this time."""

    async def remove() -> int:
        database = await Database.connect(dsn(house.settings, "sealwire_worker"), size_max=2)
        try:
            return await remove_left_over(database, Objects.open(house.settings.objects_dir), clock)
        finally:
            await database.close()

    return asyncio.run(remove())


def test_a_switchboard_killed_while_it_bridges_leaves_the_records_of_both_legs_and_no_audio(
    held: tuple[ApiHouse, Holdings],
) -> None:
    house, holdings = held
    owner, call = holdings.owner, holdings.ids["live-calls"]
    before = objects_of(house)
    action = {"action": {"action": "connect", "to": BRIDGED, "seconds": 60}}
    threading.Thread(target=_asked, args=(house, owner, call, action), daemon=True).start()

    def both_up() -> bool:
        channels = house.ask("GET", f"/v1/calls/{call}/status", secret=owner).json["channels"]
        return [channel["state"] for channel in channels] == ["up", "up"]

    until(both_up)
    time.sleep(6)  # one heartbeat, so that its length is known
    kill(house, "switchboard")
    house.cloud.child("switchboard").start()
    (run,) = until(lambda: [
        item for item in house.ask("GET", "/v1/applications", secret=owner).json["items"] if item["call_id"] == call
    ])  # fmt: skip
    assert (run["return_code"], run["extra_legs"]) == (ReturnCode.SERVICE_RESTARTED, 1)
    rows = house.cluster_rows("SELECT record_id, application_id, leg, hangup_cause FROM custody.call_record")
    legs = [row for row in rows if row["application_id"] and str(ApplicationId(row["application_id"])) == run["id"]]
    assert sorted(row["leg"] for row in legs) == [0, 1]
    assert {row["hangup_cause"] for row in legs} == {HangupCause.SERVICE_RESTARTED}
    numbers = set()
    for leg in legs:
        opened = house.ask(
            "GET",
            f"/v1/calls/{RecordId(leg['record_id'])}/content",
            secret=owner,
            headers={"Sealwire-Purpose": "quality-assurance"},
        )
        numbers.add(opened.json["content"]["callee"])
    assert numbers == {CALLED, BRIDGED}
    until(lambda: not house.cluster_rows("SELECT FROM custody.live_call"))
    assert house.cluster_rows("SELECT FROM custody.media_begun WHERE category = 2") == []
    assert objects_of(house) == before
    until(lambda: house.ask("GET", "/v1/live-calls", secret=owner).status == 200)  # it takes calls again
    assert house.ask("GET", "/v1/live-calls", secret=owner).json["items"] == []
    assert swept(house, number_patterns(E164(BRIDGED), subject="bridged")) == []


def _asked(house: ApiHouse, secret: str, call: str, action: Any) -> None:
    """Its answer comes when the bridge ends, so perhaps never."""
    try:
        house.ask("POST", f"/v1/calls/{call}/actions", secret=secret, body=action)
    except OSError:
        return


def test_what_a_killed_process_wrote_of_an_object_goes_with_its_name(tmp_path: Any) -> None:
    """The store writes under another name until the end; what is erased by name takes that along."""

    async def act() -> None:
        objects, name = Objects.open(tmp_path), "00" * 16 + "/" + "11" * 16
        writer = await objects.open_writer(name)
        await writer.write(b"x" * (11 << 20))
        left = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert [file.name for file in left] == ["11" * 16 + "#1"]
        assert not await objects.delete(name)
        assert not [file for file in tmp_path.rglob("*") if file.is_file()]
        await writer.abort()

    asyncio.run(act())
    assert dt.timedelta(minutes=1) < UPLOAD_LASTS_MAX
