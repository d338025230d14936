"""A customer's program: it connects out to the cloud, and drives the calls of its application.

Settings come from the environment (SEALWIRE_UAS and the rest; see the SDK).
"""

from __future__ import annotations

import logging
import sys

from sealwire_sdk.uas import Call, Program

REMINDER = "This is a reminder of your appointment tomorrow. To confirm, press one."


def main() -> None:
    """Run until told to stop; what the SDK logs (ids, never numbers) goes to standard output."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout)
    program = Program()

    @program.application("reminder")
    async def reminder(call: Call) -> int:
        digits = await call.get_digits(say=REMINDER, count_max=1)
        await call.set_parameters(f"{call.arguments}: pressed {digits or 'nothing'}")
        await call.say("Thank you. Goodbye.")
        return int(digits) if digits else 10

    program.run()


if __name__ == "__main__":
    main()
