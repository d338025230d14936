"""Speaks the sounds of this house with espeak-ng and sox, and writes them as 8 kHz mono 16-bit wav files.

    python src/sealwire/communications/prompts/make_prompts.py

Run it again only to change a text; the results are committed, so that no installation needs a speech engine.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

PROMPTS = Path(__file__).parent
CALLERS = PROMPTS.parents[1] / "doors" / "demo_assets"

SPOKEN = {
    PROMPTS / "welcome.wav": (
        "en-us+f3",
        "Welcome to Sealwire. This call is recorded and sealed. Press a digit, then speak after the tone.",
    ),
    PROMPTS / "goodbye.wav": ("en-us+f3", "Thank you. Your recording is sealed. Goodbye."),
    PROMPTS / "not-recorded.wav": ("en-us+f3", "This call cannot be recorded at the moment. Goodbye."),
    PROMPTS / "unrecorded.wav": ("en-us+f3", "This call is not recorded."),
    PROMPTS / "consent-prompt.wav": ("en-us+f3", "This call is recorded."),
    PROMPTS / "consent-gate.wav": (
        "en-us+f3",
        "We would like to record this call. If you agree, press one. If not, press any other digit.",
    ),
    PROMPTS / "leave-message.wav": (
        "en-us+f3",
        (
            "Nobody can take your call at the moment. Please speak after the tone, "
            "and press the hash key when you are done."
        ),
    ),
    PROMPTS / "echo.wav": ("en-us+f3", "Speak after the tone, and hear yourself. Press star to end."),
    CALLERS / "caller-one.wav": (
        "en-gb+m3",
        "Good morning, this is the workshop. The blue van is ready. Please collect it before five o'clock.",
    ),
    CALLERS / "caller-two.wav": (
        "en-gb-scotland+f2",
        "Hello, I would like to move my appointment from Tuesday to Thursday afternoon, if that is possible.",
    ),
}
TONE = PROMPTS / "tone.wav"
SHAPE = ["-r", "8000", "-c", "1", "-b", "16"]


def speak(voice: str, text: str, to: Path) -> None:
    """One sentence as a telephone would carry it, at an even loudness."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "180", "-w", str(raw), text], check=True)
        # -R keeps the dither of sox repeatable, so that a run without a change leaves the files as they are
        band = ["highpass", "300", "lowpass", "3400", "norm", "-4", "silence", "1", "0.01", "0.2%"]
        subprocess.run(["sox", "-R", str(raw), *SHAPE, str(to), *band], check=True)


def main() -> None:
    """Write them all."""
    CALLERS.mkdir(exist_ok=True)
    for to, (voice, text) in SPOKEN.items():
        speak(voice, text, to)
    beep = ["synth", "0.35", "sine", "1000", "fade", "0.02", "0.35", "0.02", "norm", "-8"]
    subprocess.run(["sox", "-R", "-n", *SHAPE, str(TONE), *beep], check=True)


if __name__ == "__main__":
    main()
