"""What the scripts of the carriers' own clients share: checks, a customer's server, the control."""

import json
import os
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAKES = os.environ["FAKES_URL"]
LIMIT_SECONDS = 15
failures = 0


def check(good, name, detail=""):
    global failures
    print(("ok    " if good else "FAIL  ") + name + (f": {detail}" if detail and not good else ""))
    failures += not good


def control(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(FAKES + "/carriers" + path, data,
                                     {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=LIMIT_SECONDS) as answer:
        text = answer.read().decode()
    try:
        return json.loads(text)
    except ValueError:
        return text


def until(ask, what):
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        found = ask()
        if found:
            return found
        time.sleep(0.05)
    check(False, f"waited {LIMIT_SECONDS} s for {what}")
    return None


class Customer:
    """A server that keeps the webhooks that come, and answers them by path."""

    def __init__(self):
        self.hooks = []
        self.answers = {}
        customer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                customer.hooks.append((self.path, dict(self.headers), body.decode()))
                answer = customer.answers.get(self.path, "").encode()
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def of(self, path):
        return [(headers, body) for known, headers, body in self.hooks if known == path]
