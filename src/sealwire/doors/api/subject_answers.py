"""Answers to data subjects on their way out: lines of JSON, or an archive; counted, and noted beside the request."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from litestar.response import Stream

from sealwire.communications.disclosures import recipients_of
from sealwire.communications.encryption.age import AgeSealer, Recipient
from sealwire.custody.requests import acting
from sealwire.custody.requests.answering import Answer
from sealwire.custody.requests.provenance import Surroundings
from sealwire.custody.requests.workflow import Request, State
from sealwire.doors.api.parts import Visit
from sealwire.doors.api.subject_archive import SubjectArchive
from sealwire.errors import Refused

NO_STORE = {"Cache-Control": "no-store"}


class AnswerRefused(Refused):
    """Data is handed out for access and portability, when nobody doubts who asks and nothing was refused."""


class RecipientNeeded(Refused):
    """An archive is sealed to a public key: make the request again with `recipient`, the line that begins with age1."""


async def stream_answer(here: Visit, request: Request) -> Stream:
    """JSON Lines; what fails before the first line is a problem document, later the summary is missing."""
    answer, _ = await _answer(here, request)
    first = await answer.begin()

    async def lines() -> AsyncIterator[bytes]:
        yield _line({**first, "request": str(request.request), "kind": request.kind.value})
        async for page in answer.told():
            yield b"".join(_line(told.line) for told in page)
        summary = await answer.end()
        await _note(here, request, answer)
        yield _line(summary)

    return Stream(lines(), media_type="application/x-ndjson", headers=NO_STORE)


async def stream_archive(here: Visit, request: Request) -> Stream:
    """A tar inside an age file, sealed as it is made; nothing of it is written anywhere here."""
    answer, details = await _answer(here, request)
    if "recipient" not in details:
        raise RecipientNeeded
    sealer = AgeSealer([Recipient.parse(details["recipient"])])
    await answer.begin()
    archive = SubjectArchive(here.parts.custody, here.principal, answer, request=str(request.request))

    async def pieces() -> AsyncIterator[bytes]:
        async for piece in archive.stream():
            if sealed := sealer.update(piece):
                yield sealed
        await _note(here, request, answer)
        yield sealer.finalize()

    name = f'attachment; filename="{request.request}.tar.age"'
    return Stream(pieces(), media_type="application/age", headers={**NO_STORE, "Content-Disposition": name})


async def _answer(here: Visit, request: Request) -> tuple[Answer, dict[str, Any]]:
    if not request.kind.is_answered or request.state in (State.IDENTITY_DOUBT, State.REFUSED):
        raise AnswerRefused
    person, details = await acting.asked(here.parts.custody, here.principal, request)
    mixed = bool(details.get("mixed_audio"))
    surroundings = await _surroundings(here)
    answer = Answer(here.parts.custody, here.principal, person, surroundings=surroundings, mixed_audio=mixed)
    return answer, details


async def _surroundings(here: Visit) -> Surroundings:
    """Who received what, as far as it is configured."""
    settings = here.parts.settings
    async with here.parts.database.account(here.account) as connection:
        found = await recipients_of(connection, here.account, has_centre=bool(settings.smsc))
    by_name = {name: [recipient.text for recipient in recipients] for name, recipients in found.items()}
    return Surroundings(settings.backup_cycle_days, by_name)


async def _note(here: Visit, request: Request, answer: Answer) -> None:
    """What was counted, unless the request is closed: then what was counted for it stays."""
    if request.closed_at is not None:
        return
    async with here.parts.database.account(here.account) as connection:
        await acting.note(connection, request, answer.tally.as_counts(), here.parts.custody)


def _line(line: dict[str, Any]) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"
