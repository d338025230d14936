"""Has calls to $NUMBER answered by the application `ivr-menu` of whichever program is connected."""

import os

from sealwire_sdk.client import Sealwire
from sealwire_sdk.client.models import Program

with Sealwire() as cloud:
    service = cloud.create_service(name="menu", direction="inbound", logic=Program(application="ivr-menu"))
    (number,) = [each for each in cloud.list_numbers().items if each.number == os.environ["NUMBER"]]
    cloud.point_number(number.id, service_id=service.id)
    print(f"{number.number} is answered by {service.id}")
