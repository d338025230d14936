"""What the API takes and answers. Written by generate_client.py from the service's OpenAPI document: do not edit."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    CardPolicy = Literal["off", "mask", "refuse"]
    """What happens to payment card numbers in messages and parameters."""
    Consent = Literal["none", "prompt", "gate"]
    """What must happen before a byte is recorded."""
    Direction = Literal["inbound", "outbound", "both"]
    """Which calls it takes."""
    Event = Literal[
        "call.ended",
        "application.ended",
        "recording.kept",
        "recording.refused",
        "message.sent",
        "message.delivered",
        "message.failed",
        "message.received",
        "report.ready",
        "spend.cap-reached",
        "outbound.suspended",
        "webhook.endpoint-disabled",
        "subject.erased",
        "subject.rectified",
        "subject.restricted",
        "webhook.test",
    ]
    """The kinds of event; names are stable."""
    Extension = Literal["complexity", "number-of-requests"]
    """Why an answer takes longer (Art. 12(3)): a closed list, so that it says nothing about anybody."""
    Outcome = Literal["done", "failed"]
    """The sign of a return code."""
    Purpose = Literal[
        "service-operation",
        "quality-assurance",
        "billing-dispute",
        "legal-claim",
        "subject-request",
        "statutory-retention",
    ]
    """Why content is opened: a closed list, so that a log of purposes can be read (GDPR Art. 5(1)(b))."""
    Redaction = Literal["keep", "content", "all"]
    """What is erased when the message has come to its end: `keep` nothing, `content` its text, `all` its text and
    its record with both numbers. What it cost stays on the bill.
    """
    Refusal = Literal[
        "manifestly-unfounded", "excessive", "identity-not-shown", "not-held", "overriding-grounds", "legal-obligation"
    ]
    """Why a request is refused, and by what (Art. 11, 12(5), 12(6), 17(3), 21(1))."""
    Scope = Literal[
        "owner",
        "records:list",
        "records:open",
        "records:erase",
        "calls:control",
        "messages:send",
        "account:configure",
        "operator",
    ]
    """What a credential may do; `operator` manages accounts and can open nothing."""
    Transport = Literal["udp", "tcp", "tls"]
    """How the trunk is reached; with TLS the audio is SRTP, always."""
    BuiltInName = Literal["greeting", "voicemail", "echo", "not-in-service"]
    """Built in name."""
    RestrictReason = Literal["accuracy-contested", "objection-pending", "processing-unlawful", "subject-needs-it"]
    """As Art. 18(1) has it."""
    WebhookMadeState = Literal["active", "paused", "disabled"]
    """`disabled`: it took nothing for three days, or said 410."""
    WebhookSeenState = Literal["active", "paused", "disabled"]
    """`disabled`: it took nothing for three days, or said 410."""
else:  # a newer service may know more words than this
    CardPolicy = str
    Consent = str
    Direction = str
    Event = str
    Extension = str
    Outcome = str
    Purpose = str
    Redaction = str
    Refusal = str
    Scope = str
    Transport = str
    BuiltInName = str
    RestrictReason = str
    WebhookMadeState = str
    WebhookSeenState = str


class AccountMade(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Account made."""

    account: AccountSeen
    credential: FirstCredential


class AccountSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Account seen."""

    id: str
    """The account's id."""
    name: str
    log_origin: str
    """The name of its evidence log."""
    log_vkey: str
    """The key of the account's evidence log (C2SP vkey); an auditor pins it."""
    created_at: dt.datetime
    """UTC."""
    closed_at: dt.datetime | None
    """UTC, or null."""
    country: str | None
    """ISO 3166-1; null: the operator's."""


class ActionDone(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Action done."""

    done: bool
    result: dict[str, Any] | None


class AgreementSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Agreement seen."""

    id: str
    """The agreement's id."""
    document: str
    sha256: str
    """A SHA-256 hash in hex."""
    annex: dict[str, Any]
    """What software can check and an auditor pins: log key, key holders, periods, backup cycle."""
    accepted_by: str
    """The credential's id."""
    accepted_at: dt.datetime
    """UTC."""
    ended_at: dt.datetime | None
    """UTC, or null."""


class Agreements(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Agreements."""

    items: list[AgreementSeen]


class Answer(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="answer"):
    """Take the call."""

    id: str = ""


class ApplicationContent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Application content."""

    arguments: str
    """What its starter passed."""
    parameters: str
    """What the application noted."""


class ApplicationPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Application page."""

    items: list[ApplicationSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class ApplicationSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Application seen."""

    id: str
    """The application's id."""
    call_id: str
    """The call's id; joins its call record and its recordings."""
    service_id: str | None
    kind: str
    """pages, program or built-in."""
    direction: str
    started_at: dt.datetime
    """UTC."""
    ended_at: dt.datetime
    """UTC."""
    return_code: int
    """See `/v1/return-codes`."""
    return_code_name: str
    """Empty for the application's own codes."""
    extra_legs: int
    """Legs it dialled."""
    speech_seconds: int
    """Speech made for it."""
    cost_millicents: int
    """All of its legs, in 1/1000 cent."""
    due_on: dt.date
    """The last day it is kept; after it, it is erased by itself."""
    commitment: str
    """What the evidence log and every certificate know of this record (base64)."""
    restricted: bool = False
    """Restricted (GDPR Art. 18): it is kept, and opens for a subject request or a legal claim only."""


class BackupsSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Backups seen."""

    cycle_days: int
    """Days from the base of a chain until all of the chain is destroyed."""
    backups: int
    """How many there are."""
    oldest_made_at: dt.datetime | None
    """When the oldest of them was begun."""
    newest_made_at: dt.datetime | None
    """When the newest of them was begun."""
    next_end: dt.date | None
    """After this day the next of them is destroyed."""


class BillingContent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Billing content."""

    destination: str
    """A telephone number in E.164 form."""


class BillingPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Billing page."""

    items: list[BillingSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class BillingSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Billing seen."""

    id: str
    """The record's id."""
    call_id: str | None
    message_id: str | None
    ended_at: dt.datetime
    """UTC."""
    item: str | None
    """In the tariff's words."""
    units: int | None
    """Billed seconds, or segments."""
    amount_millicents: int
    """In 1/1000 cent of the tariff's currency."""
    tariff: str | None
    """Its name and hash."""
    detached: bool
    """The person was erased: the number is gone, the amount stays."""
    due_on: dt.date
    """The last day it is kept; after it, it is erased by itself."""
    commitment: str
    """What the evidence log and every certificate know of this record (base64)."""
    restricted: bool = False
    """Restricted (GDPR Art. 18): it is kept, and opens for a subject request or a legal claim only."""


class BillingSums(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Billing sums."""

    begins: dt.datetime
    """UTC."""
    ends: dt.datetime
    """UTC."""
    amount_millicents: int
    """In 1/1000 cent of the tariff's currency."""
    items: list[TariffSums]


class BoundsSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Bounds seen."""

    category: str
    """As in the inventory."""
    days_default: int
    """Whole days; 0 is never."""
    days_min: int
    """The least without an instruction."""
    days_max: int
    """The most without an instruction."""
    instructed_min: int
    """The least by a signed instruction; 0 is never."""
    instructed_max: int
    """The most by a signed instruction."""
    is_yours: bool
    """False where the law says how long the operator keeps it."""


class BuiltIn(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="kind", tag="built-in"):
    """One of ours: greeting, voicemail, echo, not-in-service."""

    name: BuiltInName


class CallCancelled(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Call cancelled."""

    call_id: str
    """The call's id; joins its call record and its recordings."""


class CallContent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Call content."""

    caller: str
    """A telephone number in E.164 form."""
    callee: str
    """A telephone number in E.164 form."""
    digits: str
    """The digits pressed (DTMF)."""


class CallPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Call page."""

    items: list[CallSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class CallSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Call seen."""

    id: str
    """The record's id."""
    call_id: str
    """The call's id; joins its call record and its recordings."""
    direction: str
    started_at: dt.datetime
    """UTC."""
    answered_at: dt.datetime | None
    """UTC."""
    ended_at: dt.datetime
    """UTC."""
    hangup_cause: str
    """Why it ended, by name."""
    hangup_code: int
    """The same as ITU-T Q.850 numbers it; ours from 200."""
    due_on: dt.date
    """The last day it is kept; after it, it is erased by itself."""
    commitment: str
    """What the evidence log and every certificate know of this record (base64)."""
    restricted: bool = False
    """Restricted (GDPR Art. 18): it is kept, and opens for a subject request or a legal claim only."""


class CallStarted(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Call started."""

    call_id: str
    """The call's id; joins its call record and its recordings."""
    application_id: str
    """Its application record comes under this id."""


class ChannelSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Channel seen."""

    channel: int
    """0 is the call's own leg."""
    call_id: str
    """The call's id; joins its call record and its recordings."""
    direction: str
    state: str
    """ringing, up or ended."""
    doing: str
    """What the leg is at."""
    held: bool
    """Whether the far end has put it on hold."""
    answered_at: dt.datetime | None
    """UTC, or null."""
    hangup_cause: str | None
    """Why it ended, once it has."""


class Cipher(msgspec.Struct, kw_only=True, omit_defaults=True):
    """AES-CBC for one file and one call, as the reference product has it: key 16, 24 or 32 bytes, iv 16 bytes."""

    key: str
    iv: str


class ClassSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A retention class of the account."""

    retention_class: int
    """Services point to it."""
    name: str
    """In your words."""


class ClearField(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Clear field."""

    name: str
    reason: str
    """Why it is not sealed."""


class ClosureBegun(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Closure begun."""

    closure: ClosureSeen
    retrieval_token: str | None
    """Shown once; null in a replayed answer."""
    note: str


class ClosurePage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Closure page."""

    items: list[ClosureSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class ClosureSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Closure seen."""

    id: str
    """The closure's id."""
    account_id: str
    """The account's id."""
    state: str
    """grace, cancelled, hidden, unreadable or removed."""
    begun_at: dt.datetime
    """UTC."""
    ends_at: dt.datetime
    """The end of the grace, UTC."""
    levels: Levels
    kept: list[KeptAfterClosure]
    export: str
    """Where what the account has is exported from during the grace."""
    certificate: str | None
    """Where the certificate is; null until the account is unreadable."""


class Connect(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="connect"):
    """Dial another leg and bridge it with this one until either hangs up or a key in `stop_on` is pressed."""

    id: str = ""
    to: str
    caller: str | None = None
    seconds: float = 60
    stop_on: str = ""
    ringing: Prompt | None = None


class ConsistencySeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Consistency seen."""

    first: int
    second: int
    path: list[str]
    """Hashes in base64, leaf side first (RFC 6962)."""


class CredentialMade(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Credential made."""

    id: str
    """The credential's id."""
    label: str
    """What it is for, in your words."""
    scopes: list[Scope]
    """`owner` (all of the account's), `records:list`, `records:open`, `records:erase`, `calls:control`,
    `messages:send`, `account:configure`.
    """
    default_purpose: Purpose | None
    """Used when a request states no purpose."""
    allowed_from: list[str] | None
    """Addresses and networks (CIDR) it is taken from; null: from anywhere. From elsewhere it is answered as a
    credential that does not exist.
    """
    created_at: dt.datetime
    """UTC."""
    revoked_at: dt.datetime | None
    """UTC, or null."""
    rotated_at: dt.datetime | None
    """UTC, or null."""
    old_secret_until: dt.datetime | None
    """When the secret before the present one ends, or ended."""
    secret: str | None
    """Shown once; null in a replayed answer."""
    note: str


class CredentialSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Credential seen."""

    id: str
    """The credential's id."""
    label: str
    """What it is for, in your words."""
    scopes: list[Scope]
    """`owner` (all of the account's), `records:list`, `records:open`, `records:erase`, `calls:control`,
    `messages:send`, `account:configure`.
    """
    default_purpose: Purpose | None
    """Used when a request states no purpose."""
    allowed_from: list[str] | None
    """Addresses and networks (CIDR) it is taken from; null: from anywhere. From elsewhere it is answered as a
    credential that does not exist.
    """
    created_at: dt.datetime
    """UTC."""
    revoked_at: dt.datetime | None
    """UTC, or null."""
    rotated_at: dt.datetime | None
    """UTC, or null."""
    old_secret_until: dt.datetime | None
    """When the secret before the present one ends, or ended."""


class Credentials(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Credentials."""

    items: list[CredentialSeen]


class DayOfCategory(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A whole UTC day of one category."""

    category: str
    """As in the inventory."""
    day: dt.date
    """The day their retention clock started."""


class DeliveryBegun(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Delivery begun."""

    delivery_id: str
    """The delivery's id."""


class DeliveryContent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Delivery content."""

    address: str
    body: str


class DeliveryPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Delivery page."""

    items: list[DeliverySeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class DeliveryPending(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Delivery pending."""

    id: str
    """The delivery's id; it is sent as `webhook-id`."""
    endpoint_id: str
    """The endpoint's id."""
    event: str
    """The event's name."""
    announced_at: dt.datetime
    """UTC."""
    next_attempt_at: dt.datetime
    """UTC."""
    attempts: int
    """How often it was tried."""
    last_status: int | None
    """The last answer's status; null: there was none."""


class DeliverySeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Delivery seen."""

    id: str
    """The delivery's id; it is sent as `webhook-id`."""
    endpoint_id: str
    """The endpoint's id."""
    event: str
    """The event's name."""
    delivered: bool
    """Whether it was taken."""
    attempts: int
    """How often it was tried."""
    last_status: int | None
    """The last answer's status; null: there was none."""
    ended_at: dt.datetime | None
    """UTC, or null."""
    due_on: dt.date | None
    """The last day it is kept; after it, it is erased by itself."""
    restricted: bool = False
    """Restricted (GDPR Art. 18): it is kept, and opens for a subject request or a legal claim only."""


class DestinationSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A range of numbers that may be called and written to."""

    destination: str
    """A prefix of up to 9 digits (`+44`; `+` for all), a country (`GB`) or a short number (`2001`)."""
    premium: bool = False
    """Also its premium, shared-cost, personal and satellite numbers."""


class Destinations(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All ranges that are allowed; nothing else in the telephone network is."""

    items: list[DestinationSeen]


class DialRule(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Numbers that begin with `prefix` take this trunk: `strip` characters off the front, then `add` before the
    rest. `+441632960123` with prefix `+44`, strip 3 and add `0` becomes `01632960123`.
    """

    prefix: str
    """`+` for every number."""
    strip: int = 0
    add: str = ""


class ErasurePage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Erasure page."""

    items: list[ErasureSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class ErasurePreview(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Erasure preview."""

    erased: dict[str, int]
    """Destroyed whole."""
    without_the_person: dict[str, int]
    """Stays for another party, without this one."""
    held: dict[str, int]
    """Restricted or under a legal hold: stays."""
    kept_by_law: list[KeptByLaw]


class ErasureSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Erasure seen."""

    id: str
    """The erasure's id."""
    ground: str
    """subject-request, instruction or retention."""
    requested_by: str
    """The credential, or the timetable."""
    requested_at: dt.datetime
    """UTC."""
    state: str
    """hidden, unreadable or removed."""
    levels: Levels
    waits_for: str | None = None
    """Which of the key holders have signed, while not all have: until then nothing is certified."""
    counts: dict[str, dict[str, int]] | None = None
    """Of an erasure by number, by category: what went whole (`erased`), stays for another party without it
    (`without_the_person`), is held, or is kept by law without it (`kept_by_law`).
    """
    certificate: str | None
    """Where the certificate is; null until the records are unreadable."""


class ExpiringSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Expiring seen."""

    last_day: dt.date
    """The last day they are kept."""
    category: str
    """As in the inventory."""
    retention_class: int
    """The retention class; 0 is the one without a name."""
    records: int
    """How many records."""
    held: int
    """How many more are due and stay because they are held."""


class FirstCredential(msgspec.Struct, kw_only=True, omit_defaults=True):
    """First credential."""

    id: str
    """The credential's id."""
    secret: str | None
    """Shown once; null in a replayed answer."""
    note: str


class GetDigits(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="get_digits"):
    """Prompt, then collect digits; `sensitive` ones come to the page and are in no record."""

    id: str = ""
    prompt: Prompt | None = None
    count_max: int = 1
    end_digits: str = "#"
    seconds: float = 8
    between_seconds: float = 4
    sensitive: bool = False
    next_page: str | None = None


class HangUp(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="hang_up"):
    """End the call."""

    id: str = ""


class Health(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Health."""

    is_ready: bool
    ready: Ready
    keeper: KeeperSeen | None


class HeldPeriod(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Whole days of one category, records that are still to come included."""

    category: str
    """As in the inventory."""
    first_day: dt.date
    """The first day, UTC."""
    last_day: dt.date
    """The last day, UTC."""


class HoldPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Hold page."""

    items: list[HoldSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""
    in_force: HoldsInForce


class HoldSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Hold seen."""

    id: str
    """The hold's id."""
    kind: str
    reason: str
    reference: str | None
    until: dt.date
    """The last day it holds. There is no hold without an end."""
    state: str
    """placing (a moment only; no erasure overtakes it), in-force, releasing or released."""
    records: int
    """How many records it holds one by one."""
    days: int
    """How many whole days of a category and class it holds."""
    placed_by: str
    placed_at: dt.datetime
    """UTC."""
    released_by: str | None
    """A credential, or the timetable."""
    released_at: dt.datetime | None
    """UTC, or null."""
    released_because: str | None
    """ended, withdrawn, ordered, settled or nothing-left."""


class HoldingSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Holding seen."""

    id: str
    """The record's id."""
    category: str
    purpose: str
    """Why it is kept."""
    role: str
    """The operator's role: processor or controller."""
    due_on: dt.date
    """The last day it is kept; after it, it is erased by itself."""
    commitment: str
    """What the evidence log and every certificate know of this record (base64)."""
    plain: dict[str, Any]
    """Fields that are not sealed."""
    content: dict[str, Any]
    """Fields that were sealed."""
    audio: str | None
    """Where its audio is, when it has any."""
    looks: list[LookSeen]


class HoldsInForce(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Holds in force."""

    holds: int
    records: int
    days: int


class InclusionSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Inclusion seen."""

    index: int
    size: int
    """Of the tree it is proved in."""
    leaf: str
    """The 34 bytes of the leaf (base64)."""
    path: list[str]
    """Hashes in base64, leaf side first (RFC 6962)."""


class InstructionKeySeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Instruction key seen."""

    vkey: str
    """A C2SP verifier key (Ed25519)."""
    registered_by: str
    """The credential's id."""
    registered_at: dt.datetime
    """UTC."""
    retired_at: dt.datetime | None
    """UTC, or null."""


class InstructionKeys(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Instruction keys."""

    items: list[InstructionKeySeen]


class InstructionPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Instruction page."""

    items: list[InstructionSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class InstructionSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Instruction seen."""

    id: str
    """The signed instruction that covers it."""
    date: dt.date
    """The day it bears."""
    ground: str
    """The legal ground it names."""
    retention: list[SettingSaid]
    note: str
    """A C2SP signed note; its text is described in docs/formats/instruction.md."""
    sha256: str
    """Of its text; it stands in the log."""
    vkey: str
    """A C2SP verifier key (Ed25519)."""
    given_by: str
    """The credential's id."""
    given_at: dt.datetime
    """UTC."""


class Inventory(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Inventory."""

    categories: list[InventoryLineSeen]
    backups: BackupsSeen


class InventoryLineSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Inventory line seen."""

    category: str
    purpose: str
    """Why it is kept."""
    role: str
    records: int
    bytes: int
    """Sealed size, audio included."""
    oldest: dt.datetime | None
    """When the oldest one's retention clock started."""
    next_expiry: dt.date | None
    """When the next of them is due."""
    retention_days: int
    where: list[str]
    """The stores it lies in."""


class ItemUsage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Item usage."""

    item: str
    charges: int
    units: int
    """Billed seconds of a -minute item; segments of sms-segment."""
    amount_millicents: int
    """In 1/1000 cent of the tariff's currency."""


class KeeperSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Keeper seen."""

    effaceability_class: str
    """Whether 32 bytes can really be destroyed here."""
    reason: str
    disaster_recoverable: bool
    note: str | None


class KeptAfterClosure(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Kept after closure."""

    what: str
    """A category, or held-records."""
    records: int
    ground: str
    until: dt.date
    """The last day it is kept."""


class KeptByLaw(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Kept by law."""

    category: str
    records: int
    ground: str


class Level(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The API answers 410."""

    reached: bool
    at: dt.datetime | None = None
    """When it was reached."""
    by: dt.date | None = None
    """By when it will be, at the latest."""


class Levels(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Levels."""

    hidden: Level
    """The API answers 410."""
    unreadable: Level
    """The keys are destroyed: the content of every copy, backups included, is noise."""
    removed: Level
    """The ciphertext is gone and the stores are compacted."""
    gone_from_backups: Level
    """No backup in the backups folder was begun before the ciphertext was removed. Copies elsewhere are the
    operator's to destroy by the day that is named.
    """


class LimitsSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Limits seen."""

    maximum: MaximumLimits
    own: OwnLimits
    destinations: list[DestinationSeen]
    day_spent_millicents: int
    """In 1/1000 cent."""
    month_spent_millicents: int
    """In 1/1000 cent."""
    reserved_millicents: int
    """Held for what is going on now."""
    calls_up: int
    suspended_at: dt.datetime | None
    """UTC, or null."""
    suspended_for: str | None
    """refusals, premium, short-calls or operator."""


class LiveCallSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Live call seen."""

    call_id: str
    """The call's id; joins its call record and its recordings."""
    application_id: str
    service_id: str | None
    direction: str
    started_at: dt.datetime
    """UTC."""
    recording: str
    """Of the whole call."""
    channels: list[ChannelSeen]


class LiveCalls(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Live calls."""

    items: list[LiveCallSeen]


class LookSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Look seen."""

    at: str
    principal: str
    """The credential."""
    purpose: str
    leaf_index: int
    """Where it stands in the account's log."""


class MaximumLimits(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the operator allows at most, and how much a minute is suspicious."""

    day_cap_millicents: int
    """In 1/1000 cent."""
    month_cap_millicents: int
    """In 1/1000 cent."""
    calls_at_once: int
    """Calls that are up at one time, both directions."""
    setups_per_second: int
    refused_per_minute: int
    premium_per_minute: int
    short_calls_per_minute: int


class MediaContent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Media content."""

    name: str
    """Its name."""
    sha256: str
    """A SHA-256 hash in hex."""


class MediaErasure(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Media erasure."""

    erasure: str
    """The erasure's id."""


class MediaPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Media page."""

    items: list[MediaSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class MediaSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Media seen."""

    id: str
    """The media file's id; play it by this or by its name."""
    uploaded_at: dt.datetime
    """UTC."""
    encryption: str
    """How you encrypted it before upload: none, age or aes-cbc. It is then checked when played."""
    duration_ms: int | None
    """Null for what was encrypted before upload."""
    bytes: int
    """Size of the file as it was uploaded."""
    due_on: dt.date
    """The last day it is kept; after it, it is erased by itself."""
    commitment: str
    """What the evidence log and every certificate know of this record (base64)."""
    restricted: bool = False
    """Restricted (GDPR Art. 18): it is kept, and opens for a subject request or a legal claim only."""


class MenuOption(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one key leads to."""

    digit: str
    next_page: str | None = None


class MessagePage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Message page."""

    items: list[MessageSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class MessageSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Message seen."""

    id: str
    """The message's id."""
    record: str
    """The record's id."""
    direction: str
    """`in` or `out`."""
    state: str
    """Out: accepted, sending, sent, then delivered, failed, expired or unconfirmed (no receipt). In: received.
    `not-accepted`: a crash came before it was accepted, and it is not sent.
    """
    error: int
    """Why it failed: SMPP 3.4, 5.1.3, or the receipt's `err`."""
    accepted_at: dt.datetime
    """UTC."""
    sent_at: dt.datetime | None
    """UTC, or null."""
    final_at: dt.datetime | None
    """UTC, or null."""
    expires_at: dt.datetime | None
    """UTC, or null."""
    encoding: str
    """`gsm` or `ucs2`."""
    segments: int
    segments_missing: int
    """Of a message in, those that never came."""
    redaction: Redaction
    """What is erased when the message has come to its end: `keep` nothing, `content` its text, `all` its text and
    its record with both numbers. What it cost stays on the bill.
    """
    redacted_at: dt.datetime | None
    """UTC, or null."""
    retention_class: int
    """In which it is kept: that of its service."""
    due_on: dt.date
    """The last day it is kept; after it, it is erased by itself."""
    commitment: str
    """What the evidence log and every certificate know of this record (base64)."""
    restricted: bool = False
    """Restricted (GDPR Art. 18): it is kept, and opens for a subject request or a legal claim only."""


class MessageSettings(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How the account's messages are treated."""

    redaction: Redaction = "keep"
    """What is erased when the message has come to its end: `keep` nothing, `content` its text, `all` its text and
    its record with both numbers. What it cost stays on the bill.
    """
    stop_words: list[str] | None = None
    start_words: list[str] | None = None
    help_words: list[str] | None = None
    stop_reply: str = ""
    """Sent in answer to the word; empty: none."""
    start_reply: str = ""
    """Sent in answer to the word; empty: none."""
    help_reply: str = ""
    """Sent in answer to the word; empty: none."""
    retention_class: int = 0
    """In which messages are kept that go under a name, or through a number no service answers. Those of a number
    are kept in the class of its service.
    """


class NoticeSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Notice seen."""

    kind: str
    """`webhook-endpoint`, `trunk`, `program`, `the-message-centre`, or `export`: a report with content, which
    whoever fetched it has.
    """
    id: str | None
    """Which one."""
    told_by: str
    """`webhook`, or `controller`: we cannot tell them, you do."""
    delivery: str | None
    """The delivery that tells them; `/v1/webhook-deliveries` says whether it was taken."""
    at: dt.datetime
    """UTC."""


class NumberSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Number seen."""

    id: str
    """The number's id."""
    number: str
    """A telephone number in E.164 form."""
    service: str | None
    """The service's name."""
    service_id: str | None
    caller_only: bool
    assigned_at: dt.datetime
    """UTC."""


class Numbers(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Numbers."""

    items: list[NumberSeen]


class OpenedApplication(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Opened application."""

    id: str
    call_id: str
    """The call's id; joins its call record and its recordings."""
    purpose: str
    """Why the content was opened; it stands in the log."""
    content: ApplicationContent


class OpenedBilling(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Opened billing."""

    id: str
    """The record's id."""
    purpose: str
    """Why the content was opened; it stands in the log."""
    content: BillingContent


class OpenedCall(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Opened call."""

    id: str
    """The record's id."""
    call_id: str
    """The call's id; joins its call record and its recordings."""
    purpose: str
    """Why the content was opened; it stands in the log."""
    content: CallContent


class OpenedDelivery(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Opened delivery."""

    id: str
    """The delivery's id; it is sent as `webhook-id`."""
    purpose: str
    """Why the content was opened; it stands in the log."""
    content: DeliveryContent


class OpenedMedia(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Opened media."""

    id: str
    """The media file's id; play it by this or by its name."""
    purpose: str
    """Why the content was opened; it stands in the log."""
    content: MediaContent


class OpenedMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Opened message."""

    id: str
    """The message's id."""
    purpose: str
    """Why the content was opened; it stands in the log."""
    from_: str = msgspec.field(name="from")
    to: str
    text: str | None
    """Null when it is erased."""


class OpenedOptOut(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Opened opt out."""

    id: str
    """The record's id."""
    purpose: str
    """Why the content was opened; it stands in the log."""
    sender: str
    """Whose messages: one of the account's numbers or names."""
    person: str
    """A telephone number in E.164 form."""
    wanted: bool
    """False: no more messages. True: wanted again."""


class OpenedRecording(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Opened recording."""

    id: str
    """The record's id."""
    call_id: str
    """The call's id; joins its call record and its recordings."""
    purpose: str
    """Why the content was opened; it stands in the log."""
    content: RecordingContent


class OptOutPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Opt out page."""

    items: list[OptOutSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class OptOutSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Opt out seen."""

    id: str
    """The record's id."""
    said_at: dt.datetime
    """UTC."""
    wanted: bool
    """False: no more messages. True: wanted again."""
    due_on: dt.date
    """The last day it is kept; after it, it is erased by itself."""
    restricted: bool = False
    """Restricted (GDPR Art. 18): it is kept, and opens for a subject request or a legal claim only."""


class OwnLimits(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the owner chooses, never above the operator's maximum."""

    day_cap_millicents: int | None = None
    """In 1/1000 cent; null for the operator's maximum."""
    month_cap_millicents: int | None = None
    """In 1/1000 cent; null for the operator's maximum."""
    calls_at_once: int | None = None
    card_numbers: CardPolicy = "mask"
    """What happens to payment card numbers in messages and parameters."""


class PageSecretMade(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Page secret made."""

    page_secret: str | None
    """The key page requests are signed with (Standard Webhooks); shown once, then null."""
    signs_with_old_secret_until: dt.datetime | None
    """UTC, or null."""


class Pages(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="kind", tag="pages"):
    """REST pages: the cloud asks these what to do. Requests are signed with the service's secret."""

    first_page: str
    """An https address of yours. Where its name leads is judged each time it is asked."""
    error_page: str | None = None
    final_page: str | None = None


class Pause(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="pause"):
    """Wait this long."""

    id: str = ""
    seconds: float


class PauseRecording(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="pause_recording"):
    """Leave out what is said from now on; with `silence` the timeline stays true."""

    id: str = ""
    silence: bool = True


class PendingPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Pending page."""

    items: list[DeliveryPending]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class PeriodSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Period seen."""

    category: str
    """As in the inventory."""
    retention_class: int
    """The retention class; 0 is the one without a name."""
    days: int
    """Whole days; 0 is never."""
    in_force: bool
    """The keeper knows; until it does, nothing of it expires."""
    instruction: str | None
    """The signed instruction that covers it."""


class Play(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="play"):
    """Play a media file of the account. For one encrypted before upload: its age identity or its cipher."""

    id: str = ""
    file: str
    stop_on: str = ""
    age_identity: str | None = None
    cipher: Cipher | None = None


class PolicyLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Policy line."""

    what: str
    why: str
    how_long: str


class Preview(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Preview."""

    settings: list[WouldGoSeen]
    erased_now: int
    """How many records."""
    held: int
    refused: str | None
    """Why it would be refused; null when not."""


class Program(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="kind", tag="program"):
    """A customer's own program (UAS) that has registered this application."""

    application: str


class ProgramMade(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Program made."""

    id: str
    """The program's id."""
    label: str
    """What it is for, in your words."""
    created_at: dt.datetime
    """UTC."""
    revoked_at: dt.datetime | None
    """UTC, or null."""
    certificate: str
    valid_until: dt.datetime
    """UTC."""
    server: str
    """Where programs connect."""
    authority: str
    """The authority that signed the server's certificate."""


class ProgramPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Program page."""

    items: list[ProgramSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class ProgramSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Program seen."""

    id: str
    """The program's id."""
    label: str
    """What it is for, in your words."""
    created_at: dt.datetime
    """UTC."""
    revoked_at: dt.datetime | None
    """UTC, or null."""
    certificate: str
    valid_until: dt.datetime
    """UTC."""


class Prompt(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is said or played before digits are taken: a text or a file."""

    text: str | None = None
    file: str | None = None
    voice: str = ""


class Ready(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Ready."""

    database: bool
    keeper: bool
    """Without it nothing is opened and nothing is kept."""
    sequencer: bool
    """Without it nothing is opened."""
    index: bool
    """Without it questions by number are answered 503 until it is rebuilt."""


class RecipientMade(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Recipient made."""

    id: str
    """The recipient's id; `key_id` of a recording names those it was sealed to."""
    public_key: str
    """An age public key (X25519), as `age-keygen` prints it. Never the secret one."""
    label: str
    """Which key it is, in your words."""
    valid: bool
    """Whether recordings that begin now are sealed to it."""
    created_at: dt.datetime
    """UTC."""
    expires_at: dt.datetime | None
    """UTC, or null."""
    retired_at: dt.datetime | None
    """UTC, or null."""
    trial: str
    """An age file in base64, sealed to this key alone: open it now, so that you know you can."""


class RecipientSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Recipient seen."""

    id: str
    """The recipient's id; `key_id` of a recording names those it was sealed to."""
    public_key: str
    """An age public key (X25519), as `age-keygen` prints it. Never the secret one."""
    label: str
    """Which key it is, in your words."""
    valid: bool
    """Whether recordings that begin now are sealed to it."""
    created_at: dt.datetime
    """UTC."""
    expires_at: dt.datetime | None
    """UTC, or null."""
    retired_at: dt.datetime | None
    """UTC, or null."""


class Recipients(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Recipients."""

    items: list[RecipientSeen]


class Record(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="record"):
    """Record the caller until an end digit, silence or the limit."""

    id: str = ""
    seconds_max: float = 60
    silence_seconds: float = 3
    end_digits: str = "#"
    beep: bool = True
    eliminate_dtmf: bool = True
    cipher: Cipher | None = None


class RecordingContent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Recording content."""

    caller: str
    """A telephone number in E.164 form."""
    callee: str
    """A telephone number in E.164 form."""
    audio_sha256: str
    """A SHA-256 hash in hex."""


class RecordingPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Recording page."""

    items: list[RecordingSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class RecordingPolicy(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How calls of a service are recorded."""

    whole_call: bool = False
    channels: int = 1
    eliminate_dtmf: bool = True
    beep: bool = False
    consent: Consent = "none"
    consent_text: str = ""
    sealed_to_customer: bool = False


class RecordingSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Recording seen."""

    id: str
    """The record's id."""
    call_id: str
    """The call's id; joins its call record and its recordings."""
    started_at: dt.datetime
    """UTC."""
    duration_ms: int
    audio_bytes: int
    """Size of the audio without the WAV header, or of the encrypted file."""
    channels: int
    """1 mixed, or 2: the caller left, the others right."""
    encryption: str
    """provider: opened for whoever may. age: sealed to your public keys, nobody here can open it. aes-cbc:
    encrypted with the cipher the call was given.
    """
    key_id: str | None
    """The recipients that can open it, separated by commas; null unless age."""
    due_on: dt.date
    """The last day it is kept; after it, it is erased by itself."""
    commitment: str
    """What the evidence log and every certificate know of this record (base64)."""
    restricted: bool = False
    """Restricted (GDPR Art. 18): it is kept, and opens for a subject request or a legal claim only."""


class Rectify(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is wrong, and what is right."""

    record: str
    """The record's id."""
    field: str
    """A sealed field of the record."""
    value: str
    """What it should be."""


class Redirect(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="redirect"):
    """Ask another page what to do."""

    id: str = ""
    page: str


class Register(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Register."""

    operator: str
    """As the operator calls itself."""
    privacy_contact: str
    processing: list[RegisterLine]
    """Records of processing (GDPR Art. 30)."""
    privacy_policy: list[PolicyLine]


class RegisterLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Register line."""

    category: str
    article: str
    """30(2) as a processor, 30(1) as a controller."""
    role: str
    purpose: str
    what: str
    personal_data: list[str]
    """Sealed fields."""
    in_the_clear: list[ClearField]
    data_subjects: str
    days_default: int
    days_min: int
    days_max: int
    counts_from: str
    """When its period starts."""
    after_closure: str
    measures: str
    """Technical and organisational measures."""


class Reject(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="reject"):
    """Turn the call away; only before it is answered."""

    id: str = ""
    cause: str = "rejected"


class ReportPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Report page."""

    items: list[ReportSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class ReportSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Report seen."""

    id: str
    """The report's id."""
    of: str
    format: str
    begins: dt.datetime
    """UTC."""
    ends: dt.datetime
    """UTC."""
    with_content: bool
    asked_at: dt.datetime
    """UTC."""
    state: str
    """queued, running, ready or failed; erased once it is gone."""
    progress: float
    """From 0 to 1."""
    rows: int
    """Rows written so far."""
    failure: str | None
    """Why it failed, by name."""
    record_id: str | None
    """Its record in custody, by which it can be erased early."""
    ended_at: dt.datetime | None
    """UTC, or null."""
    expires_on: dt.date | None
    """The last day it is kept."""


class Restrict(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Why nothing may be opened, and until when."""

    reason: RestrictReason
    """As Art. 18(1) has it."""
    until: dt.date
    """The last day; a hold without an end there is not."""


class ResumeRecording(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="resume_recording"):
    """Record on."""

    id: str = ""


class RetentionCalendar(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Retention calendar."""

    until: dt.date
    days: list[ExpiringSeen]


class RetentionChanged(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Retention changed."""

    settings: list[WouldGoSeen]
    erased_now: int
    """How many records."""
    held: int
    in_force: bool
    """The keeper was told; otherwise it is told as soon as it answers."""


class RetentionSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Retention seen."""

    bounds: list[BoundsSeen]
    classes: list[ClassSeen]
    periods: list[PeriodSeen]


class ReturnCodeSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Return code seen."""

    code: int
    """See `/v1/return-codes`."""
    name: str
    meaning: str


class ReturnCodes(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Return codes."""

    items: list[ReturnCodeSeen]


class Ring(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="ring"):
    """Tell the caller that it rings."""

    id: str = ""


class RunMenu(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="run_menu"):
    """Prompt, take one of the keys, ask again up to `tries`, and go to its page."""

    id: str = ""
    prompt: Prompt
    options: list[MenuOption]
    tries: int = 3
    seconds: float = 5
    help: Prompt | None = None


class Say(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="say"):
    """Speak a text."""

    id: str = ""
    text: str
    voice: str = ""
    stop_on: str = ""


class SendDigits(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="send_digits"):
    """Send DTMF digits (RFC 4733) to the far end."""

    id: str = ""
    digits: str


class SendMessage(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="send_message"):
    """Send a message while the call goes on."""

    id: str = ""
    to: str
    text: str
    sender: str | None = None


class SenderNames(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Sender names."""

    names: list[str]


class ServiceMade(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Service made."""

    name: str
    """In your words."""
    direction: Direction = "both"
    """Which calls it takes."""
    logic: Pages | Program | BuiltIn
    """REST pages, a program of yours, or a built-in."""
    recording: RecordingPolicy | None = None
    seconds_max: int = 14400
    """The longest call."""
    early_media: bool = False
    """Inbound: the application decides when to answer."""
    retention_class: int = 0
    """In which class its calls, recordings and messages are kept."""
    id: str
    """The service's id."""
    created_at: dt.datetime
    """UTC."""
    changed_at: dt.datetime
    """UTC."""
    signs_with_old_secret_until: dt.datetime | None = None
    """UTC, or null."""
    page_secret: str | None = None
    """The key page requests are signed with (Standard Webhooks); shown once, then null."""


class ServicePage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Service page."""

    items: list[ServiceSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class ServiceSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Service seen."""

    name: str
    """In your words."""
    direction: Direction = "both"
    """Which calls it takes."""
    logic: Pages | Program | BuiltIn
    """REST pages, a program of yours, or a built-in."""
    recording: RecordingPolicy | None = None
    seconds_max: int = 14400
    """The longest call."""
    early_media: bool = False
    """Inbound: the application decides when to answer."""
    retention_class: int = 0
    """In which class its calls, recordings and messages are kept."""
    id: str
    """The service's id."""
    created_at: dt.datetime
    """UTC."""
    changed_at: dt.datetime
    """UTC."""
    signs_with_old_secret_until: dt.datetime | None = None
    """UTC, or null."""


class Setting(msgspec.Struct, kw_only=True, omit_defaults=True):
    """For how long one category is kept in one retention class."""

    category: str
    """As in the inventory."""
    retention_class: int = 0
    """The retention class; 0 is the one without a name."""
    days: int
    """Whole days; 0 is never."""


class SettingSaid(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Setting said."""

    category: str
    retention_class: int
    days: int


class SigningSecretMade(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Signing secret made."""

    signing_secret: str | None
    """The key deliveries are signed with (Standard Webhooks); shown once, then null."""
    signs_with_old_secret_until: dt.datetime | None
    """UTC, or null."""


class StandardAgreement(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Standard agreement."""

    document: str
    sha256: str
    """A SHA-256 hash in hex."""
    text: str
    """Markdown."""


class StartRecording(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="start_recording"):
    """Record the whole call from now on: `channels` 1 mixed, 2 one per party."""

    id: str = ""
    channels: int = 1
    seconds_max: float = 3600
    silence_seconds: float = 0
    beep: bool = False
    eliminate_dtmf: bool = True
    cipher: Cipher | None = None


class StopRecording(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="stop_recording"):
    """End the recording of the whole call."""

    id: str = ""


class StorageUsage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Storage usage."""

    category: str
    records: int
    bytes: int


class SubjectAnswer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Subject answer."""

    holdings: list[HoldingSeen]
    searched_days: int
    """How many days of records were searched, over all categories."""


class SubjectRequestPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Subject request page."""

    items: list[SubjectRequestSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class SubjectRequestSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Subject request seen."""

    id: str
    """The request's id."""
    kind: str
    state: str
    """received, identity-doubt, in-progress, extended, done, refused."""
    received_at: dt.datetime
    """UTC."""
    due_on: dt.date
    """By when the person must have an answer."""
    overdue: bool
    extended_for: str | None
    refused_for: str | None
    answered_at: dt.datetime | None
    """UTC, or null."""
    closed_at: dt.datetime | None
    """UTC, or null."""
    counts: dict[str, Any]
    """What was found, by what became of it; `complete` says whether that is everything."""
    erasures: list[str]
    """Erasures made for it."""
    notices: list[NoticeSeen] | None = None
    """Once done: who received such data and is told of it (GDPR Art. 19). Of one request only."""


class TariffSums(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Tariff sums."""

    item: str
    charges: int
    units: int
    """Billed seconds of a -minute item; segments of sms-segment."""
    amount_millicents: int
    """In 1/1000 cent of the tariff's currency."""
    tariff: str
    day: dt.date


class Transfer(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="action", tag="transfer"):
    """Hand the call over to another number (RFC 3515) and leave it."""

    id: str = ""
    to: str


class TransportChecked(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Transport checked."""

    passed: bool
    """TLS 1.2 or later with at least 128 bits."""
    protocol: str
    tls_version: str
    cipher: str
    cipher_bits: int
    source_address: str | None
    """Where the connection comes from; what `allowed_from` is compared with."""
    advice: str


class TrunkPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Trunk page."""

    items: list[TrunkSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class TrunkSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Trunk seen."""

    name: str
    host: str
    """A name, an IPv4 address, or an IPv6 address in brackets."""
    port: int = 5060
    transport: Transport = "udp"
    username: str = ""
    """For digest authentication."""
    sources: list[str] | None = None
    """Where its calls come from. Once any is listed, calls from elsewhere are not taken for the account."""
    default_caller: str | None = None
    """Shown when a call states no caller; a number of the account."""
    caller_plus: bool = True
    """Whether the carrier wants callers with the `+`."""
    rules: list[DialRule] | None = None
    """Which numbers take this trunk; all, as they are, when empty."""
    priority: int = 100
    """The lowest that fits is taken."""
    outbound: bool = True
    """False: only for calls that come in."""
    id: str
    """The trunk's id."""
    has_secret: bool
    created_at: dt.datetime
    """UTC."""
    changed_at: dt.datetime
    """UTC."""


class Usage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Usage."""

    day: dt.date | None
    """UTC; null for the total."""
    calls_in: int = 0
    calls_out: int = 0
    calls_answered: int = 0
    minutes: float = 0.0
    """From answer to end, all calls."""
    messages_in: int = 0
    messages_out: int = 0
    segments: int = 0
    amount_millicents: int = 0
    """In 1/1000 cent of the tariff's currency."""
    items: list[ItemUsage] | None = None


class UsageSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Usage seen."""

    begins: dt.datetime
    """UTC."""
    ends: dt.datetime
    """UTC."""
    items: list[Usage]
    storage: list[StorageUsage]


class WebhookMade(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Webhook made."""

    id: str
    """The endpoint's id."""
    address: str
    """An https address of yours, with nothing personal in it. Where its name leads is judged each time."""
    events: list[Event]
    """What to be told of."""
    label: str
    """In your words."""
    state: WebhookMadeState
    """`disabled`: it took nothing for three days, or said 410."""
    failing_since: dt.datetime | None
    """UTC, or null."""
    disabled_at: dt.datetime | None
    """UTC, or null."""
    signs_with_old_secret_until: dt.datetime | None
    """UTC, or null."""
    created_at: dt.datetime
    """UTC."""
    changed_at: dt.datetime
    """UTC."""
    signing_secret: str | None
    """The key deliveries are signed with (Standard Webhooks); shown once, then null."""


class WebhookPage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Webhook page."""

    items: list[WebhookSeen]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last page."""


class WebhookSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Webhook seen."""

    id: str
    """The endpoint's id."""
    address: str
    """An https address of yours, with nothing personal in it. Where its name leads is judged each time."""
    events: list[Event]
    """What to be told of."""
    label: str
    """In your words."""
    state: WebhookSeenState
    """`disabled`: it took nothing for three days, or said 410."""
    failing_since: dt.datetime | None
    """UTC, or null."""
    disabled_at: dt.datetime | None
    """UTC, or null."""
    signs_with_old_secret_until: dt.datetime | None
    """UTC, or null."""
    created_at: dt.datetime
    """UTC."""
    changed_at: dt.datetime
    """UTC."""


class WouldGoSeen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Would go seen."""

    category: str
    """As in the inventory."""
    retention_class: int
    """The retention class; 0 is the one without a name."""
    days: int
    """Whole days; 0 is never."""
    days_before: int
    """Whole days; 0 is never."""
    erased_now: int
    """Records that go at once."""
    held: int
    """Records that would go and stay because they are held."""
