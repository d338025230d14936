"""What is right and what is not on this machine: each check is one sentence, and what to do about it."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import shutil
import stat
from collections.abc import Callable, Iterable

from sealwire.config import Settings
from sealwire.custody.backups.cycle import cycle
from sealwire.custody.backups.gate import pending
from sealwire.custody.backups.presence import outlived
from sealwire.custody.keys import effaceability
from sealwire.custody.keys.client import KeeperClient, KeeperStatus
from sealwire.custody.keys.holding.recoverable import recoverability
from sealwire.custody.retention.policy import policy_of
from sealwire.doors import doctor_settings
from sealwire.doors.findings import Finding, State, is_running
from sealwire.doors.platform import unsupported
from sealwire.doors.process import worker_socket
from sealwire.doors.readiness import api_ports, require_free, sip_ports
from sealwire.doors.supervisor import sip_is_open
from sealwire.errors import SealwireError
from sealwire.ground.clock import SystemClock
from sealwire.ground.datafolder import require_possible
from sealwire.ground.postgres.binaries import BinariesMissing, binaries
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.ground.process import port_answers, socket_answers
from sealwire.ground.service_user import require_reach, service_user

FREE_BYTES_MIN = 1 << 30
FREE_BYTES_WANTED = 10 << 30
REMOVED_WITHIN = dt.timedelta(days=1)
MISSED_IS_TOLD_FOR = dt.timedelta(days=7)
_queries = load_queries(__package__, "doctor.sql")


def examine(settings: Settings) -> list[Finding]:
    """Run every check; a check that fails itself is a problem and hides no other."""
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings.append(check(settings))
        except (SealwireError, OSError) as error:
            findings.append(Finding(_title(check), State.PROBLEM, str(error)))
    return findings


def _title(check: Callable[[Settings], Finding]) -> str:
    words = check.__name__.split("_")
    return " ".join(word.upper() if word in {"api", "sip", "tls"} else word for word in words)


def worst(findings: Iterable[Finding]) -> State:
    """The state of the worst finding."""
    order = list(State)
    return max((finding.state for finding in findings), key=order.index, default=State.FINE)


def machine(_: Settings) -> Finding:
    """Whether Sealwire runs here at all."""
    reason = unsupported()
    if reason is not None:
        return Finding("machine", State.PROBLEM, reason, "Run it on another machine.")
    return Finding("machine", State.FINE, "Linux with glibc and CPython 3.11.")


def user(settings: Settings) -> Finding:
    """Who runs it, and as whom the database runs."""
    database_user = service_user(settings.postgres_dir)
    if os.getuid() == 0:
        return Finding(
            "user", State.WARNING,
            f"Everything but the database runs as root; the database runs as {database_user.name}.",
            "An ordinary user is enough: run bin/sealwire as one, unless a port below 1024 is needed.",
        )  # fmt: skip
    return Finding("user", State.FINE, f"Everything runs as {database_user.name}.")


def data_folder(settings: Settings) -> Finding:
    """Whether the data folder is ours, of a format we know, and can be reached by the database."""
    top, database_user = settings.data_dir, service_user(settings.postgres_dir)
    require_possible(top)
    require_reach(top.parent, database_user)
    if not (top / "FORMAT").exists():
        return Finding("data folder", State.FINE, f"{top} is new; the first start makes it.")
    text = (top / "FORMAT").read_text().strip()
    return Finding("data folder", State.FINE, f"{top} has format {text}.")


def secrets(settings: Settings) -> Finding:
    """Whether keys and passwords are closed to everybody else."""
    folders = [settings.secrets_dir, settings.keeper_dir, settings.evidence_dir]
    open_paths = [
        path
        for folder in folders
        for path in [folder, *folder.rglob("*")]
        if path.exists() and path.suffix != ".pem" and stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]
    if open_paths:
        return Finding(
            "secrets", State.PROBLEM, f"{open_paths[0]} is open to other users.",
            f"chmod -R go= {open_paths[0]}, then find out who changed it.",
        )  # fmt: skip
    return Finding("secrets", State.FINE, "Keys and passwords are closed to other users.")


def database_programs(settings: Settings) -> Finding:
    """Whether PostgreSQL's programs are installed."""
    try:
        found = binaries(settings.data_dir / "postgres-binaries", service_user(settings.postgres_dir), may_copy=False)
    except BinariesMissing as error:
        return Finding("database programs", State.PROBLEM, str(error))
    return Finding("database programs", State.FINE, f"PostgreSQL {found.version}.")


def free_disk(settings: Settings) -> Finding:
    """Whether there is room. A full disk stops keeping, never forgetting."""
    existing = next(folder for folder in [settings.data_dir, *settings.data_dir.parents] if folder.exists())
    free = shutil.disk_usage(existing).free
    sentence = f"{free / (1 << 30):.1f} GiB are free on the disk of {existing}."
    if free < FREE_BYTES_MIN:
        return Finding("free disk", State.PROBLEM, sentence, "Make room: calls cannot be recorded on a full disk.")
    if free < FREE_BYTES_WANTED:
        return Finding("free disk", State.WARNING, sentence, "An hour of recordings takes about 60 MB; plan for room.")
    return Finding("free disk", State.FINE, sentence)


def api_port(settings: Settings) -> Finding:
    """Whether the API's port is ours or free."""
    if is_running(settings) and port_answers(settings.api_listen):
        return Finding("API port", State.FINE, f"The API answers on {settings.api_listen}.")
    require_free(api_ports(settings))
    return Finding("API port", State.FINE, f"TCP {settings.api_listen} is free.")


def sip_port(settings: Settings) -> Finding:
    """Whether the SIP ports are ours or free."""
    if is_running(settings) and sip_is_open(settings):
        return Finding("SIP port", State.FINE, f"Calls are taken on {settings.sip_listen}.")
    require_free(sip_ports(settings))
    return Finding("SIP port", State.FINE, f"UDP and TCP {settings.sip_listen} are free.")


def forgetting(settings: Settings) -> Finding:
    """Whether 32 bytes can really be destroyed on this volume: what every erasure rests on."""
    folder = next(folder for folder in [settings.keeper_dir, *settings.keeper_dir.parents] if folder.exists())
    if not os.access(folder, os.W_OK):
        return Finding("forgetting", State.WARNING, f"{folder} may not be written, so forgetting was not tested.")
    found = effaceability.test_volume(folder)
    sentence = f"{found.effaceability_class[0].upper()}{found.effaceability_class[1:]}: {found.reason}."
    if found.effaceability_class == effaceability.UNVERIFIED:
        return Finding(
            "forgetting", State.WARNING, sentence,
            "Certificates say so too; a disk that is known to overwrite in place is better.",
        )  # fmt: skip
    return Finding("forgetting", State.FINE, sentence)


def holders(settings: Settings) -> Finding:
    """Whether the loss of this machine is the loss of everything, and whether an erasure waits for a holder."""
    found = recoverability(settings.keeper_dir)
    if found.holders == 1:
        return Finding(
            "key holders", State.WARNING,
            "Not disaster-recoverable: one keeper on one disk holds the keys, and backups are noise without them.",
            "Read docs/howto/what-if-i-lose-this-machine.md and decide whether that is acceptable.",
        )  # fmt: skip
    sentence = f"{found.sentence[0].upper()}{found.sentence[1:]}."
    status = asyncio.run(_keeper_status(settings)) if socket_answers(settings.keeper_socket) else None
    if status is not None and status.holders_away:
        here = status.holders - len(status.holders_away)
        return Finding(
            "key holders", State.WARNING,
            f"{sentence} {here} of {status.holders} answer; {status.erasures_pending} erasure(s) wait for"
            f" {status.holders_away[0]} and are not certified.",
            "Start that holder; it catches up by itself. If it is lost: bin/sealwire holder remove.",
        )  # fmt: skip
    if not found.is_recoverable:
        return Finding(
            "key holders", State.WARNING, sentence,
            "Join a holder on another disk or host: docs/howto/run-a-second-holder.md.",
        )  # fmt: skip
    return Finding("key holders", State.FINE, sentence)


def clock(settings: Settings) -> Finding:
    """Whether the keeper believes the clock: as long as it does not, no day, hold, grace or backup ends."""
    if not socket_answers(settings.keeper_socket):
        return Finding("clock", State.FINE, "The keeper compares it when it runs.")
    status = asyncio.run(_keeper_status(settings))
    if status.clock_trusted:
        return Finding("clock", State.FINE, "The keeper believes it.")
    return Finding(
        "clock", State.PROBLEM, "The keeper doubts it, so nothing expires, closes or ends until that is cleared.",
        f"{status.clock_reason[0].upper()}{status.clock_reason[1:]}.",
    )  # fmt: skip


async def _keeper_status(settings: Settings) -> KeeperStatus:
    client = KeeperClient(settings.keeper_socket)
    try:
        return await client.status()
    finally:
        await client.close()


def backups(settings: Settings) -> Finding:
    """Whether there are backups, how old they are, and whether they would survive this disk."""
    folder, now = settings.backups_dir, cycle(settings, clock=SystemClock())
    if pending(settings) is not None:
        return Finding(
            "backups", State.WARNING, "A backup was put back and is not reconciled; nothing is served before it is.",
            "Start the cloud: bin/sealwire up. When it refuses, its sentence says what is missing.",
        )  # fmt: skip
    if ended := outlived(folder, clock=SystemClock()):
        return Finding(
            "backups", State.WARNING, f"{ended[0]} is kept beyond its cycle, or does not say when that ends.",
            f"Start the cloud, which removes what has ended; if it stays, look into {settings.logs_dir}/worker.log.",
        )  # fmt: skip
    wanted = settings.backup_every_hours
    if wanted and now.age_s is not None and now.age_s > 2 * 3600 * wanted:
        return Finding(
            "backups", State.WARNING, f"{now.sentence} One is to be made every {wanted} hours.",
            f"Look into {settings.logs_dir}/worker.log, or make one: bin/sealwire backup make.",
        )  # fmt: skip
    is_elsewhere = bool(settings.backup_target) or folder.is_symlink()
    if not is_elsewhere and folder.resolve().is_relative_to(settings.data_dir.resolve()):
        return Finding(
            "backups", State.WARNING, f"Backups go to {folder}, inside the data folder: one lost disk loses both. "
            f"{now.sentence}",
            "Set backup_target to a folder of another machine or to s3://BUCKET/PREFIX; what leaves is sealed.",
        )  # fmt: skip
    return Finding("backups", State.FINE, f"Backups go to {settings.backup_target or folder.resolve()}. {now.sentence}")


def removal(settings: Settings) -> Finding:
    """Whether ciphertext that nobody can read any more is also removed within a day, as promised."""
    if not is_running(settings):
        return Finding("removal", State.FINE, "Nothing is removed while the cloud is not running.")
    overdue = asyncio.run(_removals_overdue(settings))
    if overdue:
        return Finding(
            "removal", State.WARNING,
            f"{overdue} erasure(s) are unreadable for more than a day and their ciphertext is not removed.",
            f"Look into {settings.logs_dir}/worker.log; a backup or a transaction that never ends holds removal up.",
        )  # fmt: skip
    return Finding("removal", State.FINE, "No ciphertext waits longer than a day for its removal.")


def retention(settings: Settings) -> Finding:
    """Whether what is due went in its night, and whether the policy of retention can be used."""
    policy_of(settings)
    if not is_running(settings):
        return Finding("retention", State.FINE, "Nothing expires while the cloud is not running.")
    accounts, days = asyncio.run(_nights_missed(settings))
    if days:
        return Finding(
            "retention", State.WARNING,
            f"{days} day(s) of {accounts} account(s) went later than they should have, in the last week.",
            "They are gone now, and each account's log says so (retention.missed). Find out why the cloud did not run, "
            f"or why its clock was not trusted: {settings.logs_dir}/worker.log.",
        )  # fmt: skip
    return Finding("retention", State.FINE, "No night was missed in the last week.")


async def _nights_missed(settings: Settings) -> tuple[int, int]:
    database = await Database.connect(dsn(settings, "sealwire_worker"), size_max=1)
    try:
        async with database.system() as connection:
            row = await connection.fetchrow(_queries.nights_missed, SystemClock().now() - MISSED_IS_TOLD_FOR)
            assert row is not None
            return row["accounts"], row["days"]
    finally:
        await database.close()


async def _removals_overdue(settings: Settings) -> int:
    database = await Database.connect(dsn(settings, "sealwire_worker"), size_max=1)
    try:
        async with database.system() as connection:
            before = SystemClock().now() - REMOVED_WITHIN
            return int(await connection.fetchval(_queries.removals_overdue, before))
    finally:
        await database.close()


def running(settings: Settings) -> Finding:
    """Which processes answer now."""
    sockets = {
        "keeper": settings.keeper_socket,
        "sequencer": settings.sequencer_socket,
        "worker": worker_socket(settings),
    }
    answering = [name for name, path in sockets.items() if socket_answers(path)]
    if not answering:
        return Finding("running", State.FINE, "The cloud is not running.")
    if silent := sorted(set(sockets) - set(answering)):
        return Finding(
            "running", State.PROBLEM, f"The {silent[0]} does not answer although the {answering[0]} does.",
            f"Look into {settings.logs_dir}/{silent[0]}.log and start again.",
        )  # fmt: skip
    return Finding("running", State.FINE, "The cloud is running.")


CHECKS: tuple[Callable[[Settings], Finding], ...] = (
    machine, user, data_folder, secrets, database_programs, free_disk, api_port, sip_port, running, forgetting,
    clock, holders, backups, removal, retention, *doctor_settings.CHECKS,
)  # fmt: skip
