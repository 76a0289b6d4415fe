"""Our checks of signatures against the carriers' own, on requests valid and tampered with.

Usage: signatures.py PROGRAM, which answers a JSON object a line (transports/examples/carrier_check).
"""

import base64
import hashlib
import json
import logging
import random
import subprocess
import sys
import time
import warnings
from urllib.parse import urlencode
from xml.etree import ElementTree

import jwt
import telnyx
from nacl.signing import SigningKey
from twilio.request_validator import RequestValidator, get_signature_algorithm
from twilio.twiml.voice_response import Connect, Dial, VoiceResponse
from vonage_jwt import verify_jwt

# Their packages complain about what is wrong on purpose here.
logging.disable(logging.WARNING)
warnings.simplefilter("ignore")

CASES = 400
dice = random.Random(20261121)
failures = 0


def report(good, name, detail=""):
    global failures
    print(("ok    " if good else "FAIL  ") + name + (f": {detail}" if detail and not good else ""))
    failures += not good


def text(length):
    alphabet = "abcXYZ0189 +-_.~/&=%?#éß漢🙂\"'<>"
    return "".join(dice.choice(alphabet) for _ in range(dice.randint(0, length)))


def token(length=32):
    return "".join(dice.choice("0123456789abcdef") for _ in range(length))


def spoil(value):
    """Changes one character of a base64 text to another."""
    at = dice.randrange(max(1, len(value) - 3))
    other = dice.choice([c for c in "ABCDwxyz0123" if c != value[at]])
    return value[:at] + other + value[at + 1:]


class MultiDict(dict):
    """What a web framework makes of a form with names that repeat."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.pairs = pairs

    def getall(self, name):
        return [value for known, value in self.pairs if known == name]


def twilio_case():
    auth = token()
    port = dice.choice(["", "", ":8443", ":443", ":80"])
    base = dice.choice(["https", "http"]) + "://voice.example.org" + port
    path = "/twilio/" + dice.choice(["inbound_call", "status", "resume"])
    query = [(dice.choice("abc"), token(4)) for _ in range(dice.randint(0, 2))]
    kind = dice.choice(["form", "form", "form", "json", "none"])
    pairs, body = [], None
    if kind == "form":
        names = ["CallSid", "From", "To", "CallStatus", "Digits", "SipHeader_X-é", "a", "B"]
        pairs = [(dice.choice(names), text(20)) for _ in range(dice.randint(0, 12))]
    if kind == "json":
        body = json.dumps({"event": text(30)}, ensure_ascii=dice.random() < 0.5)
        query.append(("bodySHA256", hashlib.sha256(body.encode()).hexdigest()))
    if query:
        path += "?" + urlencode(query)
    settings = dice.choice([None, None, "algorithm=HMAC_SHA1", "key=k1,algorithm=HMAC_SHA256",
                            "key=k1, algorithm=hmac_sha256", "algorithm=HMAC_MD5"])
    shared = token()
    secret = shared if settings and "key=k1" in settings else auth
    algorithm = get_signature_algorithm(settings)
    signing = algorithm if "MD5" not in algorithm else "HMAC_SHA1"
    # Twilio signs either with or without the port.
    signed = base + path
    if dice.random() < 0.5:
        bare = base.rsplit(":", 1)[0] if port else base
        standard = bare + (":443" if bare.startswith("https") else ":80")
        signed = (bare if port else standard) + path
    params = MultiDict(pairs) if kind == "form" else {}
    signature = RequestValidator(secret).compute_signature(signed, params, signing)

    tampered = dice.choice([None, None, "signature", "path", "pairs", "body", "secret", "host"])
    if tampered == "signature":
        signature = spoil(signature)
    if tampered == "path":
        path = path.replace("/twilio/", "/twilio//", 1)
    if tampered == "pairs" and kind == "form":
        pairs = pairs + [("CallSid", "CA" + token())]
    if tampered == "body" and body:
        body += " "
    if tampered == "secret":
        secret = auth = shared = token()
    if tampered == "host":
        base = base.replace("voice.", "vioce.")

    given = body if kind == "json" else MultiDict(pairs) if kind == "form" else {}
    theirs = RequestValidator(secret).validate(base + path, given, signature, algorithm)
    asked = {"check": "twilio", "public_url": base, "path": path, "signature": signature,
             "settings": settings, "auth_token": auth, "shared_keys": [["k1", shared]]}
    if kind == "form":
        asked["form"] = [list(pair) for pair in pairs]
    if kind == "json":
        asked["body"] = body
    return asked, theirs


telnyx_client = telnyx.Telnyx(api_key="none")


def telnyx_case():
    key = SigningKey(dice.randbytes(32))
    now = int(time.time())
    timestamp = str(now - dice.choice([0, 0, 5, 200, 290, -290, 310, -310, 5000]))
    body = json.dumps({"data": {"event_type": "call.initiated", "payload": {"x": text(40)}}},
                      ensure_ascii=dice.random() < 0.5)
    signature = base64.b64encode(key.sign(f"{timestamp}|{body}".encode()).signature).decode()
    public = base64.b64encode(bytes(key.verify_key)).decode()
    tampered = dice.choice([None, None, "signature", "timestamp", "body", "key", "senseless"])
    if tampered == "signature":
        signature = spoil(signature)
    if tampered == "timestamp":
        timestamp = str(int(timestamp) + 1)
    if tampered == "body":
        body += " "
    if tampered == "key":
        public = base64.b64encode(bytes(SigningKey(dice.randbytes(32)).verify_key)).decode()
    if tampered == "senseless":
        timestamp = dice.choice(["", "noon", "12.5"])
    headers = {"Telnyx-Signature-Ed25519": signature, "Telnyx-Timestamp": timestamp}
    try:
        telnyx_client.webhooks.unwrap(body, headers=headers, key=public)
        theirs = True
    except ValueError:
        theirs = False
    asked = {"check": "telnyx", "key": public, "signature": signature, "timestamp": timestamp,
             "body": body, "now": now}
    return asked, theirs


def vonage_case():
    secret = token()
    now = int(time.time())
    body = dice.choice(["", json.dumps({"status": "answered", "x": text(30)})])
    claims = {"iat": now - dice.choice([0, 1, 200]), "jti": token(), "iss": "Vonage",
              "api_key": token(8), "application_id": token()}
    if body or dice.random() < 0.5:
        claims["payload_hash"] = hashlib.sha256(body.encode()).hexdigest()
    if dice.random() < 0.3:
        claims["exp"] = now + dice.choice([-50, 60, 900])
    if dice.random() < 0.2:
        claims["nbf"] = now + dice.choice([-50, 60])
    algorithm = dice.choice(["HS256"] * 6 + ["HS512", "none"])
    made = jwt.encode(claims, secret if algorithm != "none" else None, algorithm=algorithm)
    tampered = dice.choice([None, None, "signature", "body", "secret", "claims"])
    if tampered == "signature":
        head, payload, sign = made.split(".")
        made = ".".join([head, payload, spoil(sign) if sign else "AAAA"])
    if tampered == "body":
        body += " "
    if tampered == "secret":
        secret = token()
    if tampered == "claims":
        head, payload, sign = made.split(".")
        forged = base64.urlsafe_b64encode(json.dumps({**claims, "api_key": "x"}).encode())
        made = ".".join([head, forged.decode().rstrip("="), sign])
    try:
        theirs = verify_jwt.verify_signature(made, secret)
    except Exception:
        theirs = False
    # Their client leaves the body to the application.
    digest = claims.get("payload_hash", hashlib.sha256(b"").hexdigest())
    theirs = theirs and digest == hashlib.sha256(body.encode()).hexdigest()
    asked = {"check": "vonage", "secret": secret, "authorization": "Bearer " + made, "body": body,
             "now": now}
    return asked, theirs


def ask(program, cases):
    lines = "".join(json.dumps(asked) + "\n" for asked in cases)
    done = subprocess.run([program], input=lines, capture_output=True, text=True, check=True,
                          timeout=60)
    return done.stdout.split("\n")[:-1]


def agree(program, name, make):
    cases = [make() for _ in range(CASES)]
    ours = ask(program, [asked for asked, _ in cases])
    wrong = [(asked, theirs, answer) for (asked, theirs), answer in zip(cases, ours)
             if (answer == "valid") != theirs]
    valid = sum(theirs for _, theirs in cases)
    report(not wrong and len(ours) == CASES, f"{name}: agreement on {CASES} requests, {valid} valid",
           str(wrong[:2]))
    report(CASES // 8 < valid < CASES * 7 // 8, f"{name}: enough of them valid and tampered")


def twiml(program):
    """The same instructions, written by Twilio's own package."""
    response = VoiceResponse()
    response.reject(reason="busy")
    response.say("Tom & \"Jerry\" <b> é", voice="Polly.Joanna-Neural", language="en-US")
    resume = "https://a.example/twilio/resume?call=1&n=2"
    connect = Connect(action=resume, method="POST")
    stream = connect.stream(url="wss://a.example/twilio/media",
                            status_callback="https://a.example/twilio/stream",
                            status_callback_method="POST")
    stream.parameter(name="callId", value="c-1")
    stream.parameter(name="token", value="a\"<&>'")
    response.append(connect)
    dial = Dial(action="https://a.example/dialled", method="POST", timeout=20,
                caller_id="+14155550101")
    dial.number("+14155550100", send_digits="ww12", url="https://a.example/whisper")
    response.append(dial)
    dial = Dial(timeout=20, caller_id="+14155550101")
    dial.sip("sip:a@b.example")
    response.append(dial)
    dial = Dial(timeout=20, caller_id="+14155550101")
    dial.conference("c-1", start_conference_on_enter=True, end_conference_on_exit=True, beep="false")
    response.append(dial)
    response.play("https://a.example/hold.mp3", loop=0)
    response.play(digits="ww12#")
    response.pause(length=2)
    response.redirect(resume, method="POST")
    response.hangup()
    ours = ask(program, [{"check": "twiml"}])[0]
    same = ElementTree.canonicalize(str(response)) == ElementTree.canonicalize(ours)
    report(same, "twilio: TwiML is what Twilio's own package writes", f"{response}\n{ours}")


program = sys.argv[1]
agree(program, "twilio", twilio_case)
agree(program, "telnyx", telnyx_case)
agree(program, "vonage", vonage_case)
twiml(program)
sys.exit(failures > 0)
