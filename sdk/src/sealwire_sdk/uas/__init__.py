"""Write a program that drives calls: register applications, connect out, and be called for each call.

program = Program()

@program.application("menu")
async def menu(call: Call) -> int:
    await call.answer()
    ...
    return 0

program.run()
"""

from sealwire_sdk.errors import CallOver, ChannelEnded, CommandFailed, NotReached, ProgramRefused, ServerNotTrusted
from sealwire_sdk.uas.call import Call, Channel, Connected, Digits, Interruption, Recording
from sealwire_sdk.uas.program import Program

__all__ = [
    "Call",
    "CallOver",
    "Channel",
    "ChannelEnded",
    "CommandFailed",
    "Connected",
    "Digits",
    "Interruption",
    "NotReached",
    "Program",
    "ProgramRefused",
    "Recording",
    "ServerNotTrusted",
]
