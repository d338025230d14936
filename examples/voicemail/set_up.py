"""Makes a mailbox of $NUMBER whose messages are sealed to a key that only you have: identity.txt."""

import os

from sealwire_sdk.client import Sealwire
from sealwire_sdk.client.models import BuiltIn, RecordingPolicy
from sealwire_sdk.sealing import new_age_key

key = new_age_key()
with os.fdopen(os.open("identity.txt", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
    file.write(f"# public key: {key.recipient}\n{key.identity}\n")  # as age-keygen writes it, so `age -d -i` takes it

with Sealwire() as cloud:
    cloud.use_age_key(key, label="voicemail")  # also proves that the identity opens what is sealed to it
    service = cloud.create_service(
        name="voicemail",
        direction="inbound",
        logic=BuiltIn(name="voicemail"),
        recording=RecordingPolicy(sealed_to_customer=True),
    )
    (number,) = [each for each in cloud.list_numbers().items if each.number == os.environ["NUMBER"]]
    cloud.point_number(number.id, service_id=service.id)
    print(f"{number.number} takes messages; keep identity.txt in two safe places")
