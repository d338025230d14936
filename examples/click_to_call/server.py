"""Click to call: a small web server that calls the agent first, then the customer, and shows how far it is.

    python server.py https://localhost:8447 pages.pem pages.key      (where the cloud reaches this, and its certificate)

People post to /calls and are shown /calls/ID. The cloud posts to /page and is told what to do with the call.
"""

import os
import signal
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from sealwire_sdk import pages
from sealwire_sdk.client import NotFound, Problem, Sealwire
from sealwire_sdk.client.models import Connect, Pages, Prompt, Say
from sealwire_sdk.errors import WebhookRefused

FORM = b"""<!doctype html><title>Click to call</title><form method=post action=/calls>
<label>Agent <input name=agent type=tel></label> <label>Customer <input name=customer type=tel></label>
<button>Call</button></form>"""
address, certificate, key = sys.argv[1:]
applications: dict[str, str] = {}


def page(asked: pages.Asked) -> bytes:
    """The agent has answered; `arguments` is the customer's number, as the call was started with it."""
    if asked.request == "first":
        customer = Connect(to=asked.call.arguments, caller=os.environ["NUMBER"], ringing=Prompt(text="One moment."))
        return pages.answer(Say(text="Connecting you to your customer."), customer, next_page="/page")
    (connected,) = [each for each in asked.results if each["action"] == "connect"]
    if connected["connected"]:
        return pages.answer(parameters="connected")
    return pages.answer(Say(text="Your customer was not reached."), parameters=f"not reached: {connected['cause']}")


def call(agent: str, customer: str) -> str:
    started = cloud.start_call(service_id=service.id, to=agent, from_=os.environ["NUMBER"], arguments=customer)
    applications[started.call_id] = started.application_id
    return started.call_id


def status(call_id: str) -> str:
    """While it is up the call says how far it is; after that its application record says how it went."""
    try:
        legs = cloud.get_call_status(call_id).channels
        return ", ".join(f"{who} {leg.state}" for who, leg in zip(("agent", "customer"), legs, strict=False))
    except NotFound:
        pass
    try:
        ended = cloud.open_application(applications[call_id])
    except (NotFound, KeyError):
        return "ending"
    return f"ended, {ended.content.parameters or cloud.get_application(ended.id).return_code_name}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/":
            self.answer(200, FORM, "text/html")
        elif self.path.startswith("/calls/"):
            self.answer(200, status(self.path.removeprefix("/calls/")).encode(), "text/plain", Refresh="1")
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            if self.path == "/page":
                asked = pages.asked(body, dict(self.headers), service.page_secret or "")
                self.answer(200, page(asked), pages.CONTENT_TYPE)
            elif self.path == "/calls":  # put your own sign-in before this: whoever reaches it spends your money
                (agent,), (customer,) = (parse_qs(body.decode()).get(name, [""]) for name in ("agent", "customer"))
                self.answer(303, b"", "text/plain", Location=f"/calls/{call(agent, customer)}")
            else:
                self.send_error(404)
        except WebhookRefused:
            self.send_error(401)
        except Problem as problem:
            self.answer(400, str(problem).encode(), "text/plain")

    def answer(self, code: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: what stands in a log has to be erased there too."""


server = ThreadingHTTPServer(("127.0.0.1", urlsplit(address).port or 443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
with Sealwire() as cloud:
    service = cloud.create_service(name="click", direction="outbound", logic=Pages(first_page=f"{address}/page"))
    print(f"click at {address}/", flush=True)
    try:
        server.serve_forever()
    finally:
        cloud.remove_service(service.id)
