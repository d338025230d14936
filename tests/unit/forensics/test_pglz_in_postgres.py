"""PostgreSQL compresses what is long; the scan finds a number in there all the same."""

from __future__ import annotations

import random

from tests.conftest import ModuleDatabase, OpenDatabase

from sealwire.custody.forensics.matcher import Matcher
from sealwire.custody.forensics.patterns import number_patterns
from sealwire.custody.forensics.scan import scan_folder
from sealwire.vocabulary import E164

INLINE, TOASTED = E164("+441632960171"), E164("+441632960172")


async def test_a_number_in_a_compressed_value_is_found(module_database: ModuleDatabase, database: OpenDatabase) -> None:
    owner = await database("sealwire_owner")
    noise = random.Random(1).randbytes(700).hex()
    async with owner.pool.acquire() as connection:
        await connection.execute("CREATE TABLE public.notes (note text)")
        for number, text in ((INLINE, "when;who\n" * 400), (TOASTED, ("when;who\n" * 9 + noise[:400]) * 8 + noise)):
            await connection.execute("INSERT INTO public.notes VALUES ($1)", f"{text[:600]} {number} {text[600:]}")
        await connection.execute("CHECKPOINT")
    scanned = scan_folder(
        Matcher(number_patterns(INLINE, subject="inline") + number_patterns(TOASTED, subject="toasted")),
        module_database.cluster.settings.postgres_dir / "base",
    )
    found = {hit.pattern.subject: hit.inside for hit in scanned.hits}
    assert found["inline"] == ("pglz",)
    assert "toasted" in found
