"""Webhook deliveries: what was told to a customer's endpoint, and how it answered."""

import datetime as dt

from sealwire.custody.categories.declaration import Retention, Role, plain, record_category, sealed
from sealwire.vocabulary import DeliveryId, EndpointId


@record_category(
    code=11,
    name="webhook-delivery",
    purpose="proof that an event was told, on the controller's instruction",
    role=Role.PROCESSOR,
    retention=Retention(starts="ended_at", days_default=28, days_min=1, days_max=180, least=0),
    identified_by="delivery_id",
)
class WebhookDelivery:
    """One event told to one endpoint: attempts, last status, and the references it carried."""

    delivery_id: DeliveryId = plain("names the delivery in every answer")
    endpoint_id: EndpointId = plain("lists deliveries by endpoint")
    event: str = plain("lists deliveries by kind of event")
    ended_at: dt.datetime = plain("starts the retention clock")
    attempts: int = plain("needed for failure statistics")
    last_status: int | None = plain("needed for failure statistics")
    delivered: bool = plain("needed for failure statistics")
    address: str = sealed()
    body: str = sealed()
