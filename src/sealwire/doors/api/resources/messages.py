"""Messages: sent, listed without content, opened one by one for a purpose; and how an account wants them treated."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post, put
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED
from msgspec import Meta

from sealwire.communications.accounting.port import DestinationNotAllowed, OutboundSuspended, SpendCapReached
from sealwire.communications.cardguard import CardNumberRefused
from sealwire.communications.messages import settings as configured
from sealwire.communications.messages.alphabet import TextNotSendable
from sealwire.communications.messages.centre import CentreMissing
from sealwire.communications.messages.opt_outs import RecipientOptedOut
from sealwire.communications.messages.outbox import (
    VALIDITY_S_DEFAULT,
    VALIDITY_S_MAX,
    VALIDITY_S_MIN,
    SenderMissing,
    SenderNotAllowed,
    ValidityOutOfRange,
    Wish,
)
from sealwire.communications.messages.queue import Redaction, Standing, standings
from sealwire.communications.messages.segments import TextEmpty, TextTooLong
from sealwire.custody.categories import MessageContent, MessageRecord, category_of
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.custody.store import StoredRecord
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import (
    AccountPath,
    Commitment,
    DueOn,
    IdempotencyKey,
    IsRestricted,
    Moment,
    MomentOrNull,
    NextCursor,
    NumberText,
    PurposeHeader,
    PurposeText,
    RecordIdText,
    base64_text,
    id_in_address,
    id_pattern,
    in_path,
)
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit
from sealwire.doors.api.parts import Here, Visit
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.doors.api.records import OPENING, ContentGone, find_one, page_of
from sealwire.errors import Malformed, Unavailable
from sealwire.governance import accounts
from sealwire.governance.accounts import AccountMissing
from sealwire.governance.agreements import NoAgreement
from sealwire.governance.principals import Scope
from sealwire.governance.service_book import RetentionClassUnnamed, ServiceMissing, require_class
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import E164, AccountId, MessageId, Party, RecordId, ServiceId

MESSAGES, CONTENTS = category_of(MessageRecord), category_of(MessageContent)
NOT_ACCEPTED = "not-accepted"
_EXAMPLE = "msg_5f0c1e2d9a7b4c6e8f10213243546576"
MessageIdText = Annotated[str, Meta(description="The message's id.", examples=[_EXAMPLE])]
MessagePath = Annotated[str, in_path("The message's id.", _EXAMPLE)]
SenderText = Annotated[
    str,
    Meta(
        description="One of the account's numbers (the first by default), or a name that the operator allowed it.",
        examples=["+441632960100"],
        max_length=40,
    ),
]
RedactionText = Annotated[
    Redaction,
    Meta(
        description="What is erased when the message has come to its end: `keep` nothing, `content` its text, `all` "
        "its text and its record with both numbers. What it cost stays on the bill.",
        examples=["content"],
    ),
]
ServiceText = Annotated[
    str,
    Meta(
        description="The service it is sent for, in whose retention class it is kept; by default that of the number.",
        examples=["svc_5f0c1e2d9a7b4c6e8f10213243546576"], max_length=40, extra_json_schema=id_pattern("svc"),
    ),
]  # fmt: skip
WORD_MAX = 40
Words = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=WORD_MAX)]], Meta(max_length=50, examples=[["STOP"]])
]
Reply = Annotated[str, Meta(description="Sent in answer to the word; empty: none.", max_length=300, examples=[""])]


class NewMessage(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A message to be sent."""

    sender: SenderText | None = msgspec.field(name="from", default=None)
    to: NumberText
    text: Annotated[str, Meta(description="Up to 20 segments.", examples=["Your table is ready."], max_length=3060)]
    redaction: RedactionText | None = None
    service: ServiceText | None = None
    validity_seconds: Annotated[
        int,
        Meta(ge=VALIDITY_S_MIN, le=VALIDITY_S_MAX, description="How long it is tried.", examples=[VALIDITY_S_DEFAULT]),
    ] = VALIDITY_S_DEFAULT


class MessageSeen(msgspec.Struct, kw_only=True):
    """A message without its content."""

    id: MessageIdText
    record: RecordIdText
    direction: Annotated[str, Meta(description="`in` or `out`.", examples=["out"])]
    state: Annotated[
        str,
        Meta(
            description="Out: accepted, sending, sent, then delivered, failed, expired or unconfirmed (no receipt). "
            "In: received. `not-accepted`: a crash came before it was accepted, and it is not sent.",
            examples=["delivered"],
        ),
    ]
    error: Annotated[int, Meta(description="Why it failed: SMPP 3.4, 5.1.3, or the receipt's `err`.", examples=[0])]
    accepted_at: Moment
    sent_at: MomentOrNull
    final_at: MomentOrNull
    expires_at: MomentOrNull
    encoding: Annotated[str, Meta(description="`gsm` or `ucs2`.", examples=["gsm"])]
    segments: Annotated[int, Meta(examples=[1])]
    segments_missing: Annotated[int, Meta(description="Of a message in, those that never came.", examples=[0])]
    redaction: RedactionText
    redacted_at: MomentOrNull
    retention_class: Annotated[int, Meta(description="In which it is kept: that of its service.", examples=[0])]
    due_on: DueOn
    commitment: Commitment
    restricted: IsRestricted = False


class MessagePage(msgspec.Struct, kw_only=True):
    """A page of messages, newest first."""

    items: list[MessageSeen]
    next_cursor: NextCursor


class OpenedMessage(msgspec.Struct, kw_only=True):
    """An opened message."""

    id: MessageIdText
    purpose: PurposeText
    sender: Annotated[str, Meta(examples=["+441632960100"])] = msgspec.field(name="from")
    to: Annotated[str, Meta(examples=["+441632960123"])]
    text: Annotated[str | None, Meta(description="Null when it is erased.", examples=["Your table is ready."])]


class MessageSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How the account's messages are treated."""

    redaction: RedactionText = Redaction.KEEP
    stop_words: Words = msgspec.field(default_factory=lambda: list(configured.STOP_WORDS))
    start_words: Words = msgspec.field(default_factory=lambda: list(configured.START_WORDS))
    help_words: Words = msgspec.field(default_factory=lambda: list(configured.HELP_WORDS))
    stop_reply: Reply = ""
    start_reply: Reply = ""
    help_reply: Reply = ""
    retention_class: Annotated[
        int,
        Meta(
            ge=0, le=15, examples=[0],
            description="In which messages are kept that go under a name, or through a number no service answers. "
            "Those of a number are kept in the class of its service.",
        ),
    ] = 0  # fmt: skip


class NewSenderName(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A name an account may send under."""

    name: Annotated[
        str, Meta(pattern=r"^(?=.*[A-Za-z])[A-Za-z0-9 ._-]{1,11}$", examples=["Example"], description="With a letter.")
    ]


class SenderNames(msgspec.Struct, kw_only=True):
    """All names an account may send under."""

    names: Annotated[list[str], Meta(examples=[["Example"]])]


@post(
    "/v1/messages",
    status_code=HTTP_202_ACCEPTED,
    **operation(
        "send-message", "Messages", Scope.MESSAGES, summary="Send a message",
        raises=(
            IdempotencyConflict, IdempotencyKeyMalformed, SenderNotAllowed, SenderMissing, RecipientOptedOut,
            CardNumberRefused, DestinationNotAllowed, SpendCapReached, OutboundSuspended, TextTooLong, TextEmpty,
            TextNotSendable, ValidityOutOfRange, ServiceMissing, NoAgreement, CentreMissing, Unavailable,
        ),
        body={"from": "+441632960100", "to": "+441632960123", "text": "Your table is ready."},
    ),
)  # fmt: skip
async def send_message(
    here: Here, data: JSONBody[NewMessage], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[MessageSeen]:
    """Accepted once this answers: it survives a crash, and the webhook or a look at it tells what became of it."""
    account, once = here.account, await Once.of(request, here, idempotency_key)
    async with here.parts.database.account(account) as connection:
        before = await once.seen(connection, account)
    if before is not None:
        return Response(await _look(here, MessageId.parse(before)), status_code=HTTP_202_ACCEPTED, headers=REPLAYED)

    async def remember(connection: Connection, message: MessageId) -> None:
        await once.remember(connection, account, str(message))

    wish = Wish(
        redaction=data.redaction, validity_s=data.validity_seconds, credential=here.principal.credential,
        with_row=remember, service=ServiceId.parse(data.service) if data.service is not None else None,
    )  # fmt: skip
    sender = _sender(data.sender) if data.sender is not None else None
    message = await here.parts.outbox.send(account, sender=sender, recipient=Party(data.to), text=data.text, wish=wish)
    return Response(
        await _look(here, message), status_code=HTTP_202_ACCEPTED, headers={"Location": f"/v1/messages/{message}"}
    )


@get(
    "/v1/messages",
    **operation("list-messages", "Messages", Scope.READ, summary="List messages", raises=(CursorMalformed,)),
)
async def list_messages(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> MessagePage:
    """Newest first, in and out, without content: who wrote to whom is sealed, and a list opens nothing."""
    page, next_cursor = await page_of(here, MESSAGES, kind="messages", cursor=cursor, limit=limit)
    known = await standings(here.parts.database, here.account, [row.plain["message_id"] for row in page])
    return MessagePage(items=[_seen(row, known.get(row.plain["message_id"])) for row in page], next_cursor=next_cursor)


@get(
    "/v1/messages/{message_id:str}",
    **operation(
        "get-message", "Messages", Scope.READ, summary="Look at a message",
        raises=(RecordMissing, RecordErased, IdMalformed),
    ),
)  # fmt: skip
async def get_message(here: Here, message_id: MessagePath) -> MessageSeen:
    """Its state, without content. Once its record is erased it answers 410."""
    return await _look(here, id_in_address(MessageId, message_id))


@get(
    "/v1/messages/{message_id:str}/content",
    **operation(
        "open-message", "Messages", Scope.OPEN, summary="Open a message",
        raises=OPENING,
    ),
)  # fmt: skip
async def open_message(here: Here, message_id: MessagePath, purpose: PurposeHeader = None) -> OpenedMessage:
    """Numbers and text, under one entry in the account's log. The text is null when it was erased before the record."""
    stated, message = here.principal.purpose(purpose), id_in_address(MessageId, message_id)
    record = await _find(here, message)
    standing = (await standings(here.parts.database, here.account, [message])).get(message)
    try:
        wanted = standing.contents if standing is not None else []
        contents = await here.parts.custody.find(here.account, wanted, category=CONTENTS) if wanted else []
    except (RecordErased, RecordMissing):
        contents = []
    opened = await here.parts.custody.open_stored(here.principal, [record, *contents], purpose=stated)
    if not opened or opened[0].stored.record != record.record:
        raise ContentGone
    parties, texts = opened[0].content.reveal(), [each.content.reveal()["text"] for each in opened[1:]]
    return OpenedMessage(
        id=str(message), purpose=stated.value, sender=str(parties["sender"]), to=str(parties["recipient"]),
        text="".join(texts) if texts and len(texts) == len(contents) else None,
    )  # fmt: skip


@get(
    "/v1/message-settings",
    **operation("get-message-settings", "Messages", Scope.READ, summary="Look at how messages are treated"),
)
async def get_message_settings(here: Here) -> MessageSettings:
    """The account's own settings, or the standard ones."""
    async with here.parts.database.account(here.account) as connection:
        found = await configured.settings_of(connection, here.account)
    return _settings_seen(found)


@put(
    "/v1/message-settings",
    **operation(
        "put-message-settings", "Messages", Scope.CONFIGURE, summary="Say how messages are treated",
        raises=(RetentionClassUnnamed,),
    ),
)  # fmt: skip
async def put_message_settings(here: Here, data: JSONBody[MessageSettings]) -> MessageSettings:
    """Replaces all of them, for messages accepted or received from now on; words are compared without case."""
    words = {
        name: tuple(dict.fromkeys(configured.plain_word(word) for word in getattr(data, name)))
        for name in ("stop_words", "start_words", "help_words")
    }
    if not all(0 < len(word) <= WORD_MAX for each in words.values() for word in each):
        raise Malformed("a word has 1 to 40 characters once it is written plainly, as words are compared")
    chosen = configured.MessageSettings(
        redaction=data.redaction, stop_reply=data.stop_reply, start_reply=data.start_reply, help_reply=data.help_reply,
        retention_class=data.retention_class, **words,
    )  # fmt: skip
    async with here.parts.database.account(here.account) as connection:
        await require_class(connection, here.account, data.retention_class)
        await configured.put_settings(connection, here.account, chosen, at=here.parts.clock.now())
    return _settings_seen(chosen)


@post(
    "/v1/accounts/{account_id:str}/sender-names",
    status_code=HTTP_200_OK,
    **operation(
        "allow-sender-name", "Messages", Scope.OPERATOR, summary="Let an account send under a name",
        raises=(AccountMissing, IdMalformed),
    ),
)  # fmt: skip
async def allow_sender_name(here: Here, account_id: AccountPath, data: JSONBody[NewSenderName]) -> SenderNames:
    """Names are not checked by anybody else: see to it that the account may use this one. Twice changes nothing."""
    account = id_in_address(AccountId, account_id)
    async with here.parts.database.account(account) as connection:
        await accounts.find_open(connection, account)
        names = await configured.allow_sender_name(connection, account, data.name, at=here.parts.clock.now())
    return SenderNames(names=names)


async def _look(here: Visit, message: MessageId) -> MessageSeen:
    row = await _find(here, message)
    known = await standings(here.parts.database, here.account, [message])
    return _seen(row, known.get(message))


async def _find(here: Visit, message: MessageId) -> StoredRecord:
    return await find_one(here, MESSAGES, RecordId(message.value))


def _sender(text: str) -> Party:
    return Party(text) if any(character.isalpha() for character in text) else Party(E164.parse(text).text)


def _seen(row: StoredRecord, standing: Standing | None) -> MessageSeen:
    plain = row.plain
    return MessageSeen(
        id=str(plain["message_id"]), record=str(row.record), direction=plain["direction"],
        state=standing.state.value if standing else NOT_ACCEPTED, error=standing.error if standing else 0,
        accepted_at=plain["accepted_at"], sent_at=standing.sent_at if standing else None,
        final_at=standing.final_at if standing else None,
        expires_at=standing.expires_at if standing and plain["direction"] == "out" else None,
        encoding=plain["encoding"], segments=plain["segments"],
        segments_missing=standing.segments_missing if standing else 0, redaction=Redaction(plain["redaction"]),
        redacted_at=standing.redacted_at if standing else None, retention_class=row.retention_class,
        due_on=row.due_day.date, commitment=base64_text(row.commitment), restricted=row.restricted,
    )  # fmt: skip


def _settings_seen(found: configured.MessageSettings) -> MessageSettings:
    return MessageSettings(
        redaction=found.redaction, stop_words=list(found.stop_words), start_words=list(found.start_words),
        help_words=list(found.help_words), stop_reply=found.stop_reply, start_reply=found.start_reply,
        help_reply=found.help_reply, retention_class=found.retention_class,
    )  # fmt: skip
