"""The one settings type. Secrets have no default: they are made at first start and live in files of their own."""

from __future__ import annotations

import os
import tomllib
from hashlib import sha256
from pathlib import Path

import msgspec

from sealwire.errors import Malformed

FORMAT_VERSION = 1


class SettingsRefused(Malformed):
    """The settings cannot be used; correct sealwire.toml and start again."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may choose. Every address binds loopback unless told otherwise."""

    data_dir: Path
    api_listen: str = "127.0.0.1:8443"
    sip_listen: str = "127.0.0.1:5060"
    rtp_ports: str = "20000-24000"
    engine_workers: int = 1
    call_seconds_max: int = 4 * 3600
    erase_unasked_max: int = 1000
    """Erasing more records than this at once over the API is asked about, and waits for a minute's grace."""
    backup_cycle_days: int = 28
    backup_chain_days: int = 7
    """How long increments continue one base; all of a chain end with the cycle of its base."""
    backup_every_hours: int = 24
    """How often the worker makes a backup; 0: only by command."""
    backup_target: str = ""
    """A folder, or s3://BUCKET/PREFIX with secrets/backup-target.json; empty: the folder `backups` of the data."""
    subject_request_months: int = 1
    """Within how many months a data subject must have an answer (GDPR Art. 12(3)); the law may change."""
    subject_request_months_more: int = 2
    """How many more months an extension gives, once."""
    uas_listen: str = "127.0.0.1:8444"
    sip_tls: bool = False
    """Also take calls over TLS with SRTP, at the SIP port + 1."""
    egress_allow: str = ""
    """Networks (CIDR, separated by commas) that pages and webhooks may reach although they are special."""
    egress_ca: str = ""
    """A file (PEM) of authorities that pages and webhooks may be certified by, beside those of the system."""
    smsc: str = ""
    """smpp://SYSTEM_ID@HOST:PORT of the message centre, or empty; its password is in secrets/smsc.password."""
    tariff: str = ""
    """A tariff file (TOML) in place of the one that comes with Sealwire."""
    retention_policy: str = ""
    """A file (TOML) with this operator's bounds and defaults of retention, in place of those of the declarations."""
    objects_endpoint: str = ""
    """https://HOST:PORT of an S3 that keeps the objects, or empty: a folder; its keys are in secrets/objects.key."""
    objects_bucket: str = ""
    objects_region: str = "us-east-1"
    objects_compact: str = ""
    """What is asked (GET) after removals, so that deleted bytes leave the store's files: SeaweedFS's /vol/vacuum."""
    country: str = "DE"
    """Where the operator is (ISO 3166-1): how long invoices are kept of accounts that name no country."""
    statutory: str = ""
    """A table of statutory periods (TOML) in place of the one that comes with Sealwire."""
    speech_engine: str = "espeak-ng"
    holders_required: int = 1
    """How many holders of the keys, the keeper counted, must take part in a change of keys."""
    operator_name: str = "unnamed operator"
    privacy_contact: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be listened on, before anything is started."""
        for name in ("api_listen", "sip_listen", "uas_listen"):
            host, _, port = getattr(self, name).rpartition(":")
            if not host or not port.isdecimal() or int(port) >= 1 << 16:
                raise SettingsRefused(f"{name}: write host:port, with a port up to 65535")
        first, _, last = self.rtp_ports.partition("-")
        if not (first.isdecimal() and last.isdecimal() and 0 < int(first) < int(last) < 1 << 16):
            raise SettingsRefused("rtp_ports: write first-last, two ports from 1 to 65535")

    @property
    def postgres_dir(self) -> Path:
        return self.data_dir / "postgres"

    @property
    def objects_dir(self) -> Path:
        return self.data_dir / "objects"

    @property
    def keeper_dir(self) -> Path:
        """The vault, epoch slots and ledger: never inside a backup."""
        return self.data_dir / "keeper"

    @property
    def evidence_dir(self) -> Path:
        """The log key and the last signed heads: never inside a backup."""
        return self.data_dir / "evidence"

    @property
    def secrets_dir(self) -> Path:
        return self.data_dir / "secrets"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def temp_dir(self) -> Path:
        return self.data_dir / "tmp"

    @property
    def backups_dir(self) -> Path:
        return self.data_dir / "backups"

    @property
    def run_dir(self) -> Path:
        """Sockets and pids. A socket path holds at most 107 bytes, so deep data folders get a short one."""
        inside = self.data_dir / "run"
        if len(os.fsencode(inside)) <= 70:
            return inside
        return Path("/tmp") / f"sealwire-{sha256(os.fsencode(self.data_dir)).hexdigest()[:16]}"  # noqa: S108 - 0700, checked

    @property
    def keeper_socket(self) -> Path:
        return self.run_dir / "keeper.sock"

    @property
    def sequencer_socket(self) -> Path:
        return self.run_dir / "sequencer.sock"

    @property
    def switchboard_socket(self) -> Path:
        return self.run_dir / "switchboard.sock"

    @property
    def messenger_socket(self) -> Path:
        return self.run_dir / "messenger.sock"

    @property
    def settings_file(self) -> Path:
        return self.data_dir / "sealwire.toml"


def load_settings(data_dir: Path, **overrides: object) -> Settings:
    """Read `sealwire.toml` in the data folder, then SEALWIRE_* variables, then overrides; last wins."""
    data_dir = data_dir.expanduser().resolve()
    values: dict[str, object] = {}
    file = data_dir / "sealwire.toml"
    if file.exists():
        try:
            values.update(tomllib.loads(file.read_text()))
        except tomllib.TOMLDecodeError as error:
            raise SettingsRefused(f"sealwire.toml is not TOML: {error}") from None
    for name in Settings.__struct_fields__:
        if (value := os.environ.get(f"SEALWIRE_{name.upper()}")) is not None:
            values[name] = value
    values.update({name: value for name, value in overrides.items() if value is not None})
    values["data_dir"] = data_dir
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsRefused(f"sealwire.toml: {error}") from None
