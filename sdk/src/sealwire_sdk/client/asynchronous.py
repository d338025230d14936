"""Every operation of the API. Written by generate_client.py from the service's OpenAPI document: do not edit."""

# ruff: noqa: A002 - arguments are called what the API calls them

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

import msgspec

from sealwire_sdk.client.models import (
    AccountMade,
    AccountSeen,
    ActionDone,
    Agreements,
    AgreementSeen,
    Answer,
    ApplicationPage,
    ApplicationSeen,
    BillingPage,
    BillingSeen,
    BillingSums,
    BuiltIn,
    CallCancelled,
    CallPage,
    CallSeen,
    CallStarted,
    CardPolicy,
    ClassSeen,
    ClosureBegun,
    ClosurePage,
    ClosureSeen,
    Connect,
    ConsistencySeen,
    CredentialMade,
    Credentials,
    CredentialSeen,
    DayOfCategory,
    DeliveryBegun,
    DeliveryPage,
    DeliveryPending,
    DeliverySeen,
    Destinations,
    DestinationSeen,
    DialRule,
    Direction,
    ErasurePage,
    ErasurePreview,
    ErasureSeen,
    Event,
    Extension,
    GetDigits,
    HangUp,
    Health,
    HeldPeriod,
    HoldPage,
    HoldSeen,
    InclusionSeen,
    InstructionKeys,
    InstructionKeySeen,
    InstructionPage,
    InstructionSeen,
    Inventory,
    LimitsSeen,
    LiveCalls,
    LiveCallSeen,
    MediaErasure,
    MediaPage,
    MediaSeen,
    MessagePage,
    MessageSeen,
    MessageSettings,
    Numbers,
    NumberSeen,
    OpenedApplication,
    OpenedBilling,
    OpenedCall,
    OpenedDelivery,
    OpenedMedia,
    OpenedMessage,
    OpenedOptOut,
    OpenedRecording,
    OptOutPage,
    OptOutSeen,
    Outcome,
    Pages,
    PageSecretMade,
    Pause,
    PauseRecording,
    PendingPage,
    Play,
    Preview,
    Program,
    ProgramMade,
    ProgramPage,
    ProgramSeen,
    Purpose,
    RecipientMade,
    Recipients,
    RecipientSeen,
    Record,
    RecordingPage,
    RecordingPolicy,
    RecordingSeen,
    Rectify,
    Redaction,
    Redirect,
    Refusal,
    Register,
    Reject,
    ReportPage,
    ReportSeen,
    Restrict,
    ResumeRecording,
    RetentionCalendar,
    RetentionChanged,
    RetentionSeen,
    ReturnCodes,
    Ring,
    RunMenu,
    Say,
    Scope,
    SendDigits,
    SenderNames,
    SendMessage,
    ServiceMade,
    ServicePage,
    ServiceSeen,
    Setting,
    SigningSecretMade,
    StandardAgreement,
    StartRecording,
    StopRecording,
    SubjectAnswer,
    SubjectRequestPage,
    SubjectRequestSeen,
    Transfer,
    Transport,
    TransportChecked,
    TrunkPage,
    TrunkSeen,
    UsageSeen,
    WebhookMade,
    WebhookPage,
    WebhookSeen,
)
from sealwire_sdk.client.transport import AsyncWire, Call, decoded, given, path_of


class AsyncOperations:
    """A method for each operation. What is left out (or UNSET) is not sent."""

    def __init__(
        self,
        address: str | None = None,
        secret: str | None = None,
        *,
        ca: Path | str | None = None,
        seconds: float = 30.0,
    ) -> None:
        self._wire = AsyncWire(address, secret, ca=ca, seconds=seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._wire.close()

    async def create_account(
        self,
        *,
        name: str,
        country: str | None = None,
        default_purpose: Purpose | None = None,
        idempotency_key: str | None = None,
    ) -> AccountMade:
        """Make an account. With its own evidence log, its own keys, and a first credential of scope `owner`, whose
        secret is shown once.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/accounts",
                    body={"name": name, "country": given(country), "default_purpose": given(default_purpose)},
                    key=idempotency_key,
                )
            ),
            AccountMade,
        )

    async def get_account(self, account_id: str) -> AccountSeen:
        """Look at an account. A credential sees its own account only; any other id is as unknown as a random one."""
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/accounts/{account_id}", account_id=account_id))), AccountSeen
        )

    async def assign_number(
        self,
        account_id: str,
        *,
        number: str,
        service: str | None = None,
        caller_only: bool | None = None,
        idempotency_key: str | None = None,
    ) -> NumberSeen:
        """Give an account a number. Calls to this number are answered by the service, on this account's behalf,
        from the next call on.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    path_of("/v1/accounts/{account_id}/numbers", account_id=account_id),
                    body={"number": number, "service": given(service), "caller_only": given(caller_only)},
                    key=idempotency_key,
                )
            ),
            NumberSeen,
        )

    async def remove_number(self, account_id: str, number_id: str) -> None:
        """Take a number back. The next call to it is not routed any more; one that is up goes on to its end."""
        await self._wire.send(
            Call(
                "DELETE",
                path_of("/v1/accounts/{account_id}/numbers/{number_id}", account_id=account_id, number_id=number_id),
            )
        )

    async def list_numbers(self) -> Numbers:
        """List the account's numbers. All of them: an account has few. For another one, ask the operator."""
        return decoded(await self._wire.send(Call("GET", "/v1/numbers")), Numbers)

    async def point_number(self, number_id: str, *, service_id: str | None) -> NumberSeen:
        """Point a number to a service. From the next call on. Calls that are up stay with the service that took
        them.
        """
        return decoded(
            await self._wire.send(
                Call("PATCH", path_of("/v1/numbers/{number_id}", number_id=number_id), body={"service_id": service_id})
            ),
            NumberSeen,
        )

    async def list_services(self, *, cursor: str | None = None, limit: int | None = None) -> ServicePage:
        """List services. Newest first, without their secrets."""
        return decoded(
            await self._wire.send(Call("GET", "/v1/services", query={"cursor": cursor, "limit": limit})), ServicePage
        )

    async def iter_services(self, *, limit: int | None = None) -> AsyncIterator[ServiceSeen]:
        """List services, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_services(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def create_service(
        self,
        *,
        name: str,
        logic: Pages | Program | BuiltIn,
        direction: Direction | None = None,
        recording: RecordingPolicy | None = None,
        seconds_max: int | None = None,
        early_media: bool | None = None,
        retention_class: int | None = None,
        idempotency_key: str | None = None,
    ) -> ServiceMade:
        """Make a service. Then point a number to it, or start calls with it. The signing secret of its pages is in
        this answer only.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/services",
                    body={
                        "name": name,
                        "direction": given(direction),
                        "logic": logic,
                        "recording": given(recording),
                        "seconds_max": given(seconds_max),
                        "early_media": given(early_media),
                        "retention_class": given(retention_class),
                    },
                    key=idempotency_key,
                )
            ),
            ServiceMade,
        )

    async def get_service_schema(self) -> dict[str, Any]:
        """The JSON Schema of a service. What `create-service` takes, as a JSON Schema (2020-12), for editors and
        programs that make services.
        """
        return decoded(await self._wire.send(Call("GET", "/v1/services/schema")), dict[str, Any])

    async def get_service(self, service_id: str) -> ServiceSeen:
        """Look at a service. As it is now."""
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/services/{service_id}", service_id=service_id))), ServiceSeen
        )

    async def remove_service(self, service_id: str) -> None:
        """Remove a service. Only when no number points to it. What its calls left stays in custody."""
        await self._wire.send(Call("DELETE", path_of("/v1/services/{service_id}", service_id=service_id)))

    async def change_service(
        self,
        service_id: str,
        *,
        name: str | None = None,
        direction: Direction | None = None,
        logic: Pages | Program | BuiltIn | None = None,
        recording: RecordingPolicy | None = None,
        seconds_max: int | None = None,
        early_media: bool | None = None,
        retention_class: int | None = None,
    ) -> ServiceMade:
        """Change a service. Fields that are left out stay. A secret is shown only when pages took the place of
        something else.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "PATCH",
                    path_of("/v1/services/{service_id}", service_id=service_id),
                    body={
                        "name": given(name),
                        "direction": given(direction),
                        "logic": given(logic),
                        "recording": given(recording),
                        "seconds_max": given(seconds_max),
                        "early_media": given(early_media),
                        "retention_class": given(retention_class),
                    },
                )
            ),
            ServiceMade,
        )

    async def rotate_page_secret(self, service_id: str, *, idempotency_key: str | None = None) -> PageSecretMade:
        """Change the signing secret of a service's pages. For a day requests carry a signature by the old secret
        too, so that no page has to change in the same moment.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST", path_of("/v1/services/{service_id}/page-secret", service_id=service_id), key=idempotency_key
                )
            ),
            PageSecretMade,
        )

    async def list_trunks(self, *, cursor: str | None = None, limit: int | None = None) -> TrunkPage:
        """List trunks. The account's own, newest first; with the operator's credential the operator's."""
        return decoded(
            await self._wire.send(Call("GET", "/v1/trunks", query={"cursor": cursor, "limit": limit})), TrunkPage
        )

    async def iter_trunks(self, *, limit: int | None = None) -> AsyncIterator[TrunkSeen]:
        """List trunks, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_trunks(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def create_trunk(
        self,
        *,
        name: str,
        host: str,
        port: int | None = None,
        transport: Transport | None = None,
        username: str | None = None,
        sources: list[str] | None = None,
        default_caller: str | None = None,
        caller_plus: bool | None = None,
        rules: list[DialRule] | None = None,
        priority: int | None = None,
        outbound: bool | None = None,
        secret: str | None = None,
        idempotency_key: str | None = None,
    ) -> TrunkSeen:
        """Connect a trunk. With an account's credential it carries that account's calls; with the operator's,
        everybody's.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/trunks",
                    body={
                        "name": name,
                        "host": host,
                        "port": given(port),
                        "transport": given(transport),
                        "username": given(username),
                        "sources": given(sources),
                        "default_caller": given(default_caller),
                        "caller_plus": given(caller_plus),
                        "rules": given(rules),
                        "priority": given(priority),
                        "outbound": given(outbound),
                        "secret": given(secret),
                    },
                    key=idempotency_key,
                )
            ),
            TrunkSeen,
        )

    async def get_trunk(self, trunk_id: str) -> TrunkSeen:
        """Look at a trunk. Its password is never shown."""
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/trunks/{trunk_id}", trunk_id=trunk_id))), TrunkSeen
        )

    async def remove_trunk(self, trunk_id: str) -> None:
        """Disconnect a trunk. Calls that are up go on to their end."""
        await self._wire.send(Call("DELETE", path_of("/v1/trunks/{trunk_id}", trunk_id=trunk_id)))

    async def change_trunk(
        self,
        trunk_id: str,
        *,
        name: str | None = None,
        host: str | None = None,
        port: int | None = None,
        transport: Transport | None = None,
        username: str | None = None,
        secret: str | msgspec.UnsetType | None = msgspec.UNSET,
        sources: list[str] | None = None,
        default_caller: str | msgspec.UnsetType | None = msgspec.UNSET,
        caller_plus: bool | None = None,
        rules: list[DialRule] | None = None,
        priority: int | None = None,
        outbound: bool | None = None,
    ) -> TrunkSeen:
        """Change a trunk. Fields that are left out stay. It counts from the next call on."""
        return decoded(
            await self._wire.send(
                Call(
                    "PATCH",
                    path_of("/v1/trunks/{trunk_id}", trunk_id=trunk_id),
                    body={
                        "name": given(name),
                        "host": given(host),
                        "port": given(port),
                        "transport": given(transport),
                        "username": given(username),
                        "secret": secret,
                        "sources": given(sources),
                        "default_caller": default_caller,
                        "caller_plus": given(caller_plus),
                        "rules": given(rules),
                        "priority": given(priority),
                        "outbound": given(outbound),
                    },
                )
            ),
            TrunkSeen,
        )

    async def list_webhooks(self, *, cursor: str | None = None, limit: int | None = None) -> WebhookPage:
        """List webhook endpoints. Newest first, without their secrets."""
        return decoded(
            await self._wire.send(Call("GET", "/v1/webhooks", query={"cursor": cursor, "limit": limit})), WebhookPage
        )

    async def iter_webhooks(self, *, limit: int | None = None) -> AsyncIterator[WebhookSeen]:
        """List webhook endpoints, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_webhooks(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def create_webhook(
        self, *, address: str, events: list[Event], label: str | None = None, idempotency_key: str | None = None
    ) -> WebhookMade:
        """Make a webhook endpoint. Events carry references: ids, codes and counts, never contents. The signing
        secret is in this answer only.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/webhooks",
                    body={"address": address, "events": events, "label": given(label)},
                    key=idempotency_key,
                )
            ),
            WebhookMade,
        )

    async def get_webhook(self, endpoint_id: str) -> WebhookSeen:
        """Look at a webhook endpoint. As it is now; whether it takes what it is sent is in `failing_since`."""
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/webhooks/{endpoint_id}", endpoint_id=endpoint_id))),
            WebhookSeen,
        )

    async def remove_webhook(self, endpoint_id: str) -> None:
        """Remove a webhook endpoint. Nothing is sent there any more. What waited is kept as not delivered; earlier
        deliveries stay in custody.
        """
        await self._wire.send(Call("DELETE", path_of("/v1/webhooks/{endpoint_id}", endpoint_id=endpoint_id)))

    async def change_webhook(
        self,
        endpoint_id: str,
        *,
        address: str | None = None,
        events: list[Event] | None = None,
        label: str | None = None,
        state: Literal["active", "paused"] | None = None,
    ) -> WebhookSeen:
        """Change a webhook endpoint. Fields that are left out stay. A paused endpoint is told of nothing new, and
        what waited goes on waiting.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "PATCH",
                    path_of("/v1/webhooks/{endpoint_id}", endpoint_id=endpoint_id),
                    body={
                        "address": given(address),
                        "events": given(events),
                        "label": given(label),
                        "state": given(state),
                    },
                )
            ),
            WebhookSeen,
        )

    async def rotate_webhook_secret(self, endpoint_id: str, *, idempotency_key: str | None = None) -> SigningSecretMade:
        """Change an endpoint's signing secret. For a day deliveries carry a signature by the old secret too, so
        that the receiver can change in its own time.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    path_of("/v1/webhooks/{endpoint_id}/signing-secret", endpoint_id=endpoint_id),
                    key=idempotency_key,
                )
            ),
            SigningSecretMade,
        )

    async def test_webhook(self, endpoint_id: str, *, idempotency_key: str | None = None) -> DeliveryBegun:
        """Send a test event. A `webhook.test` event goes to this endpoint, whichever events it wants; see what came
        of it by its id.
        """
        return decoded(
            await self._wire.send(
                Call("POST", path_of("/v1/webhooks/{endpoint_id}/test", endpoint_id=endpoint_id), key=idempotency_key)
            ),
            DeliveryBegun,
        )

    async def list_webhook_deliveries(self, *, cursor: str | None = None, limit: int | None = None) -> DeliveryPage:
        """List deliveries that have ended. Newest first, of all endpoints, without what was sent."""
        return decoded(
            await self._wire.send(Call("GET", "/v1/webhook-deliveries", query={"cursor": cursor, "limit": limit})),
            DeliveryPage,
        )

    async def iter_webhook_deliveries(self, *, limit: int | None = None) -> AsyncIterator[DeliverySeen]:
        """List deliveries that have ended, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_webhook_deliveries(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def list_pending_deliveries(self, *, cursor: str | None = None, limit: int | None = None) -> PendingPage:
        """List deliveries on their way. Newest first, with when each is tried next."""
        return decoded(
            await self._wire.send(
                Call("GET", "/v1/webhook-deliveries/pending", query={"cursor": cursor, "limit": limit})
            ),
            PendingPage,
        )

    async def iter_pending_deliveries(self, *, limit: int | None = None) -> AsyncIterator[DeliveryPending]:
        """List deliveries on their way, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_pending_deliveries(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def get_webhook_delivery(self, delivery_id: str) -> DeliverySeen:
        """Look at a delivery. On its way or ended, without what was sent."""
        return decoded(
            await self._wire.send(
                Call("GET", path_of("/v1/webhook-deliveries/{delivery_id}", delivery_id=delivery_id))
            ),
            DeliverySeen,
        )

    async def open_webhook_delivery(self, delivery_id: str, *, purpose: Purpose | None = None) -> OpenedDelivery:
        """Open what was sent. The address and the body of a delivery that has ended. One leaf in the log."""
        return decoded(
            await self._wire.send(
                Call(
                    "GET",
                    path_of("/v1/webhook-deliveries/{delivery_id}/content", delivery_id=delivery_id),
                    headers={"Sealwire-Purpose": purpose},
                )
            ),
            OpenedDelivery,
        )

    async def retry_webhook_delivery(self, delivery_id: str, *, idempotency_key: str | None = None) -> DeliveryBegun:
        """Send a delivery again. One on its way is tried at once. One that has ended is sent again as a new
        delivery, with the same references.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    path_of("/v1/webhook-deliveries/{delivery_id}/retry", delivery_id=delivery_id),
                    key=idempotency_key,
                )
            ),
            DeliveryBegun,
        )

    async def list_applications(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        service_id: str | None = None,
        call_id: str | None = None,
        outcome: Outcome | None = None,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> ApplicationPage:
        """List application records. Newest first, with costs and return codes, without content. Go on while there
        is a `next_cursor`.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "GET",
                    "/v1/applications",
                    query={
                        "cursor": cursor,
                        "limit": limit,
                        "service_id": service_id,
                        "call_id": call_id,
                        "outcome": outcome,
                        "since": since,
                        "until": until,
                    },
                )
            ),
            ApplicationPage,
        )

    async def iter_applications(
        self,
        *,
        limit: int | None = None,
        service_id: str | None = None,
        call_id: str | None = None,
        outcome: Outcome | None = None,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> AsyncIterator[ApplicationSeen]:
        """List application records, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_applications(
                limit=limit,
                service_id=service_id,
                call_id=call_id,
                outcome=outcome,
                since=since,
                until=until,
                cursor=cursor,
            )
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def get_application(self, application_id: str) -> ApplicationSeen:
        """Look at an application record. It is there once the application has ended; until then ask the call's
        status.
        """
        return decoded(
            await self._wire.send(
                Call("GET", path_of("/v1/applications/{application_id}", application_id=application_id))
            ),
            ApplicationSeen,
        )

    async def open_application(self, application_id: str, *, purpose: Purpose | None = None) -> OpenedApplication:
        """Open an application record. Arguments and parameters; who opens them, and why, stands in the account's
        log first.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "GET",
                    path_of("/v1/applications/{application_id}/content", application_id=application_id),
                    headers={"Sealwire-Purpose": purpose},
                )
            ),
            OpenedApplication,
        )

    async def list_return_codes(self) -> ReturnCodes:
        """What return codes mean. The service's own, from -99 to 0. They never change their meaning."""
        return decoded(await self._wire.send(Call("GET", "/v1/return-codes")), ReturnCodes)

    async def get_standard_agreement(self) -> StandardAgreement:
        """Read the standard agreement. Its text, and the hash by which you accept exactly this text."""
        return decoded(await self._wire.send(Call("GET", "/v1/agreements/standard")), StandardAgreement)

    async def list_agreements(self) -> Agreements:
        """List agreements. Each with its annex as it was when it was accepted."""
        return decoded(await self._wire.send(Call("GET", "/v1/agreements")), Agreements)

    async def accept_agreement(self, *, sha256: str, idempotency_key: str | None = None) -> AgreementSeen:
        """Accept the standard agreement. From here on calls are answered and records kept. The annex fixes the keys
        that an auditor pins.
        """
        return decoded(
            await self._wire.send(Call("POST", "/v1/agreements", body={"sha256": sha256}, key=idempotency_key)),
            AgreementSeen,
        )

    async def list_credentials(self) -> Credentials:
        """List credentials. All of them, oldest first, with what each may do; never a secret."""
        return decoded(await self._wire.send(Call("GET", "/v1/credentials")), Credentials)

    async def create_credential(
        self,
        *,
        label: str,
        scopes: list[Scope],
        default_purpose: Purpose | None = None,
        allowed_from: list[str] | None = None,
        idempotency_key: str | None = None,
    ) -> CredentialMade:
        """Make a credential. The secret is in this answer only; we keep its hash. Give each program its own, with
        no more than it needs.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/credentials",
                    body={
                        "label": label,
                        "scopes": scopes,
                        "default_purpose": given(default_purpose),
                        "allowed_from": given(allowed_from),
                    },
                    key=idempotency_key,
                )
            ),
            CredentialMade,
        )

    async def revoke_credential(self, credential_id: str) -> None:
        """Revoke a credential. It is refused from the next request on. Revoking one that is revoked already changes
        nothing.
        """
        await self._wire.send(Call("DELETE", path_of("/v1/credentials/{credential_id}", credential_id=credential_id)))

    async def bind_credential(self, credential_id: str, *, allowed_from: list[str] | None) -> CredentialSeen:
        """Bind a credential to addresses. From the next request on. The address that counts is the connection's
        own; no header changes it.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "PATCH",
                    path_of("/v1/credentials/{credential_id}", credential_id=credential_id),
                    body={"allowed_from": allowed_from},
                )
            ),
            CredentialSeen,
        )

    async def rotate_credential(
        self, credential_id: str, *, overlap_seconds: int | None = None, idempotency_key: str | None = None
    ) -> CredentialMade:
        """Give a credential a new secret. Two secrets are good for a while, so that programs move one by one. A
        secret before those ends at once. Idempotency keys count for each secret by itself.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    path_of("/v1/credentials/{credential_id}/secrets", credential_id=credential_id),
                    body={"overlap_seconds": given(overlap_seconds)},
                    key=idempotency_key,
                )
            ),
            CredentialMade,
        )

    async def list_calls(self, *, cursor: str | None = None, limit: int | None = None) -> CallPage:
        """List calls. Newest first, and without content: who called whom is sealed, and a list opens nothing."""
        return decoded(
            await self._wire.send(Call("GET", "/v1/calls", query={"cursor": cursor, "limit": limit})), CallPage
        )

    async def iter_calls(self, *, limit: int | None = None) -> AsyncIterator[CallSeen]:
        """List calls, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_calls(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def start_call(
        self,
        *,
        service_id: str,
        to: str,
        from_: str | None = None,
        arguments: str | None = None,
        idempotency_key: str | None = None,
    ) -> CallStarted:
        """Start a call. The service's application runs once the called party answers. What became of it is in the
        call's status, then in the call record and the application record. The numbers are in this request only,
        never in an address.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/calls",
                    body={"service_id": service_id, "to": to, "from": given(from_), "arguments": given(arguments)},
                    key=idempotency_key,
                )
            ),
            CallStarted,
        )

    async def list_live_calls(self) -> LiveCalls:
        """List calls that are up. All of them, without numbers; those of other accounts are not told of."""
        return decoded(await self._wire.send(Call("GET", "/v1/live-calls")), LiveCalls)

    async def get_call_status(self, call_id: str) -> LiveCallSeen:
        """Where a call is. Every leg with its state. Once the call has ended this answers 404, and its record is at
        `/v1/calls`.
        """
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/calls/{call_id}/status", call_id=call_id))), LiveCallSeen
        )

    async def cancel_call(self, call_id: str) -> CallCancelled:
        """End a call. Takes it back while it rings, hangs up when it is up. Its records follow as for every other
        call.
        """
        return decoded(
            await self._wire.send(
                Call("POST", path_of("/v1/calls/{call_id}/cancel", call_id=call_id), repeatable=False)
            ),
            CallCancelled,
        )

    async def act_on_call(
        self,
        call_id: str,
        *,
        action: Answer
        | Ring
        | Reject
        | Play
        | Say
        | Record
        | GetDigits
        | RunMenu
        | Connect
        | SendMessage
        | Redirect
        | Pause
        | StartRecording
        | PauseRecording
        | ResumeRecording
        | StopRecording
        | SendDigits
        | Transfer
        | HangUp,
        channel: int | None = None,
    ) -> ActionDone:
        """Have a call do something. Stops what the application is doing on that leg, does this, then lets the
        application go on. What takes longer than half a minute (a long recording, a connection) is answered
        before its end and goes on.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    path_of("/v1/calls/{call_id}/actions", call_id=call_id),
                    body={"action": action, "channel": given(channel)},
                    repeatable=False,
                )
            ),
            ActionDone,
        )

    async def redirect_call(self, call_id: str, *, page: str) -> LiveCallSeen:
        """Send a call to another page. What is being done is stopped, and this page is asked what to do next."""
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    path_of("/v1/calls/{call_id}/redirect", call_id=call_id),
                    body={"page": page},
                    repeatable=False,
                )
            ),
            LiveCallSeen,
        )

    async def get_call(self, call_id: str) -> CallSeen:
        """Look at a call. Without content. Once erased it answers 410 under either id."""
        return decoded(await self._wire.send(Call("GET", path_of("/v1/calls/{call_id}", call_id=call_id))), CallSeen)

    async def open_call(self, call_id: str, *, purpose: Purpose | None = None) -> OpenedCall:
        """Open a call record. Writes who opens it, and why, into the account's log first; if that cannot be
        written, nothing is opened.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "GET",
                    path_of("/v1/calls/{call_id}/content", call_id=call_id),
                    headers={"Sealwire-Purpose": purpose},
                )
            ),
            OpenedCall,
        )

    async def list_messages(self, *, cursor: str | None = None, limit: int | None = None) -> MessagePage:
        """List messages. Newest first, in and out, without content: who wrote to whom is sealed, and a list opens
        nothing.
        """
        return decoded(
            await self._wire.send(Call("GET", "/v1/messages", query={"cursor": cursor, "limit": limit})), MessagePage
        )

    async def iter_messages(self, *, limit: int | None = None) -> AsyncIterator[MessageSeen]:
        """List messages, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_messages(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def send_message(
        self,
        *,
        to: str,
        text: str,
        from_: str | None = None,
        redaction: Redaction | None = None,
        service: str | None = None,
        validity_seconds: int | None = None,
        idempotency_key: str | None = None,
    ) -> MessageSeen:
        """Send a message. Accepted once this answers: it survives a crash, and the webhook or a look at it tells
        what became of it.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/messages",
                    body={
                        "from": given(from_),
                        "to": to,
                        "text": text,
                        "redaction": given(redaction),
                        "service": given(service),
                        "validity_seconds": given(validity_seconds),
                    },
                    key=idempotency_key,
                )
            ),
            MessageSeen,
        )

    async def get_message(self, message_id: str) -> MessageSeen:
        """Look at a message. Its state, without content. Once its record is erased it answers 410."""
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/messages/{message_id}", message_id=message_id))), MessageSeen
        )

    async def open_message(self, message_id: str, *, purpose: Purpose | None = None) -> OpenedMessage:
        """Open a message. Numbers and text, under one entry in the account's log. The text is null when it was
        erased before the record.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "GET",
                    path_of("/v1/messages/{message_id}/content", message_id=message_id),
                    headers={"Sealwire-Purpose": purpose},
                )
            ),
            OpenedMessage,
        )

    async def get_message_settings(self) -> MessageSettings:
        """Look at how messages are treated. The account's own settings, or the standard ones."""
        return decoded(await self._wire.send(Call("GET", "/v1/message-settings")), MessageSettings)

    async def put_message_settings(
        self,
        *,
        redaction: Redaction | None = None,
        stop_words: list[str] | None = None,
        start_words: list[str] | None = None,
        help_words: list[str] | None = None,
        stop_reply: str | None = None,
        start_reply: str | None = None,
        help_reply: str | None = None,
        retention_class: int | None = None,
    ) -> MessageSettings:
        """Say how messages are treated. Replaces all of them, for messages accepted or received from now on; words
        are compared without case.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "PUT",
                    "/v1/message-settings",
                    body={
                        "redaction": given(redaction),
                        "stop_words": given(stop_words),
                        "start_words": given(start_words),
                        "help_words": given(help_words),
                        "stop_reply": given(stop_reply),
                        "start_reply": given(start_reply),
                        "help_reply": given(help_reply),
                        "retention_class": given(retention_class),
                    },
                )
            ),
            MessageSettings,
        )

    async def allow_sender_name(self, account_id: str, *, name: str) -> SenderNames:
        """Let an account send under a name. Names are not checked by anybody else: see to it that the account may
        use this one. Twice changes nothing.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    path_of("/v1/accounts/{account_id}/sender-names", account_id=account_id),
                    body={"name": name},
                    repeatable=False,
                )
            ),
            SenderNames,
        )

    async def list_opt_outs(self, *, cursor: str | None = None, limit: int | None = None) -> OptOutPage:
        """List opt-outs. Newest first, and without numbers."""
        return decoded(
            await self._wire.send(Call("GET", "/v1/opt-outs", query={"cursor": cursor, "limit": limit})), OptOutPage
        )

    async def iter_opt_outs(self, *, limit: int | None = None) -> AsyncIterator[OptOutSeen]:
        """List opt-outs, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_opt_outs(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def add_opt_out(
        self, *, sender: str, person: str, wanted: bool | None = None, idempotency_key: str | None = None
    ) -> OptOutSeen:
        """Note an opt-out. For what somebody said by telephone or letter; what they say by message is noted by
        itself.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/opt-outs",
                    body={"sender": sender, "person": person, "wanted": given(wanted)},
                    key=idempotency_key,
                )
            ),
            OptOutSeen,
        )

    async def open_opt_out(self, record_id: str, *, purpose: Purpose | None = None) -> OpenedOptOut:
        """Open an opt-out. Who wants no messages from whom; written into the account's log first."""
        return decoded(
            await self._wire.send(
                Call(
                    "GET",
                    path_of("/v1/opt-outs/{record_id}/content", record_id=record_id),
                    headers={"Sealwire-Purpose": purpose},
                )
            ),
            OpenedOptOut,
        )

    async def erase_opt_out(self, record_id: str) -> None:
        """Erase an opt-out. As if it had not been said, by a real erasure (`/v1/erasures` shows it). To note a new
        wish, add one instead.
        """
        await self._wire.send(Call("DELETE", path_of("/v1/opt-outs/{record_id}", record_id=record_id)))

    async def list_recordings(
        self, *, cursor: str | None = None, limit: int | None = None, call_id: str | None = None
    ) -> RecordingPage:
        """List recordings. Newest first, and without content."""
        return decoded(
            await self._wire.send(
                Call("GET", "/v1/recordings", query={"cursor": cursor, "limit": limit, "call_id": call_id})
            ),
            RecordingPage,
        )

    async def iter_recordings(
        self, *, limit: int | None = None, call_id: str | None = None
    ) -> AsyncIterator[RecordingSeen]:
        """List recordings, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_recordings(limit=limit, call_id=call_id, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def get_recording(self, record_id: str) -> RecordingSeen:
        """Look at a recording. Without content. Once erased it answers 410 with the address of its certificate."""
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/recordings/{record_id}", record_id=record_id))),
            RecordingSeen,
        )

    async def open_recording(self, record_id: str, *, purpose: Purpose | None = None) -> OpenedRecording:
        """Open what is sealed beside the audio. Who spoke with whom, and the hash of the audio as it was recorded.
        One leaf in the log, as for a call record.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "GET",
                    path_of("/v1/recordings/{record_id}/content", record_id=record_id),
                    headers={"Sealwire-Purpose": purpose},
                )
            ),
            OpenedRecording,
        )

    async def play_recording(self, record_id: str, *, purpose: Purpose | None = None) -> bytes:
        """Download the audio. A WAV file (8 kHz, 16 bit), opened inside the keeper and streamed; the key never
        leaves the keeper. What is sealed to your public keys comes as the age file it is: only you can open it.
        If the stored audio was tampered with or is erased while it streams, the connection ends before the
        announced length.
        """
        return await self._wire.send(
            Call(
                "GET",
                path_of("/v1/recordings/{record_id}/audio", record_id=record_id),
                headers={"Sealwire-Purpose": purpose},
            )
        )

    async def play_recording_into(self, record_id: str, file: BinaryIO, *, purpose: Purpose | None = None) -> int:
        """Download the audio, piece by piece into `file`; the number of bytes."""
        return await self._wire.send_into(
            Call(
                "GET",
                path_of("/v1/recordings/{record_id}/audio", record_id=record_id),
                headers={"Sealwire-Purpose": purpose},
            ),
            file,
        )

    async def list_media(self, *, cursor: str | None = None, limit: int | None = None) -> MediaPage:
        """List media files. Newest first, and without names: a name may name somebody, so it is sealed, and a list
        opens nothing.
        """
        return decoded(
            await self._wire.send(Call("GET", "/v1/media", query={"cursor": cursor, "limit": limit})), MediaPage
        )

    async def iter_media(self, *, limit: int | None = None) -> AsyncIterator[MediaSeen]:
        """List media files, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_media(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def upload_media(
        self,
        *,
        content: bytes,
        name: str,
        content_type: Literal["audio/wav", "application/age", "application/octet-stream"] = "audio/wav",
        idempotency_key: str | None = None,
    ) -> MediaSeen:
        """Upload a media file. The file itself is the body: a wav (PCM of 8 or 16 bit or G.711, up to 20 MiB and 30
        minutes), which is decoded before it is taken; or one you encrypted before: `application/age`, or
        `application/octet-stream` for AES-CBC. Its name goes in a header, never in an address. Of two files with
        one name the newer is played.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/media",
                    content=content,
                    headers={"Sealwire-Media-Name": name, "Content-Type": content_type},
                    key=idempotency_key,
                )
            ),
            MediaSeen,
        )

    async def get_media(self, media_id: str) -> MediaSeen:
        """Look at a media file. Without content. Once erased it answers 410 with the address of its certificate."""
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/media/{media_id}", media_id=media_id))), MediaSeen
        )

    async def erase_media(self, media_id: str) -> MediaErasure:
        """Erase a media file. From this answer on it is not played any more; unreadable within seconds, with a
        certificate that says so. What is being played is played to its end.
        """
        return decoded(
            await self._wire.send(Call("DELETE", path_of("/v1/media/{media_id}", media_id=media_id))), MediaErasure
        )

    async def open_media(self, media_id: str, *, purpose: Purpose | None = None) -> OpenedMedia:
        """Open a media file's name. Its name, and the hash of the file as it was uploaded. One leaf in the log."""
        return decoded(
            await self._wire.send(
                Call(
                    "GET",
                    path_of("/v1/media/{media_id}/content", media_id=media_id),
                    headers={"Sealwire-Purpose": purpose},
                )
            ),
            OpenedMedia,
        )

    async def download_media(self, media_id: str, *, purpose: Purpose | None = None) -> bytes:
        """Download a media file. The file as it was uploaded: what you encrypted comes back encrypted."""
        return await self._wire.send(
            Call("GET", path_of("/v1/media/{media_id}/audio", media_id=media_id), headers={"Sealwire-Purpose": purpose})
        )

    async def download_media_into(self, media_id: str, file: BinaryIO, *, purpose: Purpose | None = None) -> int:
        """Download a media file, piece by piece into `file`; the number of bytes."""
        return await self._wire.send_into(
            Call(
                "GET", path_of("/v1/media/{media_id}/audio", media_id=media_id), headers={"Sealwire-Purpose": purpose}
            ),
            file,
        )

    async def list_recipients(self) -> Recipients:
        """List public keys. All of them with what became of them; a recording's `key_id` stays explained."""
        return decoded(await self._wire.send(Call("GET", "/v1/recipients")), Recipients)

    async def create_recipient(
        self, *, public_key: str, label: str, expires_at: dt.datetime | None = None, idempotency_key: str | None = None
    ) -> RecipientMade:
        """Add a public key. From now on recordings of services with `sealed_to_customer` are sealed to it, and to
        every other valid one. To rotate: add the new key, retire the old one. Without a valid key such a service
        records nothing.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/recipients",
                    body={"public_key": public_key, "label": label, "expires_at": given(expires_at)},
                    key=idempotency_key,
                )
            ),
            RecipientMade,
        )

    async def get_recipient(self, recipient_id: str) -> RecipientSeen:
        """Look at a public key. One of the account's keys."""
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/recipients/{recipient_id}", recipient_id=recipient_id))),
            RecipientSeen,
        )

    async def retire_recipient(self, recipient_id: str) -> None:
        """Retire a public key. No recording that begins from now on is sealed to it. What was sealed to it stays
        so: keep the secret key.
        """
        await self._wire.send(Call("DELETE", path_of("/v1/recipients/{recipient_id}", recipient_id=recipient_id)))

    async def list_programs(self, *, cursor: str | None = None, limit: int | None = None) -> ProgramPage:
        """List programs. Newest first, revoked ones included."""
        return decoded(
            await self._wire.send(Call("GET", "/v1/programs", query={"cursor": cursor, "limit": limit})), ProgramPage
        )

    async def iter_programs(self, *, limit: int | None = None) -> AsyncIterator[ProgramSeen]:
        """List programs, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_programs(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def register_program(self, *, label: str, request: str, idempotency_key: str | None = None) -> ProgramMade:
        """Register a program. Signs a client certificate for 90 days. Your private key never leaves you: send a
        request signed with it.
        """
        return decoded(
            await self._wire.send(
                Call("POST", "/v1/programs", body={"label": label, "request": request}, key=idempotency_key)
            ),
            ProgramMade,
        )

    async def get_program(self, program_id: str) -> ProgramSeen:
        """Look at a program. With its newest certificate."""
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/programs/{program_id}", program_id=program_id))), ProgramSeen
        )

    async def revoke_program(self, program_id: str) -> None:
        """Revoke a program. Ends all its certificates. Connected programs are cut off within a second, and their
        calls with them.
        """
        await self._wire.send(Call("DELETE", path_of("/v1/programs/{program_id}", program_id=program_id)))

    async def renew_program(self, program_id: str, *, request: str, idempotency_key: str | None = None) -> ProgramMade:
        """Renew a program's certificate. Another 90 days from now. The certificate before goes on until its end, so
        that nothing has to be stopped.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    path_of("/v1/programs/{program_id}/renewals", program_id=program_id),
                    body={"request": request},
                    key=idempotency_key,
                )
            ),
            ProgramMade,
        )

    async def ask_subject(
        self, *, number: str, purpose: Purpose | None = None, stated_purpose: Purpose | None = None
    ) -> SubjectAnswer:
        """What do you hold about this number?. Everything about one number in every category: what, why, until
        when, who opened it. The search itself stands in the log. While the index of numbers is being rebuilt the
        answer is 503, never "nothing".
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/subjects",
                    headers={"Sealwire-Purpose": stated_purpose},
                    body={"number": number, "purpose": given(purpose)},
                    repeatable=False,
                )
            ),
            SubjectAnswer,
        )

    async def list_subject_requests(
        self, *, cursor: str | None = None, limit: int | None = None, overdue: bool | None = None
    ) -> SubjectRequestPage:
        """List requests. The last received first, with states and deadlines, and without the people."""
        return decoded(
            await self._wire.send(
                Call("GET", "/v1/subject-requests", query={"cursor": cursor, "limit": limit, "overdue": overdue})
            ),
            SubjectRequestPage,
        )

    async def iter_subject_requests(
        self, *, limit: int | None = None, overdue: bool | None = None
    ) -> AsyncIterator[SubjectRequestSeen]:
        """List requests, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_subject_requests(limit=limit, overdue=overdue, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def create_subject_request(
        self,
        *,
        kind: Literal["access", "erasure", "objection", "portability", "rectification", "restriction"],
        identifier: str,
        received_at: str | None = None,
        recipient: str | None = None,
        mixed_audio: bool | None = None,
        rectify: Rectify | None = None,
        restrict: Restrict | None = None,
        idempotency_key: str | None = None,
    ) -> SubjectRequestSeen:
        """Receive a request. Who asks is sealed as a record of its own; the time to answer runs from the day it was
        received. Erasure, rectification, restriction and objection need the scope `records:erase` too.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/subject-requests",
                    body={
                        "kind": kind,
                        "identifier": identifier,
                        "received_at": given(received_at),
                        "recipient": given(recipient),
                        "mixed_audio": given(mixed_audio),
                        "rectify": given(rectify),
                        "restrict": given(restrict),
                    },
                    key=idempotency_key,
                )
            ),
            SubjectRequestSeen,
        )

    async def get_subject_request(self, request_id: str) -> SubjectRequestSeen:
        """Look at a request. Its state, its deadline, what was counted, and who is told of it."""
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/subject-requests/{request_id}", request_id=request_id))),
            SubjectRequestSeen,
        )

    async def preview_subject_request(self, request_id: str) -> ErasurePreview:
        """See what erasing would do. What would go, what would stay without the person, what is held, and what a
        law keeps. Changes nothing; what is looked at stands in the log.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    path_of("/v1/subject-requests/{request_id}/preview", request_id=request_id),
                    repeatable=False,
                )
            ),
            ErasurePreview,
        )

    async def advance_subject_request(
        self, request_id: str, *, to: Literal["done", "identity-doubt", "in-progress"]
    ) -> SubjectRequestSeen:
        """Take the next step. In doubt about who asks, at work, or done. Done carries out what was asked for:
        erases, corrects, restricts or notes the objection; what was answered is searched for again, and when
        there is more by now it is not done.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    path_of("/v1/subject-requests/{request_id}/advance", request_id=request_id),
                    body={"to": to},
                    repeatable=False,
                )
            ),
            SubjectRequestSeen,
        )

    async def extend_subject_request(self, request_id: str, *, reason: Extension) -> SubjectRequestSeen:
        """Take two months more. Once, and with the reason, which the person must be told within the first month
        (GDPR Art. 12(3)).
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    path_of("/v1/subject-requests/{request_id}/extend", request_id=request_id),
                    body={"reason": reason},
                    repeatable=False,
                )
            ),
            SubjectRequestSeen,
        )

    async def refuse_subject_request(self, request_id: str, *, reason: Refusal) -> SubjectRequestSeen:
        """Refuse a request. With the reason, which the person must be told, and that they may complain (GDPR Art.
        12(4)).
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    path_of("/v1/subject-requests/{request_id}/refuse", request_id=request_id),
                    body={"reason": reason},
                    repeatable=False,
                )
            ),
            SubjectRequestSeen,
        )

    async def answer_subject_request(self, request_id: str) -> bytes:
        """Fetch the answer. JSON Lines: a line that begins the answer, a line for each record, and a summary that
        says whether it is complete. Other people's data is left out. Streamed, each page under a leaf of its
        own.
        """
        return await self._wire.send(
            Call("GET", path_of("/v1/subject-requests/{request_id}/answer", request_id=request_id))
        )

    async def answer_subject_request_into(self, request_id: str, file: BinaryIO) -> int:
        """Fetch the answer, piece by piece into `file`; the number of bytes."""
        return await self._wire.send_into(
            Call("GET", path_of("/v1/subject-requests/{request_id}/answer", request_id=request_id)), file
        )

    async def archive_subject_request(self, request_id: str) -> bytes:
        """Fetch everything as an archive. The answer as JSON and CSV with the person's own audio, in a tar inside
        one age file, sealed to the public key that the request came with: `age -d -i KEY answer.tar.age | tar
        x`. The manifest has the SHA-256 of every file.
        """
        return await self._wire.send(
            Call("GET", path_of("/v1/subject-requests/{request_id}/archive", request_id=request_id))
        )

    async def archive_subject_request_into(self, request_id: str, file: BinaryIO) -> int:
        """Fetch everything as an archive, piece by piece into `file`; the number of bytes."""
        return await self._wire.send_into(
            Call("GET", path_of("/v1/subject-requests/{request_id}/archive", request_id=request_id)), file
        )

    async def get_inventory(self) -> Inventory:
        """What do you hold for this account?. One line per category, empty ones included: absence is an answer too."""
        return decoded(await self._wire.send(Call("GET", "/v1/inventory")), Inventory)

    async def get_register(self) -> Register:
        """Records of processing, from the declarations. Made from the same declarations as storage and erasure,
        under this operator's bounds; nothing is typed twice.
        """
        return decoded(await self._wire.send(Call("GET", "/v1/register")), Register)

    async def get_retention(self) -> RetentionSeen:
        """How long is what kept?. The bounds the operator sets, the classes you have named, and the periods in
        force.
        """
        return decoded(await self._wire.send(Call("GET", "/v1/retention")), RetentionSeen)

    async def name_retention_class(self, *, retention_class: int, name: str) -> ClassSeen:
        """Name a retention class. A new class starts with the periods of class 0. Then set its own periods, and
        point services to it.
        """
        return decoded(
            await self._wire.send(
                Call("PUT", "/v1/retention/classes", body={"retention_class": retention_class, "name": name})
            ),
            ClassSeen,
        )

    async def preview_retention(self, *, settings: list[Setting], instruction: str | None = None) -> Preview:
        """What would a change erase?. Counts of what would go at once, held records apart. Opens nothing and
        changes nothing.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/retention/preview",
                    body={"settings": settings, "instruction": given(instruction)},
                    repeatable=False,
                )
            ),
            Preview,
        )

    async def change_retention(
        self, *, settings: list[Setting], instruction: str | msgspec.UnsetType | None = msgspec.UNSET
    ) -> RetentionChanged:
        """Change retention periods. All settings or none. Shorter: what is past due goes now. Longer: what is kept
        stays, unless it is gone already. Below or above the bounds a signed instruction has to say exactly this,
        and is cited.
        """
        return decoded(
            await self._wire.send(
                Call("PUT", "/v1/retention/periods", body={"settings": settings, "instruction": instruction})
            ),
            RetentionChanged,
        )

    async def get_retention_calendar(self, *, days: int | None = None) -> RetentionCalendar:
        """What expires on which day?. By last day, category and class. What is past due and on its way out stands
        first.
        """
        return decoded(
            await self._wire.send(Call("GET", "/v1/retention/calendar", query={"days": days})), RetentionCalendar
        )

    async def list_instruction_keys(self) -> InstructionKeys:
        """List keys for instructions. Retired ones too: instructions signed by them stay what they are."""
        return decoded(await self._wire.send(Call("GET", "/v1/instruction-keys")), InstructionKeys)

    async def register_instruction_key(self, *, vkey: str) -> InstructionKeySeen:
        """Register a key for instructions. The private key stays with you. The same key again changes nothing; a
        retired one stays retired.
        """
        return decoded(
            await self._wire.send(Call("POST", "/v1/instruction-keys", body={"vkey": vkey}, repeatable=False)),
            InstructionKeySeen,
        )

    async def retire_instruction_key(self, *, vkey: str) -> InstructionKeySeen:
        """Retire a key for instructions. Nothing signed by it is taken from now on."""
        return decoded(
            await self._wire.send(
                Call("POST", "/v1/instruction-keys/retirement", body={"vkey": vkey}, repeatable=False)
            ),
            InstructionKeySeen,
        )

    async def list_instructions(self, *, cursor: str | None = None, limit: int | None = None) -> InstructionPage:
        """List instructions. Newest first, word for word."""
        return decoded(
            await self._wire.send(Call("GET", "/v1/instructions", query={"cursor": cursor, "limit": limit})),
            InstructionPage,
        )

    async def iter_instructions(self, *, limit: int | None = None) -> AsyncIterator[InstructionSeen]:
        """List instructions, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_instructions(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def give_instruction(self, *, note: str, idempotency_key: str | None = None) -> InstructionSeen:
        """Give a signed instruction. Stored word for word, its hash in the log. It changes nothing by itself:
        change-retention cites it.
        """
        return decoded(
            await self._wire.send(Call("POST", "/v1/instructions", body={"note": note}, key=idempotency_key)),
            InstructionSeen,
        )

    async def get_instruction(self, instruction_id: str) -> InstructionSeen:
        """Look at an instruction. Word for word, with the key that signed it."""
        return decoded(
            await self._wire.send(
                Call("GET", path_of("/v1/instructions/{instruction_id}", instruction_id=instruction_id))
            ),
            InstructionSeen,
        )

    async def get_limits(self) -> LimitsSeen:
        """Look at the account's limits. Caps, destinations, and what was spent today and this month (UTC)."""
        return decoded(await self._wire.send(Call("GET", "/v1/limits")), LimitsSeen)

    async def set_limits(
        self,
        *,
        day_cap_millicents: int | msgspec.UnsetType | None = msgspec.UNSET,
        month_cap_millicents: int | msgspec.UnsetType | None = msgspec.UNSET,
        calls_at_once: int | msgspec.UnsetType | None = msgspec.UNSET,
        card_numbers: CardPolicy | None = None,
    ) -> LimitsSeen:
        """Choose the account's own limits. In place of those there were: what is left out is the operator's maximum
        again.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "PUT",
                    "/v1/limits",
                    body={
                        "day_cap_millicents": day_cap_millicents,
                        "month_cap_millicents": month_cap_millicents,
                        "calls_at_once": calls_at_once,
                        "card_numbers": given(card_numbers),
                    },
                )
            ),
            LimitsSeen,
        )

    async def set_destinations(self, *, items: list[DestinationSeen]) -> Destinations:
        """Allow destinations. In place of the list there was. A new account has none, so it may call and write to
        nobody.
        """
        return decoded(
            await self._wire.send(Call("PUT", "/v1/limits/destinations", body={"items": items})), Destinations
        )

    async def get_account_limits(self, account_id: str) -> LimitsSeen:
        """Look at an account's limits as the operator. The same as its owner sees."""
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/accounts/{account_id}/limits", account_id=account_id))),
            LimitsSeen,
        )

    async def set_account_limits(
        self,
        account_id: str,
        *,
        day_cap_millicents: int,
        month_cap_millicents: int,
        calls_at_once: int,
        setups_per_second: int,
        refused_per_minute: int,
        premium_per_minute: int,
        short_calls_per_minute: int,
    ) -> LimitsSeen:
        """Set what an account may have at most. Takes effect at the next call or message, and for what is up within
        a minute.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "PUT",
                    path_of("/v1/accounts/{account_id}/limits", account_id=account_id),
                    body={
                        "day_cap_millicents": day_cap_millicents,
                        "month_cap_millicents": month_cap_millicents,
                        "calls_at_once": calls_at_once,
                        "setups_per_second": setups_per_second,
                        "refused_per_minute": refused_per_minute,
                        "premium_per_minute": premium_per_minute,
                        "short_calls_per_minute": short_calls_per_minute,
                    },
                )
            ),
            LimitsSeen,
        )

    async def set_suspension(self, account_id: str, *, suspended: bool) -> LimitsSeen:
        """Suspend an account's outbound use, or lift that. Suspended: nothing outbound is started, and outbound
        legs that are up end within a minute. Inbound goes on.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "PUT",
                    path_of("/v1/accounts/{account_id}/suspension", account_id=account_id),
                    body={"suspended": suspended},
                )
            ),
            LimitsSeen,
        )

    async def get_usage(
        self,
        *,
        from_: dt.datetime | None = None,
        to: dt.datetime | None = None,
        by: Literal["day", "total"] | None = None,
    ) -> UsageSeen:
        """What the account used. Counted by the day on which a call ended or a message was accepted. What was
        erased is in no count but the amounts. Days without anything are left out.
        """
        return decoded(
            await self._wire.send(Call("GET", "/v1/usage", query={"from": from_, "to": to, "by": by})), UsageSeen
        )

    async def list_reports(self, *, cursor: str | None = None, limit: int | None = None) -> ReportPage:
        """List reports. Newest first. One that has expired stays in the list for 90 days, without what was in it."""
        return decoded(
            await self._wire.send(Call("GET", "/v1/reports", query={"cursor": cursor, "limit": limit})), ReportPage
        )

    async def iter_reports(self, *, limit: int | None = None) -> AsyncIterator[ReportSeen]:
        """List reports, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_reports(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def create_report(
        self,
        *,
        of: Literal[
            "application-records",
            "billing-records",
            "call-records",
            "message-records",
            "recordings",
            "webhook-deliveries",
        ],
        format: Literal["csv", "json"] | None = None,
        begins: str | None = None,
        ends: str | None = None,
        with_content: bool | None = None,
        purpose: Purpose | None = None,
        idempotency_key: str | None = None,
    ) -> ReportSeen:
        """Ask for a report. It is made in the background, also across a restart; follow it, or let the webhook
        `report.ready` tell you. One with content is erased with the first erasure of the account that follows:
        it may hold what goes.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/reports",
                    body={
                        "of": of,
                        "format": given(format),
                        "begins": given(begins),
                        "ends": given(ends),
                        "with_content": given(with_content),
                        "purpose": given(purpose),
                    },
                    key=idempotency_key,
                )
            ),
            ReportSeen,
        )

    async def get_report(self, report_id: str) -> ReportSeen:
        """Follow a report. How far it has come."""
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/reports/{report_id}", report_id=report_id))), ReportSeen
        )

    async def fetch_report(self, report_id: str, *, purpose: Purpose | None = None) -> bytes:
        """Fetch a report. Opened inside the keeper and streamed, after a leaf in the log says who fetches it and
        why. In CSV, a text that begins with = + - or @ has an apostrophe before it, so that no spreadsheet takes
        it for a formula.
        """
        return await self._wire.send(
            Call(
                "GET",
                path_of("/v1/reports/{report_id}/content", report_id=report_id),
                headers={"Sealwire-Purpose": purpose},
            )
        )

    async def fetch_report_into(self, report_id: str, file: BinaryIO, *, purpose: Purpose | None = None) -> int:
        """Fetch a report, piece by piece into `file`; the number of bytes."""
        return await self._wire.send_into(
            Call(
                "GET",
                path_of("/v1/reports/{report_id}/content", report_id=report_id),
                headers={"Sealwire-Purpose": purpose},
            ),
            file,
        )

    async def list_billing_records(self, *, cursor: str | None = None, limit: int | None = None) -> BillingPage:
        """List billing records. Newest first, without numbers. They are kept as long as the law on invoices
        demands.
        """
        return decoded(
            await self._wire.send(Call("GET", "/v1/billing-records", query={"cursor": cursor, "limit": limit})),
            BillingPage,
        )

    async def iter_billing_records(self, *, limit: int | None = None) -> AsyncIterator[BillingSeen]:
        """List billing records, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_billing_records(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def sum_billing_records(
        self, *, from_: dt.datetime | None = None, to: dt.datetime | None = None
    ) -> BillingSums:
        """Sum billing records. What an invoice shows; those whose number was erased are in it."""
        return decoded(
            await self._wire.send(Call("GET", "/v1/billing-records/sums", query={"from": from_, "to": to})), BillingSums
        )

    async def get_billing_record(self, record_id: str) -> BillingSeen:
        """Look at a billing record. Without its number."""
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/billing-records/{record_id}", record_id=record_id))),
            BillingSeen,
        )

    async def open_billing_record(self, record_id: str, *, purpose: Purpose | None = None) -> OpenedBilling:
        """Open the number in a billing record. Who opens it, and why, stands in the log first. Once its person was
        erased there is nothing left to open.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "GET",
                    path_of("/v1/billing-records/{record_id}/content", record_id=record_id),
                    headers={"Sealwire-Purpose": purpose},
                )
            ),
            OpenedBilling,
        )

    async def list_erasures(self, *, cursor: str | None = None, limit: int | None = None) -> ErasurePage:
        """List erasures. Newest first, those of the timetable (expired days) included."""
        return decoded(
            await self._wire.send(Call("GET", "/v1/erasures", query={"cursor": cursor, "limit": limit})), ErasurePage
        )

    async def iter_erasures(self, *, limit: int | None = None) -> AsyncIterator[ErasureSeen]:
        """List erasures, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_erasures(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def create_erasure(
        self,
        *,
        ground: Literal["instruction", "subject-request"],
        call: str | None = None,
        records: list[str] | None = None,
        number: str | None = None,
        day: DayOfCategory | None = None,
        confirmation: str | None = None,
        idempotency_key: str | None = None,
    ) -> ErasureSeen:
        """Erase records. Hidden when this answers, unreadable within seconds, removed within a day, gone from
        backups at the end of their cycle. Named records go whole, a call with its recordings; naming one that a
        statute protects is refused. By number it is as for an erasure request of its subject: what is theirs
        goes, what another party has too is sealed anew without the number, what a statute protects loses it,
        what is held stays; `counts` says how much of each. More than a thousand records at once (the operator's
        setting) are asked about: 409 `much-at-once` with a word, and the same again with that word, after a
        minute and within an hour, is carried out.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/erasures",
                    body={
                        "ground": ground,
                        "call": given(call),
                        "records": given(records),
                        "number": given(number),
                        "day": given(day),
                        "confirmation": given(confirmation),
                    },
                    key=idempotency_key,
                )
            ),
            ErasureSeen,
        )

    async def preview_erasure(
        self, *, ground: Literal["instruction", "subject-request"], number: str
    ) -> ErasurePreview:
        """See what erasing a number would do. What would go, what would stay without the number, what is held, and
        what a law keeps. Changes nothing; what is looked at stands in the log.
        """
        return decoded(
            await self._wire.send(
                Call("POST", "/v1/erasures/preview", body={"ground": ground, "number": number}, repeatable=False)
            ),
            ErasurePreview,
        )

    async def get_erasure(self, erasure_id: str) -> ErasureSeen:
        """Follow an erasure. How far it has come, level by level, each with its own time."""
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/erasures/{erasure_id}", erasure_id=erasure_id))), ErasureSeen
        )

    async def get_certificate(self, erasure_id: str) -> str:
        """Get an erasure's certificate. A `.tlog-proof` file (C2SP) without personal data, made anew when the
        erasure reaches its next level. Check it with `python -m sealwire_verifier certificate FILE --policy
        POLICY`.
        """
        return (
            await self._wire.send(Call("GET", path_of("/v1/certificates/{erasure_id}", erasure_id=erasure_id)))
        ).decode()

    async def list_holds(self, *, cursor: str | None = None, limit: int | None = None) -> HoldPage:
        """List holds. Newest first, those that were released included."""
        return decoded(
            await self._wire.send(Call("GET", "/v1/holds", query={"cursor": cursor, "limit": limit})), HoldPage
        )

    async def iter_holds(self, *, limit: int | None = None) -> AsyncIterator[HoldSeen]:
        """List holds, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_holds(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def place_hold(
        self,
        *,
        kind: Literal["legal-hold", "restriction"],
        reason: Literal[
            "accuracy-contested",
            "authority-order",
            "evidence-preservation",
            "litigation",
            "objection-pending",
            "processing-unlawful",
            "subject-needs-it",
        ],
        until: dt.date,
        reference: str | None = None,
        records: list[str] | None = None,
        number: str | None = None,
        period: HeldPeriod | None = None,
        idempotency_key: str | None = None,
    ) -> HoldSeen:
        """Hold records. What is held outlives its period, an erasure of its day and the closing of the account; an
        erasure that names it is refused. By number: every record in which it occurs, on either side. What was
        due meanwhile goes when it ends.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/holds",
                    body={
                        "kind": kind,
                        "reason": reason,
                        "until": until,
                        "reference": given(reference),
                        "records": given(records),
                        "number": given(number),
                        "period": given(period),
                    },
                    key=idempotency_key,
                )
            ),
            HoldSeen,
        )

    async def get_hold(self, hold_id: str) -> HoldSeen:
        """Look at a hold. Who placed it, why, until when, and what became of it."""
        return decoded(await self._wire.send(Call("GET", path_of("/v1/holds/{hold_id}", hold_id=hold_id))), HoldSeen)

    async def extend_hold(self, hold_id: str, *, until: dt.date) -> HoldSeen:
        """Extend a hold. A later last day, as when a preservation order is prolonged. An earlier one is refused:
        release it instead.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    path_of("/v1/holds/{hold_id}/extend", hold_id=hold_id),
                    body={"until": until},
                    repeatable=False,
                )
            ),
            HoldSeen,
        )

    async def release_hold(self, hold_id: str, *, because: Literal["ordered", "settled", "withdrawn"]) -> HoldSeen:
        """Release a hold. What was due meanwhile, and no other hold holds, goes now: by an erasure of its own, with
        its own certificate.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    path_of("/v1/holds/{hold_id}/release", hold_id=hold_id),
                    body={"because": because},
                    repeatable=False,
                )
            ),
            HoldSeen,
        )

    async def list_closures(self, *, cursor: str | None = None, limit: int | None = None) -> ClosurePage:
        """List closures of all accounts. Newest first: which accounts are closing or closed, what stays of them and
        until when.
        """
        return decoded(
            await self._wire.send(Call("GET", "/v1/closures", query={"cursor": cursor, "limit": limit})), ClosurePage
        )

    async def iter_closures(self, *, limit: int | None = None) -> AsyncIterator[ClosureSeen]:
        """List closures of all accounts, page after page, to the last."""
        cursor: str | None = None
        while True:
            page = await self.list_closures(limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def begin_closure(
        self, *, grace_days: int, confirmation: str, idempotency_key: str | None = None
    ) -> ClosureBegun:
        """Close the account. Until the end of the grace everything can be read, opened and exported, nothing new is
        kept, and the owner can call it off. Then calls are hung up and, within a minute, the keys of everything
        but invoices and what is held are destroyed: unreadable here and in every backup. Nobody can undo that.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "POST",
                    "/v1/closures",
                    body={"grace_days": grace_days, "confirmation": confirmation},
                    key=idempotency_key,
                )
            ),
            ClosureBegun,
        )

    async def get_closure(self, closure_id: str) -> ClosureSeen:
        """Follow a closure. How far it has come, level by level, and what stays. With the retrieval token also once
        the account is closed.
        """
        return decoded(
            await self._wire.send(Call("GET", path_of("/v1/closures/{closure_id}", closure_id=closure_id))), ClosureSeen
        )

    async def cancel_closure(self, closure_id: str) -> ClosureSeen:
        """Call a closure off. Until the end of the grace: the account is open again at once, as if nothing had been
        asked.
        """
        return decoded(
            await self._wire.send(
                Call("POST", path_of("/v1/closures/{closure_id}/cancel", closure_id=closure_id), repeatable=False)
            ),
            ClosureSeen,
        )

    async def get_closure_certificate(self, closure_id: str) -> str:
        """Get a closure's certificate. A `.tlog-proof` file (C2SP) without personal data; made anew when the
        account's rows are removed. Check it with `python -m sealwire_verifier certificate FILE --policy POLICY`.
        """
        return (
            await self._wire.send(Call("GET", path_of("/v1/closures/{closure_id}/certificate", closure_id=closure_id)))
        ).decode()

    async def sum_closed_billing(
        self, closure_id: str, *, from_: dt.datetime | None = None, to: dt.datetime | None = None
    ) -> BillingSums:
        """Sum what a closed account was charged. Amounts by day, item and tariff, which the statute obliges the
        operator to keep; no numbers.
        """
        return decoded(
            await self._wire.send(
                Call(
                    "GET",
                    path_of("/v1/closures/{closure_id}/billing-sums", closure_id=closure_id),
                    query={"from": from_, "to": to},
                )
            ),
            BillingSums,
        )

    async def get_log_key(self) -> str:
        """The log's key. The verifier key (C2SP signed-note) that your agreement's annex pins. Compare the two."""
        return (await self._wire.send(Call("GET", "/v1/log/key"))).decode()

    async def get_checkpoint(self) -> str:
        """The latest checkpoint. Size and root of the log, signed (C2SP checkpoint)."""
        return (await self._wire.send(Call("GET", "/v1/log/checkpoint"))).decode()

    async def get_tile(self, path: str) -> bytes:
        """A tile. Hashes or entries of the log (C2SP tlog-tiles). Full tiles never change, and say so."""
        return await self._wire.send(Call("GET", path_of("/v1/log/tile/{path}", path=path)))

    async def get_tile_into(self, path: str, file: BinaryIO) -> int:
        """A tile, piece by piece into `file`; the number of bytes."""
        return await self._wire.send_into(Call("GET", path_of("/v1/log/tile/{path}", path=path)), file)

    async def prove_inclusion(self, *, index: int, size: int | None = None) -> InclusionSeen:
        """Prove that a leaf is in the log. Checks against the root of a checkpoint of this size."""
        return decoded(
            await self._wire.send(Call("GET", "/v1/log/proofs/inclusion", query={"index": index, "size": size})),
            InclusionSeen,
        )

    async def prove_consistency(self, *, from_: int, to: int) -> ConsistencySeen:
        """Prove that the log only grew. Between two checkpoints you kept: nothing was changed and nothing taken out
        in between.
        """
        return decoded(
            await self._wire.send(Call("GET", "/v1/log/proofs/consistency", query={"from": from_, "to": to})),
            ConsistencySeen,
        )

    async def check_transport(self) -> TransportChecked:
        """Test your way to this API. Versions before TLS 1.2 do not get this far: their handshake is refused."""
        return decoded(await self._wire.send(Call("GET", "/v1/transport-check")), TransportChecked)

    async def get_health(self) -> Health:
        """Is it ready?. 200 when every part is ready, 503 with the same body otherwise."""
        return decoded(await self._wire.send(Call("GET", "/v1/health")), Health)
