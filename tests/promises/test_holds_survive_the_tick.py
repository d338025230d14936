"""Killed at any write of a tick that places, spares or releases: what is held opens, and what is not held does not.

A real keeper process dies at each point in turn, and the attacker of `test_forget_tick_crashes` tries the disk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sealwire.custody.keys.client import KeeperClient, KeeperUnavailable
from sealwire.custody.keys.paths import DayPath
from sealwire.custody.keys.tick import CRASH_POINTS
from sealwire.ground.wire import PeerLost
from tests.unit.keys.house import KeeperProcess, leaf_of, opened_by

from .test_forget_tick_crashes import ERASED, NEIGHBOUR, TODAY, House, mostly_slow

HELD, DAY = ERASED, DayPath(1, 0, TODAY)
Act = Callable[[KeeperClient], Awaitable[object]]


async def until_the_crash(house: House, point: str, act: Act) -> None:
    process = KeeperProcess(house.data, SEALWIRE_CRASH_AT=point)
    client = await process.client()
    with pytest.raises((PeerLost, KeeperUnavailable)):
        await act(client)
    assert await process.wait() == 137
    process.settings.keeper_socket.unlink()
    await client.close()


async def in_another(house: House, *acts: Act) -> list[bytes | None]:
    """Do this in a keeper that nobody kills; what then opens."""
    process = KeeperProcess(house.data)
    client = await process.client()
    for act in acts:
        await act(client)
    opened = await opened_by(client, house.account, house.items)
    await client.close()
    assert await process.stop() == 0
    return opened


def acts_of(house: House) -> tuple[Act, Act, Act]:
    leaf = leaf_of(house.items[0])
    return (
        lambda client: client.hold(house.account, hold="hld_1", leaves=[leaf], until=TODAY + 9),
        lambda client: client.erase(house.account, erasure="ers_1", leaves=[], days=[DAY]),
        lambda client: client.release(house.account, hold="hld_1"),
    )


@pytest.mark.parametrize("point", mostly_slow(CRASH_POINTS))
async def test_a_kill_while_it_is_placed_leaves_a_hold_that_holds_when_it_is_placed_again(
    tmp_path: Path, point: str
) -> None:
    house = await House.built(tmp_path)
    place, erase, _ = acts_of(house)
    await until_the_crash(house, point, place)
    assert await in_another(house) == [HELD, NEIGHBOUR]
    assert await in_another(house, place, erase) == [HELD, None]
    assert house.attacked() == [HELD, None]


@pytest.mark.parametrize("point", mostly_slow(CRASH_POINTS))
async def test_a_kill_while_its_day_is_destroyed_never_takes_what_is_held(tmp_path: Path, point: str) -> None:
    house = await House.built(tmp_path)
    place, erase, release = acts_of(house)
    assert await in_another(house, place) == [HELD, NEIGHBOUR]
    await until_the_crash(house, point, erase)
    assert house.attacked()[0] == HELD
    assert await in_another(house, erase) == [HELD, None]
    assert house.attacked() == [HELD, None]
    assert await in_another(house, release) == [None, None]
    assert house.attacked() == [None, None]


@pytest.mark.parametrize("point", mostly_slow(CRASH_POINTS))
async def test_a_kill_while_it_is_released_is_finished_when_it_is_released_again(tmp_path: Path, point: str) -> None:
    house = await House.built(tmp_path)
    place, erase, release = acts_of(house)
    assert await in_another(house, place, erase) == [HELD, None]
    await until_the_crash(house, point, release)
    assert await in_another(house, release) == [None, None]
    assert house.attacked() == [None, None]
