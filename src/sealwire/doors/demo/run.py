"""The whole demo: starts a cloud on a folder of its own, plays twelve steps, stops all it started."""

from __future__ import annotations

import shutil
import time

from sealwire.doors.demo import checking, forgetting
from sealwire.doors.demo.building import Builder
from sealwire.doors.demo.client import Api
from sealwire.doors.demo.company import Company
from sealwire.doors.demo.round import CALLED, Played, answer_subject, make_calls, open_account, show_records
from sealwire.doors.demo.show import Round, Show
from sealwire.doors.demo.stage import Stage
from sealwire.doors.first_start import operator_credential_file
from sealwire.doors.supervisor import MESSENGER, Cloud
from sealwire.ground import diagnostics

REPLY = "Yes, see you tomorrow."
EXPECTED = {
    "sweep_hits": 0,
    "old_vault_readable": False,
    "old_vault_kept_readable": True,
    "restored_erased_readable": False,
    "restored_kept_readable": True,
    "full_snapshot_readable": True,
    "truncated_backup_refused": True,
    "certificate_verified": True,
    "log_verified": True,
    "rest_call": True,
    "age_opened": True,
    "sealed_media_played": True,
    "uas_call": True,
    "sms_receipt": True,
    "tampered_certificate_refused": True,
}


async def run_demo(stage: Stage, show: Show) -> bool:
    """True when every step came out as promised."""
    began_s = time.monotonic()
    demo = Round(show)
    cloud = Cloud(stage.settings)
    outside = Company(stage.customer)
    await outside.start(
        "sealwire.doors.message_centre", stage.centre.rpartition(":")[2], "--reply", REPLY, listens=stage.centre
    )
    try:
        await _start(demo, cloud)
    except BaseException:
        await outside.stop()
        raise
    diagnostics.start("demo", (stage.settings.logs_dir / "demo.log").open("a"))
    try:
        assert cloud.certificates is not None
        secret = operator_credential_file(stage.settings).read_text().strip()
        operator = Api(stage.settings.api_listen, cloud.certificates.ca, secret)
        api, account, issued = await open_account(demo, operator)
        await operator.close()
        try:
            papers, played = await _play(demo, stage, cloud, Played(api, account, issued))
        finally:
            await api.close()
    finally:
        await cloud.stop()
        await outside.stop()
        shutil.rmtree(stage.attacker, ignore_errors=True)  # it holds copies of keys
    await checking.check_papers(demo, papers)
    demo.figures["wall_seconds"] = round(time.monotonic() - began_s, 1)
    good = all(demo.figures.get(name) == value for name, value in EXPECTED.items())
    good = good and float(demo.figures["audio_correlation"] or 0) >= 0.9 and bool(demo.figures["control_hits"])
    good = good and float(demo.figures["e1_seconds"] or 99) <= 2
    demo.figures["as_promised"] = good
    _say_goodbye(show, stage, played, cloud)
    assert cloud.certificates is not None
    demo.figures |= {
        "api": f"https://{stage.settings.api_listen}",
        "ca": str(cloud.certificates.ca),
        "credential": issued,
        "data": str(stage.settings.data_dir),
        "output": str(stage.output),
    }
    show.finished(demo.figures)
    return good


async def _start(demo: Round, cloud: Cloud) -> None:
    with demo.step(0, "Starting a cloud on loopback, from nothing") as step:
        await cloud.start()
        step.say(", ".join(part.name for part in cloud.health()) + " are running")
        everything = cloud.memory_bytes()
        messenger = sum(part.memory_bytes for part in cloud.health() if part.name == MESSENGER.name)
        megabytes, more = everything - messenger >> 20, messenger >> 20
        said = f"{megabytes} MB in the processes that run by default, {more} MB in the messenger"
        step.figure("idle_memory_mb", megabytes, said, tone="quiet")


async def _play(demo: Round, stage: Stage, cloud: Cloud, played: Played) -> tuple[checking.Papers, Played]:
    api = played.api
    played.speeches = await make_calls(demo, stage)
    played.calls, played.recordings = await show_records(demo, stage, api, played.speeches)
    await answer_subject(demo, api)
    await Builder(demo, stage, api, played.account).build()
    await forgetting.sweep_everything(demo, cloud, played)
    loot, _ = await forgetting.back_up_and_erase(demo, stage, played)
    await forgetting.attack_everything(demo, stage, loot, forgetting.targets_of(played))
    return await checking.collect_papers(stage, api), played


def _say_goodbye(show: Show, stage: Stage, played: Played, cloud: Cloud) -> None:
    settings = stage.settings
    assert cloud.certificates is not None
    host, _, port = settings.sip_listen.rpartition(":")
    show.note(f"""
That was one real round, {CALLED} called twice; everything it started is stopped. To go on from here:

  leave the cloud running     bin/sealwire up --data {settings.data_dir}
                              (for a desk phone on your network add --listen ADDRESS)
  then, the API's own page    https://{settings.api_listen}/
  a first request             curl --cacert {cloud.certificates.ca} \\
                                -H "Authorization: Bearer {played.secret}" https://{settings.api_listen}/v1/calls
  call it from a softphone    sip:{CALLED}@{host}:{port}   (UDP, G.711; docs/howto/call-it-from-a-softphone.md)
  what was handed out         {stage.output}   (opened audio, certificate, policy, log)
  where the data lies         {settings.data_dir}   (the next demo makes this folder anew)
""")
