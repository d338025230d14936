"""The words of the trade as frozen types: they parse, they print, they do nothing else."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import ClassVar, Self
from uuid import UUID, uuid4

import phonenumbers

from sealwire.errors import Malformed

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_WRITTEN = re.compile(r"[ \u00a0]*\+[0-9 \u00a0()./-]+")
_SIP_USER = re.compile(r"[A-Za-z0-9._~+*#-]{1,64}")
_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True, order=True)
class OpaqueId:
    """A random 128-bit id that says nothing about what it names; printed as `prefix_` + 32 hex digits."""

    value: UUID
    prefix: ClassVar[str] = "id"

    @classmethod
    def new(cls) -> Self:
        return cls(uuid4())

    @classmethod
    def parse(cls, text: str) -> Self:
        head, _, digits = text.partition("_")
        if head != cls.prefix or not re.fullmatch(r"[0-9a-f]{32}", digits):
            raise Malformed(f"not a {cls.__name__}: write {cls.prefix}_ and 32 lower-case hex digits")
        return cls(UUID(hex=digits))

    def __str__(self) -> str:
        return f"{self.prefix}_{self.value.hex}"


class AccountId(OpaqueId):
    """One controller's tenancy."""

    prefix = "acc"


class RecordId(OpaqueId):
    """One kept unit of personal data, whatever its category."""

    prefix = "rec"


class CallId(OpaqueId):
    """One telephone call; joins its call record and its recordings."""

    prefix = "call"


class CredentialId(OpaqueId):
    """One API credential; the secret itself is never stored."""

    prefix = "cred"


class ApplicationId(OpaqueId):
    """One run of an application (pages, a UAS program or a built-in) over one call; its record is the ADR."""

    prefix = "app"


class ServiceId(OpaqueId):
    """One service of an account: what answers its numbers or drives its outbound calls."""

    prefix = "svc"


class NumberId(OpaqueId):
    """One number of an account, so that the number itself stands in no address."""

    prefix = "num"


class TrunkId(OpaqueId):
    """One SIP trunk: where calls go out to and come in from."""

    prefix = "trk"


class MessageId(OpaqueId):
    """One message, in or out; joins its message record and its content."""

    prefix = "msg"


class MediaId(OpaqueId):
    """One media file of an account."""

    prefix = "med"


class RecipientId(OpaqueId):
    """One public key of a customer to which recordings are sealed."""

    prefix = "rcp"


class ReportId(OpaqueId):
    """One report that was asked for."""

    prefix = "rep"


class EndpointId(OpaqueId):
    """One webhook endpoint."""

    prefix = "whk"


class DeliveryId(OpaqueId):
    """One webhook event on its way to one endpoint."""

    prefix = "dlv"


class ProgramId(OpaqueId):
    """One client certificate under which a customer's UAS programs connect."""

    prefix = "uas"


class AgreementId(OpaqueId):
    """One accepted data processing agreement."""

    prefix = "agr"


class ErasureId(OpaqueId):
    """One erasure, from request to certificate."""

    prefix = "ers"


class HoldId(OpaqueId):
    """One legal hold or restriction, on records or on days."""

    prefix = "hld"


class InstructionId(OpaqueId):
    """One signed instruction of a customer about retention."""

    prefix = "ins"


class SubjectRequestId(OpaqueId):
    """One request of a data subject, from its receipt to its answer."""

    prefix = "dsr"


class ClosureId(OpaqueId):
    """One closing of an account, from its beginning to its certificate."""

    prefix = "clo"


@dataclass(frozen=True, slots=True)
class E164:
    """A telephone number in ITU-T E.164 form: `+` then 7 to 15 digits. Does not show itself in a repr."""

    text: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> E164:
        """Read a number, allowing the spaces and brackets people write; Malformed when it is not one."""
        if _E164.fullmatch(text):
            return cls(text)
        try:  # what is no number as people write them must not become one: phonenumbers finds one in any text
            number = phonenumbers.parse(text, None) if _WRITTEN.fullmatch(text) else None
        except phonenumbers.NumberParseException:
            number = None
        if number is None or not phonenumbers.is_possible_number(number):
            raise Malformed("not a telephone number: write it in E.164, + and country code first, as +441632960123")
        return cls(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Party:
    """Who is at one end of a leg: an E.164 number, a SIP user, or `anonymous` (RFC 3323). Hidden in a repr."""

    text: str = field(repr=False)

    @classmethod
    def from_sip_user(cls, user: str) -> Party:
        """The user part of a SIP URI (RFC 3261); digits become E.164, anything unusable is anonymous."""
        if _E164.fullmatch(user):
            return cls(user)
        if _E164.fullmatch("+" + user):
            return cls("+" + user)
        return cls(user.lower()) if _SIP_USER.fullmatch(user) else cls("anonymous")

    def __str__(self) -> str:
        return self.text


class Day(int):
    """A UTC day as the number of days since 1970-01-01, 16 bit: until 2149-06-06."""

    def __new__(cls, value: int) -> Self:
        if not 0 <= value < 1 << 16:
            raise Malformed("a day lies outside 1970-01-01 to 2149-06-06")
        return super().__new__(cls, value)

    @classmethod
    def of(cls, moment: dt.datetime) -> Day:
        return cls((moment.astimezone(dt.UTC).date() - _EPOCH).days)

    @property
    def date(self) -> dt.date:
        return _EPOCH + dt.timedelta(days=self)


class HangupCause(IntEnum):
    """Why a call ended: ITU-T Q.850 values, and our own from 200 for what Q.850 does not know."""

    NORMAL = 16
    BUSY = 17
    NO_ANSWER = 19
    REJECTED = 21
    NUMBER_UNKNOWN = 1
    SERVICE_UNAVAILABLE = 63
    ENGINE_FAILED = 200
    TOO_LONG = 201
    MEDIA_TIMEOUT = 202
    SERVICE_RESTARTED = 203
    CANCELLED = 204
    CODEC_MISMATCH = 88
    NOT_ALLOWED = 205
    SPEND_CAP = 206
    PROGRAM_LOST = 207


class ReturnCode(IntEnum):
    """What an application record says of how its application ended. 0 and above: the application's own success.

    -100 and below: the application's own failures. From -99 to -1 the service speaks; these are never reused.
    """

    DONE = 0
    NOT_AN_INTEGER = -1
    ENDED_BEFORE_START = -2
    APPLICATION_MISSING = -3
    APPLICATION_INVALID = -4
    RESERVED_CODE_RETURNED = -5
    WRONG_DIRECTION = -6
    APPLICATION_FAILED = -9
    PROGRAM_LOST = -10
    PROGRAM_SILENT = -11
    PAGE_UNREACHABLE = -20
    PAGE_TOO_SLOW = -21
    PAGE_TOO_LARGE = -22
    PAGE_MALFORMED = -23
    PAGE_ADDRESS_REFUSED = -24
    PAGE_STATUS = -25
    TOO_MANY_ACTIONS = -26
    CALL_TOO_LONG = -30
    SPEND_CAP_REACHED = -31
    DESTINATION_NOT_ALLOWED = -32
    TOO_MANY_CALLS = -33
    CANCELLED = -34
    BUSY = -35
    NO_ANSWER = -36
    REJECTED = -37
    NUMBER_UNKNOWN = -38
    NO_ROUTE = -39
    RECORDING_REFUSED = -40
    CONSENT_REFUSED = -41
    SERVICE_RESTARTED = -50
    ENGINE_FAILED = -51


class Purpose(StrEnum):
    """Why content is opened: a closed list, so that a log of purposes can be read (GDPR Art. 5(1)(b))."""

    SERVICE_OPERATION = "service-operation"
    QUALITY_ASSURANCE = "quality-assurance"
    BILLING_DISPUTE = "billing-dispute"
    LEGAL_CLAIM = "legal-claim"
    SUBJECT_REQUEST = "subject-request"
    STATUTORY_RETENTION = "statutory-retention"

    @classmethod
    def parse(cls, text: str) -> Purpose:
        try:
            return cls(text)
        except ValueError:
            raise Malformed(f"not a purpose; state one of: {', '.join(cls)}") from None
