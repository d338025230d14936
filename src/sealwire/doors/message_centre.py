"""A message centre to try things out with, by smpp34's server: takes every message and says that it was delivered.

`python -m sealwire.doors.message_centre PORT`; `--submit HOST:PORT --messages N` is the bare client beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time

import smpp34

WINDOW = 32
SENDER, RECIPIENT = "441632960100", "441632960123"
TEXT = b"Your table for two is ready at eight. Reply STOP to hear no more of us."


async def serve(port: int, *, reply: str = "") -> None:
    """Until cancelled. With `reply`, every recipient answers with it, once its message was delivered."""
    server = smpp34.Server("127.0.0.1", port, system_id="bench", inbound_capacity=10_000)
    await server.start()
    print("listening", flush=True)
    numbers, sessions = itertools.count(1), dict[str, smpp34.Esme]()
    receipts: set[asyncio.Task[None]] = set()
    while True:
        event = await server.next()
        if isinstance(event, smpp34.Esme):
            sessions[event.session_id] = event
        elif isinstance(event, smpp34.SubmitSmEvent):
            name = f"b{next(numbers)}"
            event.accept(name)
            if event.registered_delivery and event.session_id in sessions:
                task = asyncio.ensure_future(_receipt(sessions[event.session_id], event, name, reply))
                receipts.add(task)
                task.add_done_callback(receipts.discard)


async def _receipt(esme: smpp34.Esme, event: smpp34.SubmitSmEvent, name: str, reply: str) -> None:
    text = f"id:{name} sub:001 dlvrd:001 submit date:2611231200 done date:2611231200 stat:DELIVRD err:000 text:"
    await esme.deliver_sm(event.source_addr, text.encode(), source_addr=event.destination_addr, esm_class=4)
    if reply:
        await esme.deliver_sm(event.source_addr, reply.encode(), source_addr=event.destination_addr)


async def submit(address: str, messages: int) -> dict[str, float]:
    """The same messages by smpp34's own client, with nothing kept and nothing sealed."""
    host, _, port = address.rpartition(":")
    client = smpp34.Client(host, int(port), "bench", "bench", bind_type="TRX", window_size=WINDOW)
    session = await client.connect()
    left = iter(range(messages))

    async def loop() -> None:
        for _ in left:
            await session.submit_sm(RECIPIENT, TEXT, source_addr=SENDER, registered_delivery=0)

    began_s = time.monotonic()
    await asyncio.gather(*(loop() for _ in range(WINDOW)))
    per_s = messages / (time.monotonic() - began_s)
    await client.stop()
    return {"per_s": per_s}


def main() -> None:
    """Serve, or submit."""
    parser = argparse.ArgumentParser(prog="sealwire.doors.message_centre")
    parser.add_argument("port", type=int, nargs="?", default=0)
    parser.add_argument("--reply", default="", help="what every recipient answers")
    parser.add_argument("--submit", metavar="HOST:PORT")
    parser.add_argument("--messages", type=int, default=1000)
    chosen = parser.parse_args()
    if chosen.submit:
        print(json.dumps(asyncio.run(submit(chosen.submit, chosen.messages))))
    else:
        asyncio.run(serve(chosen.port, reply=chosen.reply))


if __name__ == "__main__":
    main()
