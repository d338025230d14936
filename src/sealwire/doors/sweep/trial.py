"""Every mutant on trial: kept, erased with one step switched off, and looked for. With none switched off: silence."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field

from sealwire.custody.categories import BY_NAME
from sealwire.custody.erasure import find
from sealwire.custody.forensics.patterns import Pattern
from sealwire.doors.demo.show import Round, Step
from sealwire.doors.sweep import looking
from sealwire.doors.sweep.house import House, Subject
from sealwire.doors.sweep.mutants import ATTACKED, KEEPERS, ON_S3, STORES, SWEPT, CertifiesUndone, Mutant
from sealwire.ground.objects.s3 import S3Objects

HONEST_KEEPER = Mutant("honest-keeper", "a keeper in which nothing is switched off", "call-record", fault="nothing",
                       to="unreadable")  # fmt: skip
HONEST = Mutant("honest", "an erasure in which nothing is switched off", "message-record")


@dataclass
class Trials:
    """Who was caught, and by what."""

    caught: dict[str, str] = field(default_factory=dict)
    escaped: list[str] = field(default_factory=list)
    false_alarms: list[str] = field(default_factory=list)

    def note(self, mutant: Mutant, evidence: str | None, step: Step) -> None:
        """One verdict; for the honest ones, being caught is the failure."""
        if mutant in (HONEST, HONEST_KEEPER):
            if evidence:
                self.false_alarms.append(mutant.name)
            step.say(f"{mutant.name}: {evidence or 'nothing found'}", tone="bad" if evidence else "good")
        elif evidence:
            self.caught[mutant.name] = evidence
            step.say(f"{mutant.name}: {mutant.what}: caught, {evidence}", tone="good")
        else:
            self.escaped.append(mutant.name)
            step.say(f"{mutant.name}: {mutant.what}: NOT caught", tone="bad")


async def try_mutants(told: Round, house: House, *, on_s3: bool) -> None:
    """Step (7)."""
    trials = Trials()
    with told.step(6, "Each step is switched off, one at a time; each must be caught") as step:
        for mutant in (HONEST_KEEPER, *KEEPERS):
            trials.note(mutant, await _bad_keeper(house, mutant), step)
        await house.bring_keeper_back()
        for mutant in ATTACKED:
            trials.note(mutant, await _attacked(house, mutant), step)
        await _swept(house, (HONEST, *SWEPT), trials, step)
        if on_s3:
            await _swept(house, ON_S3, trials, step)
        tried = len(KEEPERS) + len(ATTACKED) + len(SWEPT) + len(ON_S3) * on_s3
        step.figure("mutants", tried)
        step.figure("mutants_caught", len(trials.caught), f"{len(trials.caught)} of {tried} mutants caught")
        step.figure("escaped", ", ".join(trials.escaped))
        step.figure("false_alarms", len(trials.false_alarms), f"{len(trials.false_alarms)} false alarms")


async def _bad_keeper(house: House, mutant: Mutant) -> str | None:
    """Its records are leased from it, erased by it, and attacked with what it left."""
    assert mutant.fault is not None
    async with house.with_keeper(mutant.fault) as log:
        subject = await house.keep(mutant.name, BY_NAME[mutant.category])
        vault = house.copy_keeper(f"vault-{mutant.name}", with_epoch=False)
        tree = looking.snapshot_tree(house, f"snapshot-{mutant.name}")
        await house.erase([subject], to="unreadable")
        await house.let_sealer_rest()
        evidence = None
        if await looking.opens(house, subject, [vault, house.settings.keeper_dir, log.parent]):
            evidence = "the attacker reads the record"
        else:
            evidence = await _still_held(house, looking.patterns_of_keys(tree, [subject]))
    log.unlink(missing_ok=True)
    (house.settings.keeper_dir / "epoch.before").unlink(missing_ok=True)
    return evidence


async def _still_held(house: House, keys: list[Pattern]) -> str | None:
    """A key of the record, or of the block it was leased with, in the process that sealed it."""
    leased = [pattern for pattern in keys if "at depth 28" not in pattern.encoding]
    for scan in await looking.look_in_memory(house, leased, only="sweep.sealer"):
        held = [pattern for pattern, _ in scan.hits if pattern.subject != looking.MEMORY_CONTROL]
        if held:
            return f"{held[0].encoding} is in the memory of the process that sealed it"
    return None


async def _attacked(house: House, mutant: Mutant) -> str | None:
    subject = await house.keep(mutant.name, BY_NAME[mutant.category])
    vault = house.copy_keeper(f"vault-{mutant.name}", with_epoch=False)
    if mutant.careless is not None:
        await mutant.careless(house, subject)
    eraser = mutant.eraser
    if eraser is CertifiesUndone:
        eraser = type("Certifies", (CertifiesUndone,), {"receipts": await _receipts(house)})
    erasures = await house.erase([subject], to=mutant.to, eraser=eraser)
    if not all([await looking.certificate_holds(house, each) for each in erasures]):
        return "its certificate shows a receipt of another erasure"
    taken = list(house.copies.glob("*/keeper"))
    if await looking.opens(house, subject, [*taken, vault, house.settings.keeper_dir]):
        return "the attacker reads the record"
    return None


async def _receipts(house: House) -> list[dict[str, object]]:
    """Receipts of an erasure that was done."""
    subject = await house.keep("somebody", BY_NAME["message-record"])
    (erasure,) = await house.erase([subject], to="unreadable")
    async with house.custody.database.account(house.account) as connection:
        return (await find(connection, house.account, erasure)).receipts


async def _swept(house: House, mutants: tuple[Mutant, ...], trials: Trials, step: Step) -> None:
    """All of these in their order, then one search for all of them."""
    for taken in house.copies.glob("backup-with-keeper*"):
        shutil.rmtree(taken)
    patterns: list[Pattern] = []
    for mutant in mutants:
        patterns += await _erase_badly(house, mutant)
    await house.flush()
    found = await looking.look(house, patterns)
    for mutant in mutants:
        places = found.about(mutant.name)
        where = places[0].removeprefix(f"{mutant.name}: ").replace(str(house.top), "") if places else None
        trials.note(mutant, where and f"{len(places)} places: {where}", step)


async def _erase_badly(house: House, mutant: Mutant) -> list[Pattern]:
    subject: Subject = await house.keep(mutant.name, BY_NAME[mutant.category])
    await house.flush()
    patterns = house.patterns([subject]) + await house.tokens(subject)
    snapshot = f"snapshot-{mutant.name}"
    patterns += looking.patterns_of_keys(looking.snapshot_tree(house, snapshot), [subject])
    if mutant.to == "removed":  # until then its ciphertext may lie where it lay
        patterns += await house.ciphertext(subject)
    if mutant.careless is not None:
        await mutant.careless(house, subject)
    objects = None
    if mutant.name in STORES:
        assert isinstance(house.custody.objects, S3Objects)
        objects = STORES[mutant.name](house.custody.objects.bucket)
    await house.erase([subject], to=mutant.to, eraser=mutant.eraser, objects=objects)
    return patterns
