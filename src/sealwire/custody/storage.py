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

_TABLE = Template("""
CREATE TABLE IF NOT EXISTS custody.$table (
    account_id uuid NOT NULL,
    record_id uuid NOT NULL,
    retention_class smallint NOT NULL,
    day integer NOT NULL,
    slot integer NOT NULL,
    due_day integer NOT NULL,
    kept_at timestamptz NOT NULL,
    sealed bytea NOT NULL,
    commitment bytea NOT NULL,$media_columns$plain_columns
    PRIMARY KEY (account_id, record_id)
);
$added_columns
CREATE INDEX IF NOT EXISTS ${table}_by_clock ON custody.$table (account_id, $clock DESC, record_id DESC);
CREATE UNIQUE INDEX IF NOT EXISTS ${table}_slot_is_used_once ON custody.$table (account_id, retention_class, day, slot);
$call_index
ALTER TABLE custody.$table ENABLE ROW LEVEL SECURITY;
ALTER TABLE custody.$table FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_account ON custody.$table;
CREATE POLICY own_account ON custody.$table
    USING (account_id = nullif(current_setting('sealwire.account', true), '')::uuid);
GRANT SELECT, INSERT$let_go ON custody.$table TO sealwire_service;
GRANT SELECT, INSERT, DELETE, MAINTAIN$detach_grant ON custody.$table TO sealwire_worker;
""")

# Row, tokens and outbox leaf in one statement, so in one transaction and one round trip. The shared lock makes an
# erasure that hides a day or a call wait for keeps under way, and keeps after it see what it hid.
_KEEP = Template("""
DROP FUNCTION IF EXISTS custody.keep_$table;
CREATE FUNCTION custody.keep_$table(
    p_account uuid, p_record uuid, p_class smallint, p_day integer, p_slot integer, p_due integer,
    p_kept_at timestamptz, p_sealed bytea, p_commitment bytea, p_tokens bytea[]$parameters
) RETURNS text LANGUAGE plpgsql SET plan_cache_mode = auto AS $$$$
BEGIN
    PERFORM set_config('sealwire.account', p_account::text, true);
    IF NOT EXISTS (SELECT FROM governance.agreement WHERE account_id = p_account AND ended_at IS NULL) THEN
        RETURN 'no-agreement';
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(p_account::text, 7));
    IF EXISTS (SELECT FROM custody.gone WHERE account_id = p_account AND record_id = p_record)
       OR EXISTS (SELECT FROM custody.gone_day WHERE account_id = p_account AND category = $code
                  AND retention_class = p_class AND day = p_day)$call_gone$message_gone THEN
        RETURN 'erased';
    END IF;
    INSERT INTO custody.$table
        (account_id, record_id, retention_class, day, slot, due_day, kept_at, sealed, commitment$names)
    VALUES (p_account, p_record, p_class, p_day, p_slot, p_due, p_kept_at, p_sealed, p_commitment$values)
    ON CONFLICT (account_id, record_id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN 'kept-before';
    END IF;
    INSERT INTO custody.blind_index (account_id, token, category, record_id)
    SELECT p_account, token, $code, p_record FROM unnest(p_tokens) AS token ON CONFLICT DO NOTHING;
    INSERT INTO evidence.kept_outbox (account_id, record_id, category, commitment)
    VALUES (p_account, p_record, $code, p_commitment);$media_done
    RETURN 'kept';
END $$$$;
REVOKE ALL ON FUNCTION custody.keep_$table FROM PUBLIC;
GRANT EXECUTE ON FUNCTION custody.keep_$table TO sealwire_service;
""")

_CALL_GONE = Template("""
       OR EXISTS (SELECT FROM custody.gone WHERE account_id = p_account AND call_id = p_call_id
                  AND category IN ($whole_calls))""")  # a recording may go while its call is up
_MESSAGE_GONE = """
       OR EXISTS (SELECT FROM custody.gone WHERE account_id = p_account AND record_id = p_message_id)"""
_SEALED_UNLESS_DETACHED = """CASE WHEN EXISTS (SELECT FROM custody.detached x
    WHERE x.account_id = r.account_id AND x.record_id = r.record_id) THEN ''::bytea ELSE r.sealed END AS sealed"""
_MEDIA_DONE = """
    DELETE FROM custody.media_begun WHERE account_id = p_account AND record_id = p_record;"""

_ALIVE = Template("""NOT EXISTS (SELECT FROM custody.gone g
                  WHERE g.account_id = r.account_id AND g.record_id = r.record_id)
  AND NOT EXISTS (SELECT FROM custody.gone_day d WHERE d.account_id = r.account_id AND d.category = $code
                  AND d.retention_class = r.retention_class AND d.day = r.day)""")

WHOLE_CALLS = [category.code for category in CATALOGUE if category.is_whole_call]
"""The categories with whose record a call is gone, so that no other record of it is kept."""

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
    "linked": Template("""SELECT record_id, retention_class, day, slot, commitment FROM custody.$table r
WHERE r.account_id = $$1 AND ($call = ANY($$2::uuid[]) OR $message = ANY($$3::uuid[]) OR r.record_id = ANY($$4::uuid[]))
  AND NOT EXISTS (SELECT FROM custody.detached x WHERE x.account_id = r.account_id AND x.record_id = r.record_id)
  AND $alive"""),
    "extracts": Template("""SELECT record_id, retention_class, day, slot, commitment, $call AS call_id
FROM custody.$table r WHERE r.account_id = $$1 AND $is_extract AND $alive"""),
    "first_due": Template("""SELECT min(r.due_day) FROM custody.$table r
WHERE r.account_id = $$1 AND r.$clock >= $$2 AND r.$clock < $$3 AND $alive"""),
    "count": Template("""SELECT count(*) FROM custody.$table r
WHERE r.account_id = $$1 AND r.$clock >= $$2 AND r.$clock < $$3 AND $alive"""),
    "empty": Template("UPDATE custody.$table SET sealed = '' WHERE account_id = $$1 AND record_id = ANY($$2)"),
    "remove": Template("DELETE FROM custody.$table WHERE account_id = $$1 AND record_id = ANY($$2)"),
    "let_go": Template("""WITH tokens AS (
    DELETE FROM custody.blind_index WHERE account_id = $$1 AND record_id = ANY($$2)
), rows AS (
    DELETE FROM custody.$table WHERE account_id = $$1 AND record_id = ANY($$2)
    RETURNING record_id, retention_class, day, slot, due_day, commitment, $call AS call_id
) INSERT INTO custody.passed
    (account_id, record_id, category, retention_class, day, slot, due_day, commitment, call_id)
SELECT $$1, record_id, $code, retention_class, day, slot, due_day, commitment, call_id FROM rows"""),
    "seen": Template("UPDATE custody.$table SET $seen WHERE account_id = $$1 AND record_id = ANY($$2)"),
    "of_day": Template("""SELECT record_id, slot, commitment, $call AS call_id$object FROM custody.$table
WHERE account_id = $$1 AND retention_class = $$2 AND day = $$3 ORDER BY record_id LIMIT $$4"""),
    "due_days": Template("""SELECT DISTINCT retention_class, day FROM custody.$table
WHERE account_id = $$1 AND due_day < $$2 ORDER BY day LIMIT $$3"""),
    "inventory": Template("""SELECT count(*) AS records,
       coalesce(sum(octet_length(r.sealed)$plus_media), 0)::bigint AS bytes,
       min(r.$clock) AS oldest, min(r.due_day) AS next_due_day
FROM custody.$table r WHERE r.account_id = $$1 AND $alive"""),
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
    linked: str
    extracts: str
    first_due: str
    count: str
    empty: str
    remove: str
    let_go: str
    seen: str
    of_day: str
    due_days: str
    inventory: str
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
    listed = ["record_id", "retention_class", "day", "slot", "due_day", "kept_at", "sealed", "commitment"]
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
        "placeholders": ", ".join(f"${at}" for at in range(1, 11 + len(extra))),
        "columns": ", ".join(
            _SEALED_UNLESS_DETACHED if name == "sealed" and category.is_detachable else f"r.{name}"
            for name in listed + [name for name, _ in extra]
        ),
        "alive": _ALIVE.substitute(code=code),
        "call_gone": _CALL_GONE.substitute(whole_calls=", ".join(map(str, WHOLE_CALLS)))
        if has_call and not category.passing
        else "",
        "is_extract": "r.with_content" if category.is_extract else "false",
        "message_gone": _MESSAGE_GONE if has_message and category.identified_by != "message_id" else "",
        "message": "message_id" if has_message else "NULL::uuid",
        "detach_grant": ", UPDATE (sealed)" if category.is_detachable else "",
        "media_done": _MEDIA_DONE if category.has_media else "",
        "call": "call_id" if has_call else "NULL::uuid",
        "let_go": ", DELETE, UPDATE (seen_at)" if category.passing else "",
        "seen": "seen_at = $3" if category.passing else "kept_at = kept_at",
        "object": ", object_name" if category.has_media else "",
        "plus_media": " + r.media_bytes" if category.has_media else "",
    }
