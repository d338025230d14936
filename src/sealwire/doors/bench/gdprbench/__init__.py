"""GDPRbench's four roles in Python: one list of operations, sealed, plain with an audit row, and bare."""

from sealwire.doors.bench.gdprbench.running import CLIENTS, FULL, QUICK, Plan, measure

__all__ = ["CLIENTS", "FULL", "QUICK", "Plan", "measure"]
