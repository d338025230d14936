"""What stays of a closed account, table by table, and why. Every other row that names the account is removed.

A table that is not named here loses all rows of the account, so one that is added later is covered without a word.
"""

from __future__ import annotations

from sealwire.custody.categories import AUDIT_CODE, CATALOGUE

STATUTORY = tuple(category for category in CATALOGUE if category.survives_closure)
KEPT_CODES = (*(category.code for category in STATUTORY), AUDIT_CODE)
"""The branches of the key tree that the puncture leaves: invoices, and what the log still says about them."""

HASHES = "the evidence log: hashes and salted commitments, without which nothing could be verified any more"
KEPT_WHOLE: dict[str, str] = {
    **{f"custody.{category.table}": "a statute: invoices" for category in STATUTORY},
    "custody.closure": "how the closure went, and its certificate",
    "custody.erasure": "certificates of erasures: ids, times and commitments",
    "custody.held": "where what is held lies",
    "evidence.event_outbox": "on its way into the log",
    "evidence.head": HASHES,
    "evidence.kept_batch": HASHES,
    "evidence.kept_outbox": "on its way into the log",
    "evidence.leaf_entry": HASHES,
    "evidence.payload": "what the log says since the closure, sealed; what it said before is removed by its own step",
    "evidence.statement": HASHES,
    "evidence.tile": HASHES,
    "governance.account": "the state of the account, and the name that stands on its invoices",
}
KEPT_IN_PART: dict[str, str] = {
    "custody.day_in_use": "days that have invoices",
    "custody.detached": "which invoices lost their number",
    "custody.gone": "tombstones of invoices",
    "custody.gone_of_day": "tombstones of years of invoices",
    "custody.hold": "holds that are in force: who holds what, until when",
    "custody.gone_day": "tombstones of years of invoices",
    "custody.passed": "none of invoices",
    "custody.retention_period": "how long invoices stay",
    "evidence.mention": "which leaf names which invoice",
}
"""By category, or by the record they name: only what belongs to invoices, or is held, stays."""
OF_A_CATEGORY = KEPT_IN_PART.keys() - {"custody.hold", "evidence.mention"}
"""Those of them whose rows name a category."""
