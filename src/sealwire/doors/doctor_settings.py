"""The doctor's checks of what an operator may choose. A refusal of `up` is said here in the same words."""

from __future__ import annotations

from collections.abc import Callable

from sealwire.communications.messages.centre import Centre
from sealwire.config import Settings
from sealwire.doors import readiness
from sealwire.doors.findings import Finding, State, is_running
from sealwire.governance.billing.tariff import load_tariff
from sealwire.ground.process import port_answers

CALLS_WANTED = 100


def programs_port(settings: Settings) -> Finding:
    """Whether the port of customers' programs is ours or free."""
    if is_running(settings) and port_answers(settings.uas_listen):
        return Finding("programs port", State.FINE, f"Customers' programs are taken on {settings.uas_listen}.")
    readiness.require_free(readiness.program_ports(settings))
    return Finding("programs port", State.FINE, f"TCP {settings.uas_listen} is free.")


def sip_tls_port(settings: Settings) -> Finding:
    """Whether calls over TLS can be taken, when they are wanted."""
    ports = list(readiness.sip_tls_ports(settings))
    if not ports:
        return Finding("SIP TLS port", State.FINE, "Calls over TLS are not taken (sip_tls).")
    if is_running(settings) and all(port_answers(port.address) for port in ports):
        return Finding("SIP TLS port", State.FINE, f"Calls over TLS are taken on {ports[0].address}.")
    readiness.require_free(iter(ports))
    return Finding("SIP TLS port", State.FINE, f"TCP {ports[0].address} is free.")


def media_ports(settings: Settings) -> Finding:
    """Whether there are ports for the sound of calls: a pair for each leg."""
    readiness.require_media_ports(settings)
    first, _, last = settings.rtp_ports.partition("-")
    pairs = range(int(first) + int(first) % 2, int(last), 2)
    held = readiness.udp_ports_held() if not is_running(settings) else set()
    left = sum(1 for port in pairs if not {port, port + 1} & held)
    sentence = f"UDP {settings.rtp_ports} has room for {left} legs at a time"
    if not left:
        return Finding(
            "media ports", State.PROBLEM, f"{sentence}: other programs hold every port.",
            "Choose other ports with SEALWIRE_RTP_PORTS=FIRST-LAST.",
        )  # fmt: skip
    if left < CALLS_WANTED or left < len(pairs) // 2:
        return Finding(
            "media ports", State.WARNING, f"{sentence}; {len(pairs) - left} pairs are held by other programs.",
            "Choose other or more ports with SEALWIRE_RTP_PORTS=FIRST-LAST.",
        )  # fmt: skip
    return Finding("media ports", State.FINE, f"{sentence}.")


def message_centre(settings: Settings) -> Finding:
    """Whether the message centre's address and password can be used; it is not called."""
    if not settings.smsc:
        return Finding("message centre", State.FINE, "There is none, so no messages are sent (smsc).")
    centre = Centre.from_settings(settings)
    return Finding("message centre", State.FINE, f"Messages go by {centre.host}:{centre.port}; a password is there.")


def tariff(settings: Settings) -> Finding:
    """Whether calls can be charged."""
    return Finding("tariff", State.FINE, f"Charged is by {load_tariff(settings.tariff).version}.")


def way_out(settings: Settings) -> Finding:
    """Which servers of customers may be reached, and by which authorities they may be certified."""
    readiness.require_way_out(settings)
    reach = f"public addresses and {settings.egress_allow}" if settings.egress_allow else "public addresses only"
    trusted = f" {settings.egress_ca} is trusted too." if settings.egress_ca else ""
    return Finding("way out", State.FINE, f"Pages, webhooks and trunks may be at {reach}.{trusted}")


def speech(settings: Settings) -> Finding:
    """Whether texts can be spoken. Calls that speak none do without."""
    readiness.require_speech(settings)
    if not readiness.has_speech_program(settings):
        return Finding(
            "speech", State.WARNING, "espeak-ng is not installed: texts and greetings are not spoken.",
            "As root: apt-get install espeak-ng; or name another program with SEALWIRE_SPEECH_ENGINE=command:/PATH.",
        )  # fmt: skip
    return Finding("speech", State.FINE, f"Texts are spoken by {settings.speech_engine}.")


CHECKS: tuple[Callable[[Settings], Finding], ...] = (
    programs_port, sip_tls_port, media_ports, message_centre, tariff, way_out, speech,
)  # fmt: skip
