"""Makes everything the examples need on a cloud of your own: an account, its number, a credential, a program.

    python examples/prepare.py DATA_FOLDER NUMBER [--trunk HOST:PORT]

What it makes is in ./example-account; `source example-account/settings.sh` and the examples find it. The first half is
the operator's work, the second the customer's.
"""

import argparse
import os
import sys
from pathlib import Path
from types import TracebackType

from sealwire_sdk.client import Problem, Sealwire
from sealwire_sdk.client.models import DestinationSeen

parser = argparse.ArgumentParser()
parser.add_argument("data", type=Path, help="the data folder of the cloud")
parser.add_argument("number", help="a number for the account, as +441632960100")
parser.add_argument("--api", default="https://127.0.0.1:8443")
parser.add_argument("--trunk", help="where calls out go: HOST:PORT of a SIP server or telephone (UDP)")
given = parser.parse_args()
folder, ca = Path("example-account"), (given.data / "secrets/tls/ca.pem").resolve()
if folder.exists():
    parser.exit(1, f"{folder} is there already: source {folder}/settings.sh, or move it away and take another number\n")
try:
    operator_secret = (given.data / "secrets/operator-credential").read_text().strip()
except OSError as error:
    parser.exit(1, f"{given.data} is no data folder of a cloud that was started, or not yours ({error.strerror})\n")


def refused(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What the API says is a sentence; a traceback would say no more."""
    if issubclass(kind, Problem):
        print(error, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = refused

# The operator: an account, a number, a way out.
with Sealwire(given.api, operator_secret, ca=ca) as operator:
    made = operator.create_account(name="Examples")
    operator.assign_number(made.account.id, number=given.number)
    if given.trunk:
        host, _, port = given.trunk.rpartition(":")
        operator.create_trunk(name="way out", host=host, port=int(port), transport="udp")

folder.mkdir(mode=0o700)
# The customer: the agreement, where it may call, a credential with no more than it needs, a program.
with Sealwire(given.api, made.credential.secret, ca=ca) as owner:
    owner.accept_agreement(sha256=owner.get_standard_agreement().sha256)
    owner.set_destinations(items=[DestinationSeen(destination="GB")])
    credential = owner.create_credential(
        label="examples",
        scopes=["records:list", "records:open", "account:configure", "calls:control", "messages:send"],
        default_purpose="service-operation",
    )
    program = owner.enrol_program(folder, label="examples")

settings = {
    "SEALWIRE_API": given.api,
    "SEALWIRE_CA": ca,
    "SEALWIRE_CREDENTIAL": credential.secret,
    "SEALWIRE_UAS": program.server,
    "SEALWIRE_UAS_CERTIFICATE": (folder / "program.pem").resolve(),
    "SEALWIRE_UAS_KEY": (folder / "program.key").resolve(),
    "SEALWIRE_UAS_AUTHORITY": (folder / "authority.pem").resolve(),
    "NUMBER": given.number,
}
with os.fdopen(os.open(folder / "settings.sh", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
    file.writelines(f"export {name}='{value}'\n" for name, value in settings.items())
print(f"{given.number} is the number of {made.account.id}; now: source {folder}/settings.sh")
