"""A menu: 1 for the opening hours, 2 to leave a message, 0 to be put through to the desk (DESK=+44...)."""

import os

from sealwire_sdk.uas import Call, Program

program = Program()


@program.application("ivr-menu")
async def menu(call: Call) -> int:
    await call.answer()
    choice = await call.run_menu("120", say="For our hours press 1. For a message press 2. For the desk press 0.")
    match choice:
        case "1":
            await call.say("We are open from nine to five.")
        case "2":
            await call.say("Speak after the tone, and press hash.")
            recording = await call.record(seconds_max=120)
            await call.set_parameters(f"message {recording.record}")
        case "0":
            desk = await call.connect(os.environ.get("DESK", "+441632960200"), say="One moment please.")
            return 0 if desk.connected else 1
    await call.say("Goodbye.")
    return 0


if __name__ == "__main__":
    program.run()
