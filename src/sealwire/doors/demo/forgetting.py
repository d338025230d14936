"""Steps 9 to 11 of the demo: the sweep, the erasure, and the attacks on what was erased."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import wave
from dataclasses import dataclass
from pathlib import Path

from sealwire.custody.backups.drill import DrillReport, drill_records
from sealwire.custody.backups.opening import DrillOpener
from sealwire.custody.backups.refusals import BackupDamaged
from sealwire.custody.backups.sealing import backup_key
from sealwire.custody.backups.take import take
from sealwire.custody.backups.unpack import opened_into, verify_chain
from sealwire.custody.forensics.attacker import AttackReport, Possessions, attack
from sealwire.custody.forensics.patterns import audio_patterns, number_patterns
from sealwire.custody.forensics.sweep import sweep
from sealwire.custody.lifecycle import keeper_client
from sealwire.doors.demo.building import PAGES_CALLER, REMINDED, WRITTEN_TO
from sealwire.doors.demo.client import DemoFailed
from sealwire.doors.demo.round import CALLED, CALLERS, Played
from sealwire.doors.demo.show import Round, Step
from sealwire.doors.demo.stage import Stage
from sealwire.doors.supervisor import Cloud
from sealwire.evidence.client import SequencerClient
from sealwire.ground.clock import SystemClock
from sealwire.vocabulary import E164, AccountId, RecordId

EPOCH_SLOTS = "epoch.slots"
CANDIDATES_MAX = 40_000


@dataclass(frozen=True, slots=True)
class Loot:
    """What the attacker carried away before the erasure. The backup is opened: they have its identity too."""

    backup: Path
    old_vault: Path
    root_key: bytes
    whole_machine: Path


@dataclass(frozen=True, slots=True)
class Targets:
    """The records of the call that is erased, and of the one that is kept as the control."""

    account: AccountId
    erased: list[RecordId]
    kept: list[RecordId]

    @property
    def all(self) -> list[tuple[AccountId, RecordId]]:
        return [(self.account, record) for record in self.erased + self.kept]


def targets_of(played: Played) -> Targets:
    """Call 1 will be erased with its recording; call 2 stays."""
    pairs = zip(played.calls, played.recordings, strict=True)
    erased, kept = ([RecordId.parse(call["id"]), RecordId.parse(sound["id"])] for call, sound in pairs)
    return Targets(AccountId.parse(played.account), erased, kept)


async def sweep_everything(demo: Round, cloud: Cloud, played: Played) -> None:
    """Step 9: no file of the cloud holds the number or the voice."""
    with demo.step(9, "Are anybody's numbers or voices in any file?") as step:
        people = (*CALLERS, PAGES_CALLER, REMINDED, WRITTEN_TO)
        patterns = [pattern for person in people for pattern in number_patterns(E164(person), subject="number")]
        for speech in played.speeches:
            with wave.open(str(speech), "rb") as file:
                patterns += audio_patterns(file.readframes(file.getnframes()), subject="voice")
        report = await sweep(cloud.settings, patterns, dsn=cloud.cluster.dsn())
        report.require_valid()
        step.say(
            f"{report.bytes / 1e6:.0f} MB in {len(report.stores)} stores searched for {len(patterns)} patterns "
            f"in {report.seconds:.1f} s (database, write-ahead log, objects, logs, temp, keeper, evidence, …)"
        )
        tone = "bad" if report.hits else "good"
        step.figure(
            "sweep_hits", report.hits, f"{report.hits} hits of five people's numbers and the callers' voices", tone=tone
        )
        step.figure(
            "control_hits",
            report.control_hits,
            f"{report.control_hits} hits of a control that was planted in every store, so the search works",
        )
        step.say(f"(the number that the account rents, {CALLED}, is plain on purpose: it routes calls)", tone="quiet")
        for place in report.places[:5]:
            step.say(place, tone="bad")


async def back_up_and_erase(demo: Round, stage: Stage, played: Played) -> tuple[Loot, str]:
    """Step 10: a backup, what an attacker copies, then the erasure; the API answers 410."""
    with demo.step(10, "A backup; an attacker's copies; then call 1 is erased") as step:
        loot = await _plunder(step, stage)
        call = played.calls[0]
        asked = await played.api.post("/v1/erasures", {"call": call["call_id"], "ground": "subject-request"})
        erasure = asked["id"]
        done = await played.api.until(
            f"/v1/erasures/{erasure}", lambda answer: answer["levels"]["unreadable"]["reached"], seconds=30
        )
        seconds = _seconds_between(done["requested_at"], done["levels"]["unreadable"]["at"])
        step.figure("e1_seconds", round(seconds, 3), f"unreadable {seconds * 1000:.0f} ms after the request")
        response = await played.api.raw(f"/v1/calls/{call['id']}/content")
        if response.status_code != 410:
            raise DemoFailed(f"the erased call answers {response.status_code} instead of 410")
        step.figure("erased_status", 410, f"the API answers 410 Gone and names the certificate: {done['certificate']}")
        await played.api.until(
            f"/v1/erasures/{erasure}", lambda answer: answer["levels"]["removed"]["reached"], seconds=30
        )
        step.say(
            f"ciphertext removed and stores compacted; gone from backups by {done['levels']['gone_from_backups']['by']}"
        )
        certificate = await played.api.bytes(f"/v1/certificates/{erasure}")
        (stage.output / "erasure.tlog-proof").write_bytes(certificate)
        step.say(f"certificate: {stage.output / 'erasure.tlog-proof'}", tone="good")
    return loot, erasure


async def attack_everything(demo: Round, stage: Stage, loot: Loot, targets: Targets) -> None:
    """Step 11: every copy there is, and every secret there is, against the erased call."""
    with demo.step(11, "Attacks: can anyone bring call 1 back?") as step:
        now = stage.settings.data_dir
        step.say("backup + root key + the vault as it was before + everything that exists now:")
        old = await _attack(stage, loot, targets, [loot.old_vault, now])
        _tell(step, "old_vault_readable", "old_vault_kept_readable", old, targets)
        step.say("the backup restored into a second instance, with the keeper of today:")
        await _drill(step, stage, loot, targets)
        step.say("the honest limit — a copy of the whole machine from before, epoch slot included:")
        snapshot = await _attack(stage, loot, targets, [loot.whole_machine])
        readable = any(snapshot.of(record).readable for record in targets.erased)
        step.figure("full_snapshot_readable", readable)
        if readable:
            step.say("it does open the erased call. Whoever copied the machine, keys and all, before the erasure")
            step.say("keeps what they copied: no erasure reaches a copy that holds its own keys. Only an epoch key")
            step.say("that lives off the machine would: docs/howto/hold-a-share-yourself.md, what-we-cannot-prove.md")
        else:
            step.say("it does not open, which this demo did not expect: the attack tool may be broken", tone="bad")


async def _plunder(step: Step, stage: Stage) -> Loot:
    settings = stage.settings
    keeper = keeper_client(settings)
    status = await keeper.status()
    await keeper.close()
    backup = await take(
        settings, keeper_epoch=status.epoch, effaceability_class=status.effaceability_class, clock=SystemClock()
    )
    await asyncio.to_thread(verify_chain, str(backup.folder), settings, backup_key(settings))
    step.figure("backup_bytes", backup.manifest.total_bytes)
    step.say(
        f"backup of {backup.manifest.total_bytes / 1e6:.0f} MB in {backup.seconds:.1f} s, sealed, verified; "
        "its manifest says: not disaster-recoverable (one key holder)",
        tone="good",
    )
    await _refuse_truncated(step, stage, backup.folder)
    old_vault = stage.attacker / "vault-before"
    shutil.copytree(settings.keeper_dir, old_vault, ignore=shutil.ignore_patterns(EPOCH_SLOTS, "*.lock"))
    whole_machine = stage.attacker / "whole-machine-before"
    shutil.copytree(settings.keeper_dir, whole_machine / "keeper")
    shutil.copytree(settings.evidence_dir, whole_machine / "evidence")
    opened = await asyncio.to_thread(opened_into, stage.attacker / "backup-opened", backup.manifest, settings)
    step.say("for the attacker: the backup and its identity, the root key, the vault, and a copy of the whole machine")
    return Loot(opened, old_vault, (settings.keeper_dir / "root.key").read_bytes(), whole_machine)


async def _refuse_truncated(step: Step, stage: Stage, folder: Path) -> None:
    broken = stage.attacker / "truncated" / folder.name
    shutil.copytree(folder, broken)
    largest = max((file for file in broken.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    with largest.open("r+b") as file:
        file.truncate(largest.stat().st_size // 2)
    try:
        await asyncio.to_thread(verify_chain, str(broken), stage.settings, backup_key(stage.settings))
    except BackupDamaged:
        step.figure("truncated_backup_refused", True, "a truncated copy of it is refused")
    else:
        step.figure("truncated_backup_refused", False, "a truncated copy of it was NOT refused", tone="bad")
    finally:
        shutil.rmtree(broken.parent)


async def _attack(stage: Stage, loot: Loot, targets: Targets, holdings: list[Path]) -> AttackReport:
    possessions = Possessions(root_keys=[loot.root_key], backups=[loot.backup], holdings=holdings)
    return await attack(possessions, targets.all, stage.settings, windows_max=CANDIDATES_MAX)


def _tell(step: Step, erased_name: str, kept_name: str, report: AttackReport | DrillReport, targets: Targets) -> None:
    erased = any(report.of(record).readable or report.of(record).media_readable for record in targets.erased)
    kept = all(report.of(record).readable for record in targets.kept)
    step.figure(
        erased_name, erased, "the erased call opens" if erased else "the erased call stays closed",
        tone="bad" if erased else "good",
    )  # fmt: skip
    step.figure(
        kept_name, kept, "the control call opens: the attack tool works" if kept else "the control call does not open",
        tone="good" if kept else "bad",
    )  # fmt: skip


async def _drill(step: Step, stage: Stage, loot: Loot, targets: Targets) -> None:
    keeper, sequencer = keeper_client(stage.settings), SequencerClient(stage.settings.sequencer_socket)
    try:
        opener = DrillOpener(keeper=keeper, sequencer=sequencer, clock=SystemClock())
        report = await drill_records(loot.backup, targets.all, stage.settings, opener=opener)
    finally:
        await keeper.close()
        await sequencer.close()
    _tell(step, "restored_erased_readable", "restored_kept_readable", report, targets)


def _seconds_between(first: str, second: str) -> float:
    return (dt.datetime.fromisoformat(second) - dt.datetime.fromisoformat(first)).total_seconds()
