"""Lists the messages in the mailbox and writes each to messages/, decrypted here with identity.txt."""

from pathlib import Path

from sealwire_sdk.client import Sealwire

identity = next(line for line in Path("identity.txt").read_text().splitlines() if line.startswith("AGE-SECRET-KEY-"))
folder = Path("messages")
folder.mkdir(mode=0o700, exist_ok=True)

with Sealwire() as cloud:
    for recording in cloud.iter_recordings():
        file = folder / f"{recording.started_at:%Y-%m-%d_%H%M%S}_{recording.id}.wav"
        if recording.encryption != "age" or file.exists():
            continue
        caller = cloud.open_recording(recording.id).content.caller  # both looks stand in your account's log
        file.write_bytes(cloud.open_sealed_recording(recording.id, identity))
        print(f"{recording.started_at:%d %B %H:%M}  {caller}  {recording.duration_ms / 1000:.0f} s  {file}")
