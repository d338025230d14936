"""Text to speech behind a port: espeak-ng by default, another program by configuration."""

from __future__ import annotations

from sealwire.communications.speech.espeak import CommandSpeech, EspeakSpeech
from sealwire.communications.speech.port import SpeechEngine
from sealwire.config import SettingsRefused

_COMMAND = "command:"


def speech_engine(setting: str) -> SpeechEngine:
    """The engine that `speech_engine` names: `espeak-ng`, or `command:/path` of a program."""
    if setting == "espeak-ng":
        return EspeakSpeech()
    if setting.startswith(f"{_COMMAND}/"):
        return CommandSpeech("command", (setting.removeprefix(_COMMAND),))
    raise SettingsRefused("speech_engine: write espeak-ng, or command: and the whole path of a program")
