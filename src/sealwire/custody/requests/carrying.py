"""What `done` means for each kind of request: one place, so that none is done without its act."""

from __future__ import annotations

from sealwire.custody.lifecycle import Custody
from sealwire.custody.requests import acting
from sealwire.custody.requests.restricting import restrict
from sealwire.custody.requests.workflow import Kind, Request, State
from sealwire.governance.principals import Principal, Scope


async def carry_out(custody: Custody, principal: Principal, request: Request, *, backup_cycle_days: int) -> None:
    """Carry out what was asked for, and be done; StepRefused first when the table has no such step."""
    request.stepped(State.DONE, now=custody.clock.now())
    match request.kind:
        case Kind.ACCESS | Kind.PORTABILITY:
            await acting.close_answered(custody, principal, request)
        case Kind.ERASURE:
            await acting.erase_person(custody, principal, request, backup_cycle_days=backup_cycle_days)
        case Kind.RECTIFICATION:
            await acting.rectify(custody, principal, request, backup_cycle_days=backup_cycle_days)
        case Kind.RESTRICTION:
            await restrict(custody, principal, request, backup_cycle_days=backup_cycle_days)
        case Kind.OBJECTION:
            principal.require(Scope.ERASE)
            await acting.close(custody, principal, request, counts={"objects": True, "complete": True})
