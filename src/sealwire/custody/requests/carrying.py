"""What `done` means for each kind of request: one place, so that none is done without its act."""

from __future__ import annotations

from sealwire.custody.lifecycle import Custody
from sealwire.custody.requests import acting
from sealwire.custody.requests.notices import OnDone, nothing_else
from sealwire.custody.requests.restricting import restrict
from sealwire.custody.requests.workflow import Kind, Request, State
from sealwire.governance.principals import Principal, Scope


async def carry_out(
    custody: Custody,
    principal: Principal,
    request: Request,
    *,
    backup_cycle_days: int,
    on_done: OnDone = nothing_else,
) -> None:
    """Carry out what was asked for, and be done; StepRefused first when the table has no such step.

    `on_done` is called in the transaction in which something was erased, corrected or restricted for good.
    """
    request.stepped(State.DONE, now=custody.clock.now())
    match request.kind:
        case Kind.ACCESS | Kind.PORTABILITY:
            await acting.close_answered(custody, principal, request)
        case Kind.ERASURE:
            await acting.erase_person(custody, principal, request, backup_cycle_days=backup_cycle_days, on_done=on_done)
        case Kind.RECTIFICATION:
            await acting.rectify(custody, principal, request, backup_cycle_days=backup_cycle_days, on_done=on_done)
        case Kind.RESTRICTION:
            await restrict(custody, principal, request, backup_cycle_days=backup_cycle_days, on_done=on_done)
        case Kind.OBJECTION:
            principal.require(Scope.ERASE)
            await acting.close(custody, principal, request, counts={"objects": True, "complete": True})
