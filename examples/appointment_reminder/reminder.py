"""Calls everybody in a file of appointments; whoever does not answer and confirm gets a message.

python reminder.py appointments.csv      (each line: NUMBER,WHEN)
"""

import asyncio
import csv
import os
import sys
from pathlib import Path

from sealwire_sdk.client import AsyncSealwire, NotFound
from sealwire_sdk.client.models import Program as ByProgram
from sealwire_sdk.uas import Call, Program

CONFIRMED, NOT_CONFIRMED = 0, 1
program = Program()


@program.application("reminder")
async def remind(call: Call) -> int:
    """Runs once the called party has answered; `call.arguments` is what the call was started with."""
    key = await call.get_digits(say=f"Your appointment is {call.arguments}. To confirm, press one.")
    await call.say("Thank you. Goodbye." if key == "1" else "Please call us. Goodbye.")
    return CONFIRMED if key == "1" else NOT_CONFIRMED


async def reach(cloud: AsyncSealwire, service: str, to: str, when: str) -> str:
    """Call, and write if that did not do; what became of it."""
    own = os.environ["NUMBER"]
    started = await cloud.start_call(service_id=service, to=to, from_=own, arguments=when)
    while True:
        try:
            ended = await cloud.get_application(started.application_id)
            break
        except NotFound:  # its record comes when it has ended
            await asyncio.sleep(1)
    if ended.return_code == CONFIRMED:
        return "confirmed by telephone"
    text = f"Your appointment is {when}. Reply YES to confirm."
    message = await cloud.send_message(from_=own, to=to, text=text)
    return f"{ended.return_code_name or 'not confirmed'}, wrote {message.id}"


async def main(appointments: list[list[str]]) -> None:
    serving = asyncio.create_task(program.serve())
    async with AsyncSealwire() as cloud:
        logic = ByProgram(application="reminder")
        service = await cloud.create_service(name="reminder", direction="outbound", logic=logic)
        for line, (to, when) in enumerate(appointments, start=1):
            print(f"appointment {line}: {await reach(cloud, service.id, to, when)}", flush=True)
        await cloud.remove_service(service.id)
    program.stop()
    await serving


if __name__ == "__main__":
    with Path(sys.argv[1]).open(newline="") as lines:
        asyncio.run(main(list(csv.reader(lines))))
