"""A customer's program for tests: an application for each thing that a program may do well or badly."""

from __future__ import annotations

import asyncio
import logging
import time

from sealwire_sdk.uas import Call, ChannelEnded, CommandFailed, NotReached, Program

logging.basicConfig(level=logging.INFO, format="%(message)s")
program = Program()


@program.application("menu")
async def menu(call: Call) -> int:
    await call.answer()
    digits = await call.get_digits(say="Press one or two", count_max=1)
    print("digits", digits, digits.ended_by, call.direction, flush=True)
    await call.say("Goodbye")
    return 0 if digits == "1" else 7


@program.application("code")
async def code(call: Call) -> object:
    return {"none": None, "text": "1", "true": True, "large": 1 << 40}.get(call.arguments) or (
        int(call.arguments) if call.arguments.lstrip("-").isdigit() else None if call.arguments == "none" else "1"
    )


@program.application("fails")
async def fails(call: Call) -> int:
    raise RuntimeError(f"what {call.caller} typed")


@program.application("stays")
async def stays(call: Call) -> int:
    print("up", flush=True)
    try:
        await call.answer()
        cause = await call.wait_ended()
        print("ended", cause, flush=True)
    except ChannelEnded as error:
        print("ended early", error.cause, flush=True)
    return 3


@program.application("blocks")
async def blocks(call: Call) -> int:
    await call.answer()
    print("blocked", flush=True)
    time.sleep(60)
    return 0


@program.application("lets-go")
async def lets_go(call: Call) -> int:
    await call.answer()
    await call.say("a long text that nobody hears to its end", stop_on="any")
    return 5


@program.application("legs")
async def legs(call: Call) -> int:
    await call.answer()
    await call.start_recording(channels=2)
    try:
        await call.dial("+441632960486")
    except NotReached as error:
        print("not reached", error.cause, flush=True)
    one, other = await asyncio.gather(call.dial("+441632960201"), call.dial("+441632960202"))
    await asyncio.gather(one.say("one"), other.say("other"), call.say("caller"))
    await call.pause_recording()
    await call.resume_recording()
    bridged = asyncio.ensure_future(call.bridge(one))
    await asyncio.sleep(0.1)
    await call.unbridge()
    await bridged
    await other.hang_up()
    try:
        await other.say("nobody")
    except ChannelEnded:
        print("other has ended", flush=True)
    await call.stop_recording()
    await call.set_parameters("three legs")
    try:
        await call.play("not-there.wav")
    except CommandFailed as error:
        print("failed", error.code, flush=True)
    return len(call.channels)


@program.application("stops")
async def stops(call: Call) -> int:
    await call.answer()
    recording = asyncio.ensure_future(call.record(seconds_max=60))
    await asyncio.sleep(0.1)
    await call.stop()
    return 0 if (await recording).ended_by == "stop" else -101


@program.application("redirected")
async def redirected(call: Call) -> int:
    wanted = await call.next_interruption()
    print("wanted", wanted.kind, dict(wanted.body), flush=True)
    return 0


@program.application("rounds")
async def rounds(call: Call) -> int:
    """How long a command takes, there and back."""
    await call.answer()
    took = []
    for _ in range(2000):
        began = time.perf_counter()
        await call.set_parameters("x")
        took.append(time.perf_counter() - began)
    took.sort()
    print(f"rounds p50 {took[1000] * 1000:.3f} p99 {took[1979] * 1000:.3f}", flush=True)
    return 0


program.run()
