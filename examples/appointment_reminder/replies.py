"""Is told by webhook of messages that come in, and notes who confirmed.

python replies.py https://localhost:8446 pages.pem pages.key      (where the cloud reaches this, and its certificate)
"""

import signal
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from sealwire_sdk import webhooks
from sealwire_sdk.client import Sealwire
from sealwire_sdk.errors import WebhookRefused

address, certificate, key = sys.argv[1:]
seen: set[str] = set()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            event = webhooks.verify(body, dict(self.headers), hook.signing_secret or "")
        except WebhookRefused:
            self.send_error(401)
            return
        self.send_response(204)  # first say that it has come, then do the work
        self.end_headers()
        if event["type"] == "message.received" and self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])  # the same event may come twice
            read_reply(event["data"]["message"])

    def log_message(self, *_: object) -> None:
        """Nothing: what stands in a log has to be erased there too."""


def read_reply(message: str) -> None:
    """The webhook names the message; its text is opened for a purpose, and stands in your account's log."""
    text = (cloud.open_message(message).text or "").strip().lower()
    print(f"{message}: {'confirmed' if text == 'yes' else 'somebody has to read this'}", flush=True)


server = ThreadingHTTPServer(("127.0.0.1", urlsplit(address).port or 443), Receiver)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
with Sealwire() as cloud:
    hook = cloud.create_webhook(address=address, events=["message.received"], label="replies")
    print(f"{hook.id} leads here", flush=True)
    try:
        server.serve_forever()
    finally:
        cloud.remove_webhook(hook.id)
