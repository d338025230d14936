"""Tables and statements derived from the declarations: nothing about a category is typed a second time.

This is the one module that composes SQL. All that goes into it are names and types from the declarations in
the code, never a value from outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from string import Template

from sealwire.custody.categories import CATALOGUE, Category
from sealwire.custody.categories.codec import sql_type
from sealwire.custody.closure.rules import refused_states

_TABLE = Template("""
CREATE TABLE IF NOT EXISTS custody.$table (
    account_id uuid NOT NULL,
    record_id uuid NOT NULL,
    retention_class smallint NOT NULL,
    day integer NOT NULL,
    slot integer NOT NULL,
    kept_at timestamptz NOT NULL,
    sealed bytea NOT NULL,
    commitment bytea NOT NULL,$media_columns$plain_columns
    PRIMARY KEY (account_id, record_id)
);
$added_columns
ALTER TABLE custody.$table DROP COLUMN IF EXISTS due_day;
CREATE INDEX IF NOT EXISTS ${table}_by_clock ON custody.$table (account_id, $clock DESC, record_id DESC);
CREATE UNIQUE INDEX IF NOT EXISTS ${table}_slot_is_used_once ON custody.$table (account_id, retention_class, day, slot);
$call_index
ALTER TABLE custody.$table ENABLE ROW LEVEL SECURITY;
ALTER TABLE custody.$table FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_account ON custody.$table;
CREATE POLICY own_account ON custody.$table
    USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid);
GRANT SELECT, INSERT$let_go$reseal_grant ON custody.$table TO sealwire_service;
GRANT SELECT, INSERT, DELETE, MAINTAIN$detach_grant ON custody.$table TO sealwire_worker;
""")

# Row, tokens and outbox leaf in one statement, so in one transaction and one round trip. The shared lock makes an
# erasure that hides a day or a call wait for keeps under way, and keeps after it see what it hid.
_KEEP = Template("""
DROP FUNCTION IF EXISTS custody.keep_$table;
CREATE FUNCTION custody.keep_$table(
    p_account uuid, p_record uuid, p_class smallint, p_day integer, p_slot integer,
    p_kept_at timestamptz, p_sealed bytea, p_commitment bytea, p_tokens bytea[]$parameters
) RETURNS text LANGUAGE plpgsql SET plan_cache_mode = auto AS $$$$
DECLARE
    v_days integer;
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    IF NOT EXISTS (SELECT FROM governance.agreement WHERE account_id = p_account AND ended_at IS NULL) THEN
        RETURN 'no-agreement';
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(p_account::text, 7));$closing
    IF EXISTS (SELECT FROM custody.gone WHERE account_id = p_account AND record_id = p_record)
       OR EXISTS (SELECT FROM custody.gone_day WHERE account_id = p_account AND category = $code
                  AND retention_class = p_class AND day = p_day)$call_gone$message_gone THEN
        RETURN 'erased';
    END IF;
    SELECT days INTO v_days FROM custody.retention_period
    WHERE account_id = p_account AND category = $code AND retention_class = p_class;
    IF v_days IS NULL THEN  -- the first record of an account that was made without saying: as the declaration says
        v_days := $days_default;
        INSERT INTO custody.retention_period (account_id, category, retention_class, days, told_days)
        VALUES (p_account, $code, p_class, v_days, v_days) ON CONFLICT DO NOTHING;
    ELSIF v_days = 0 THEN
        RETURN 'never 0';
    END IF;
    INSERT INTO custody.$table
        (account_id, record_id, retention_class, day, slot, kept_at, sealed, commitment$names)
    VALUES (p_account, p_record, p_class, p_day, p_slot, p_kept_at, p_sealed, p_commitment$values)
    ON CONFLICT (account_id, record_id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN 'kept-before';
    END IF;
    INSERT INTO custody.blind_index (account_id, record_id, day, category, retention_class, bucket, token)
    SELECT p_account, p_record, p_day, $code, p_class, custody.index_bucket(p_account, p_day), token
    FROM unnest(p_tokens) AS token ON CONFLICT DO NOTHING;
    INSERT INTO evidence.kept_outbox (account_id, record_id, category, commitment)
    VALUES (p_account, p_record, $code, p_commitment);$media_done
    RETURN 'kept ' || v_days;
END $$$$;
REVOKE ALL ON FUNCTION custody.keep_$table FROM PUBLIC;
GRANT EXECUTE ON FUNCTION custody.keep_$table TO sealwire_service;
""")

_REFUSED_WHEN = {
    (): "",
    ("closed",): """
    IF EXISTS (SELECT FROM governance.account WHERE account_id = p_account
               AND (closed_at IS NOT NULL OR closes_at <= p_kept_at)) THEN
        RETURN 'closing';
    END IF;""",
    ("closing", "closed"): """
    IF EXISTS (SELECT FROM governance.account WHERE account_id = p_account AND closing_at IS NOT NULL) THEN
        RETURN 'closing';
    END IF;""",
}
# What a call leaves comes within a month of it, so the tombstones of older days need not be looked into.
_GONE_WITH_ITS_DAY = """
       OR EXISTS (SELECT FROM custody.gone_of_day d WHERE d.account_id = p_account
                  AND d.chunk = custody.chunk_of(%s) AND d.day BETWEEN p_day - 31 AND p_day + 1
                  AND d.category IN ($whole) AND %s = ANY(d.records))"""
_CALL_GONE = Template(
    """
       OR EXISTS (SELECT FROM custody.gone WHERE account_id = p_account AND call_id = p_call_id
                  AND category IN ($whole))"""  # a recording may go while its call is up
    + _GONE_WITH_ITS_DAY.replace("%s", "p_call_id")
)
_MESSAGE_GONE = Template(
    """
       OR EXISTS (SELECT FROM custody.gone WHERE account_id = p_account AND record_id = p_message_id)"""
    + _GONE_WITH_ITS_DAY.replace("%s", "p_message_id")
)
_SEALED_UNLESS_DETACHED = """CASE WHEN EXISTS (SELECT FROM custody.detached x
    WHERE x.account_id = r.account_id AND x.record_id = r.record_id) THEN ''::bytea ELSE r.sealed END AS sealed"""
_MEDIA_DONE = """
    DELETE FROM custody.media_begun WHERE account_id = p_account AND record_id = p_record;"""

_HELD_RECORD = """EXISTS (SELECT FROM custody.held h
    WHERE h.account_id = r.account_id AND h.record_id = r.record_id$also)"""
_HELD_DAY = """EXISTS (SELECT FROM custody.held h WHERE h.account_id = r.account_id AND h.record_id IS NULL
    AND h.category = $code AND h.retention_class = r.retention_class AND h.day = r.day$also)"""
_HELD = Template(f"({_HELD_RECORD} OR {_HELD_DAY})")
"""By itself or with its whole day. A record of a day that is gone lives on while it is held by itself."""

_DAY_GONE = Template("""EXISTS (SELECT FROM custody.gone_day d WHERE d.account_id = r.account_id AND d.category = $code
                  AND d.retention_class = r.retention_class AND d.day = r.day)""")
_ALIVE = Template(f"""NOT EXISTS (SELECT FROM custody.gone g
                  WHERE g.account_id = r.account_id AND g.record_id = r.record_id)
  AND (NOT $day_gone OR {Template(_HELD_RECORD).substitute(also="")})""")

_DUE = Template("""(r.day + coalesce((SELECT p.days FROM custody.retention_period p WHERE p.account_id = r.account_id
  AND p.category = $code AND p.retention_class = r.retention_class), $days_default))""")
"""The last day on which a record is kept. It stands in no row, so a changed period counts for what is kept already."""

# One look into the index for each day that is due, however many records lie on it.
_DUE_DAY = Template("""(SELECT min(r.day) FROM custody.$table r WHERE r.account_id = $$1
        AND r.retention_class = p.retention_class AND r.day < $$2 - p.days$after)""")

WHOLE_CALLS = [category.code for category in CATALOGUE if category.is_whole_call]
"""The categories with whose record a call is gone, so that no other record of it is kept."""
WHOLE_MESSAGES = [category.code for category in CATALOGUE if category.identified_by == "message_id"]

_STATEMENTS = {
    "keep": Template("SELECT custody.keep_$table($placeholders)"),
    "page": Template("""SELECT $columns FROM custody.$table r
WHERE r.account_id = $$1 AND ($$2::timestamptz IS NULL OR (r.$clock, r.record_id) < ($$2, $$3)) AND $alive
ORDER BY r.$clock DESC, r.record_id DESC LIMIT $$4"""),
    "by_ids": Template("""SELECT $columns FROM custody.$table r
WHERE r.account_id = $$1 AND r.record_id = ANY($$2) AND $alive"""),
    "by_call": Template("""SELECT $columns FROM custody.$table r
WHERE r.account_id = $$1 AND $call = $$2 AND $alive"""),
    "after": Template("""SELECT $columns FROM custody.$table r
WHERE r.account_id = $$1 AND r.record_id > $$2 AND $alive ORDER BY r.record_id LIMIT $$3"""),
    "by_calls": Template("""SELECT record_id, retention_class, day, slot, commitment, $call AS call_id
FROM custody.$table WHERE account_id = $$1 AND $call = ANY($$2)"""),
    "call_hidden_by_day": Template("""SELECT d.erasure_id FROM custody.$table r JOIN custody.gone_day d
  ON d.account_id = r.account_id AND d.category = $code AND d.retention_class = r.retention_class AND d.day = r.day
WHERE r.account_id = $$1 AND $call = $$2 LIMIT 1"""),
    "hidden_by_day": Template("""SELECT d.erasure_id FROM custody.$table r JOIN custody.gone_day d
  ON d.account_id = r.account_id AND d.category = $code AND d.retention_class = r.retention_class AND d.day = r.day
WHERE r.account_id = $$1 AND r.record_id = ANY($$2) LIMIT 1"""),
    "by_ids_any": Template("""SELECT record_id$object FROM custody.$table
WHERE account_id = $$1 AND record_id = ANY($$2)"""),
    "objects": Template("SELECT record_id$object FROM custody.$table"),
    "everything": Template("""SELECT r.account_id, $columns, $alive AS is_alive FROM custody.$table r
ORDER BY r.account_id, r.record_id"""),
    "by_slots": Template("""SELECT r.record_id, r.retention_class, r.day, r.slot, r.commitment, $call AS call_id$object
FROM custody.$table r JOIN unnest($$2::smallint[], $$3::integer[], $$4::integer[]) AS w (retention_class, day, slot)
  USING (retention_class, day, slot) WHERE r.account_id = $$1"""),
    "linked": Template("""SELECT record_id, retention_class, day, slot, commitment FROM custody.$table r
WHERE r.account_id = $$1 AND ($call = ANY($$2::uuid[]) OR $message = ANY($$3::uuid[]) OR r.record_id = ANY($$4::uuid[]))
  AND NOT EXISTS (SELECT FROM custody.detached x WHERE x.account_id = r.account_id AND x.record_id = r.record_id)
  AND $alive"""),
    "extracts": Template("""SELECT record_id, retention_class, day, slot, commitment, $call AS call_id
FROM custody.$table r WHERE r.account_id = $$1 AND $is_extract AND $alive"""),
    "first_due": Template("""SELECT min($due) FROM custody.$table r
WHERE r.account_id = $$1 AND r.$clock >= $$2 AND r.$clock < $$3 AND $alive"""),
    "count": Template("""SELECT count(*) FROM custody.$table r
WHERE r.account_id = $$1 AND r.$clock >= $$2 AND r.$clock < $$3 AND $alive"""),
    "empty": Template("UPDATE custody.$table SET sealed = '' WHERE account_id = $$1 AND record_id = ANY($$2)"),
    "remove": Template("DELETE FROM custody.$table WHERE account_id = $$1 AND record_id = ANY($$2)"),
    "let_go": Template("""WITH rows AS (
    DELETE FROM custody.$table WHERE account_id = $$1 AND record_id = ANY($$2)
    RETURNING record_id, retention_class, day, slot, commitment, $call AS call_id
) INSERT INTO custody.passed
    (account_id, record_id, category, retention_class, day, slot, commitment, call_id)
SELECT $$1, record_id, $code, retention_class, day, slot, commitment, call_id FROM rows RETURNING day"""),
    "places": Template("""SELECT record_id, slot, commitment FROM custody.$table
WHERE account_id = $$1 AND record_id = ANY($$2)"""),
    "reseal": Template("""UPDATE custody.$table r SET slot = n.new_slot, sealed = n.sealed, commitment = n.commitment
FROM unnest($$2::uuid[], $$3::integer[], $$4::integer[], $$5::bytea[], $$6::bytea[])
     AS n (record_id, slot, new_slot, sealed, commitment)
WHERE r.account_id = $$1 AND r.record_id = n.record_id AND r.slot = n.slot AND $alive
  AND NOT EXISTS (SELECT FROM custody.detached x WHERE x.account_id = r.account_id AND x.record_id = r.record_id)
RETURNING r.record_id"""),
    "seen": Template("UPDATE custody.$table SET $seen WHERE account_id = $$1 AND record_id = ANY($$2)"),
    "bury_day": Template("""INSERT INTO custody.gone_of_day
    (account_id, chunk, day, category, retention_class, erasure_id, records, commitments)
SELECT $$1, custody.chunk_of(record_id), $$3, $code, $$2, $$4, array_agg(record_id), string_agg(commitment, '')
FROM custody.$table r WHERE account_id = $$1 AND retention_class = $$2 AND day = $$3 AND NOT $held_record
GROUP BY 2 ON CONFLICT DO NOTHING"""),
    "records_of_day": Template("""SELECT count(*) FROM custody.$table
WHERE account_id = $$1 AND retention_class = $$2 AND day = $$3"""),
    "next_slot": Template("""SELECT slot FROM custody.$table
WHERE account_id = $$1 AND retention_class = $$2 AND day = $$3 AND slot >= $$4 ORDER BY slot LIMIT 1"""),
    "objects_of_slots": Template("""SELECT record_id$object FROM custody.$table r WHERE account_id = $$1
AND retention_class = $$2 AND day = $$3 AND slot >= $$4 AND slot < $$5 AND NOT $held_record"""),
    "remove_slots": Template("""DELETE FROM custody.$table r WHERE account_id = $$1
AND retention_class = $$2 AND day = $$3 AND slot >= $$4 AND slot < $$5 AND NOT $held_record"""),
    "owed": Template("""SELECT record_id, retention_class, day, slot, commitment, $call AS call_id,
    (SELECT e.ground FROM custody.gone_day d JOIN custody.erasure e USING (account_id, erasure_id)
     WHERE d.account_id = $$1 AND d.category = $code AND d.retention_class = r.retention_class
       AND d.day = r.day) AS ground
FROM custody.$table r WHERE account_id = $$1 AND record_id = ANY($$2) AND $day_gone AND NOT $held_record"""),
    "remove_gone": Template("""DELETE FROM custody.$table r WHERE account_id = $$1 AND record_id = ANY($$2)
  AND EXISTS (SELECT FROM custody.gone g WHERE g.account_id = $$1 AND g.record_id = r.record_id)"""),
    "due_days": Template("""WITH RECURSIVE due AS (
    SELECT p.retention_class, p.days, p.changed_day, $first_day AS day
    FROM custody.retention_period p WHERE p.account_id = $$1 AND p.category = $code AND p.told_days = p.days
    UNION ALL
    SELECT p.retention_class, p.days, p.changed_day, $next_day FROM due p WHERE p.day IS NOT NULL
) SELECT p.retention_class, p.day, p.day + p.days AS due_day, p.changed_day FROM due p
WHERE p.day IS NOT NULL AND NOT EXISTS (SELECT FROM custody.gone_day g WHERE g.account_id = $$1 AND g.category = $code
    AND g.retention_class = p.retention_class AND g.day = p.day)
  AND NOT EXISTS (SELECT FROM custody.held h WHERE h.account_id = $$1 AND h.record_id IS NULL AND h.category = $code
    AND h.retention_class = p.retention_class AND h.day = p.day) ORDER BY p.day LIMIT $$3"""),
    "inventory": Template("""SELECT count(*) AS records,
       coalesce(sum(octet_length(r.sealed)$plus_media), 0)::bigint AS bytes,
       min(r.$clock) AS oldest, min($due) AS next_due_day
FROM custody.$table r WHERE r.account_id = $$1 AND $alive"""),
    "would_go": Template("""SELECT count(*) FILTER (WHERE NOT $held) AS erased, count(*) FILTER (WHERE $held) AS held
FROM custody.$table r WHERE r.account_id = $$1 AND r.retention_class = $$2 AND r.day < $$3 AND $alive"""),
    "expiring": Template("""SELECT r.day + p.days AS due_day, r.retention_class,
    count(*) FILTER (WHERE NOT $held) AS records, count(*) FILTER (WHERE $held) AS held
FROM custody.retention_period p JOIN custody.$table r
  ON r.account_id = p.account_id AND r.retention_class = p.retention_class AND r.day <= $$2 - p.days
WHERE p.account_id = $$1 AND p.category = $code AND $alive GROUP BY 1, 2"""),
    "compact": Template("VACUUM (FULL) custody.$table"),
    "size": Template("SELECT pg_table_size('custody.$table')"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Statements:
    """The SQL of one category."""

    keep: str
    page: str
    by_ids: str
    by_call: str
    after: str
    by_calls: str
    call_hidden_by_day: str
    hidden_by_day: str
    by_ids_any: str
    objects: str
    everything: str
    by_slots: str
    linked: str
    extracts: str
    first_due: str
    count: str
    empty: str
    remove: str
    let_go: str
    places: str
    reseal: str
    seen: str
    bury_day: str
    records_of_day: str
    next_slot: str
    objects_of_slots: str
    remove_slots: str
    owed: str
    remove_gone: str
    due_days: str
    inventory: str
    would_go: str
    expiring: str
    compact: str
    size: str


@cache
def statements(category: Category) -> Statements:
    """The statements that keep, list and remove records of this category."""
    names = _words(category)
    return Statements(**{name: template.substitute(names) for name, template in _STATEMENTS.items()})


def derived_schema() -> list[tuple[str, str]]:
    """(file name, SQL) for each category; can be applied again when a declaration gained a field."""
    scripts = []
    for category in CATALOGUE:
        names = _words(category)
        scripts.append((f"derived_{category.table}.sql", _TABLE.substitute(names) + _KEEP.substitute(names)))
    return scripts


def _words(category: Category) -> dict[str, object]:
    plain = [(field.name, sql_type(field.type)) for field in category.plain_fields]
    media = [("object_name", "text NOT NULL"), ("media_bytes", "bigint NOT NULL")] if category.has_media else []
    extra = media + plain
    types = [(name, kind.removesuffix(" NOT NULL")) for name, kind in extra]
    has_call = category.is_of_calls
    has_message = any(name == "message_id" for name, _ in plain)
    table, code = category.table, category.code
    listed = ["record_id", "retention_class", "day", "slot", "kept_at", "sealed", "commitment"]
    due = _DUE.substitute(code=code, days_default=category.retention.days_default)
    return {
        "table": table,
        "code": code,
        "clock": category.retention.starts,
        "plain_columns": "".join(f"\n    {name} {kind}," for name, kind in plain),
        "media_columns": "".join(f"\n    {name} {kind}," for name, kind in media),
        "added_columns": "\n".join(
            [f"ALTER TABLE custody.{table} ADD COLUMN IF NOT EXISTS {n} {t};" for n, t in types]
            + [f"ALTER TABLE custody.{table} ALTER {n} DROP NOT NULL;" for n, t in plain if "NOT NULL" not in t]
        ),
        "call_index": f"CREATE INDEX IF NOT EXISTS {table}_by_call ON custody.{table} (account_id, call_id);"
        if has_call
        else "",
        "parameters": "".join(f", p_{name} {kind}" for name, kind in types),
        "names": "".join(f", {name}" for name, _ in extra),
        "values": "".join(f", p_{name}" for name, _ in extra),
        "placeholders": ", ".join(f"${at}" for at in range(1, 10 + len(extra))),
        "columns": ", ".join(
            _SEALED_UNLESS_DETACHED if name == "sealed" and category.is_detachable else f"r.{name}"
            for name in listed + [name for name, _ in extra]
        )
        + f", {due} AS due_day, {_HELD.substitute(code=code, also=' AND h.restricts')} AS restricted",
        "due": due,
        "held": _HELD.substitute(code=code, also=""),
        "held_record": Template(_HELD_RECORD).substitute(also=""),
        "day_gone": _DAY_GONE.substitute(code=code),
        "first_day": _DUE_DAY.substitute(table=table, after=""),
        "next_day": _DUE_DAY.substitute(table=table, after=" AND r.day > p.day"),
        "days_default": category.retention.days_default,
        "alive": _ALIVE.substitute(day_gone=_DAY_GONE.substitute(code=code)),
        "closing": _REFUSED_WHEN[refused_states(category.name, survives_closure=category.survives_closure)],
        "call_gone": _CALL_GONE.substitute(whole=", ".join(map(str, WHOLE_CALLS)))
        if has_call and not category.passing
        else "",
        "is_extract": "r.with_content" if category.is_extract else "false",
        "message_gone": _MESSAGE_GONE.substitute(whole=", ".join(map(str, WHOLE_MESSAGES)))
        if has_message and category.identified_by != "message_id"
        else "",
        "message": "message_id" if has_message else "NULL::uuid",
        "reseal_grant": ", UPDATE (slot, sealed, commitment)" if category.is_resealable else "",
        "detach_grant": ", UPDATE (sealed)" if category.is_detachable else "",
        "media_done": _MEDIA_DONE if category.has_media else "",
        "call": "call_id" if has_call else "NULL::uuid",
        "let_go": ", DELETE, UPDATE (seen_at)" if category.passing else "",
        "seen": "seen_at = $3" if category.passing else "kept_at = kept_at",
        "object": ", object_name" if category.has_media else "",
        "plus_media": " + r.media_bytes" if category.has_media else "",
    }
