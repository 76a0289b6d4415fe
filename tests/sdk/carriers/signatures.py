"""Our checks of signatures against the carriers' own, on requests valid and tampered with.

Usage: signatures.py PROGRAM, which answers a JSON object a line (transports/examples/carrier_check).
"""

import base64
import hashlib
import json
import logging
import os
import random
import subprocess
import sys
import time
import warnings
from urllib.parse import quote, quote_plus, urlencode
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
DOCUMENTS = 200
# Another one in each run; a run is repeated with SIGNATURES_SEED.
SEED = int(os.environ.get("SIGNATURES_SEED") or random.SystemRandom().randrange(1 << 32))
dice = random.Random(SEED)
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


def form_body(pairs):
    """A form as any client may write it."""
    write = dice.choice([quote_plus, lambda value: quote(value, safe="")])
    return "&".join(write(name) + "=" + write(value) for name, value in pairs)


def twilio_pairs():
    names = ["CallSid", "From", "To", "CallStatus", "Digits", "SipHeader_X-é", "a", "B", "a[]",
             "list[0]", "漢", "with space"]
    pairs = [(dice.choice(names), text(20)) for _ in range(dice.randint(0, 12))]
    # Names that repeat, with the same value and with others, and values that are nothing.
    if pairs and dice.random() < 0.3:
        pairs += [dice.choice(pairs) for _ in range(dice.randint(1, 3))]
    if pairs and dice.random() < 0.3:
        pairs.append((dice.choice(pairs)[0], ""))
    return pairs


def twilio_signed(base, port, path):
    """The address as Twilio writes it: with the port or without."""
    if dice.random() < 0.5:
        return base + path
    bare = base.rsplit(":", 1)[0] if port else base
    standard = bare + (":443" if bare.startswith("https") else ":80")
    return (bare if port else standard) + path


def other_pairs(pairs):
    """Pairs that are not the ones that were signed."""
    kind = dice.choice(["more", "fewer", "value", "name", "swap"])
    at = dice.randrange(len(pairs))
    name, value = pairs[at]
    rest = pairs[:at] + pairs[at + 1:]
    if kind == "fewer":
        return rest
    if kind == "value":
        return rest + [(name, value + "x")]
    if kind == "name":
        return rest + [(name + "x", value)]
    if kind == "swap":
        return rest + [(value, name)]
    return pairs + [("CallSid", "CA" + token())]


def twilio_case():
    auth = token()
    port = dice.choice(["", "", ":8443", ":443", ":80", ":1", ":65535"])
    host = dice.choice(["voice.example.org", "a.b-c.example", "192.0.2.7", "x"])
    base = dice.choice(["https", "http"]) + "://" + host + port
    path = "/twilio/" + dice.choice(["inbound_call", "status/1", "resume", "caf%C3%A9", "a%2Fb", ""])
    query = [(dice.choice("abc"), text(6)) for _ in range(dice.randint(0, 3))]
    kind = dice.choice(["form", "form", "form", "json", "none"])
    pairs, body = [], None
    if kind == "form":
        pairs = twilio_pairs()
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
    signed = twilio_signed(base, port, path)
    params = MultiDict(pairs) if kind == "form" else {}
    signature = RequestValidator(secret).compute_signature(signed, params, signing)

    tampered = dice.choice([None, None, None, "order", "signature", "cut", "empty", "path", "query",
                            "pairs", "body", "secret", "host", "port", "scheme", "algorithm"])
    if tampered == "order":
        dice.shuffle(pairs)
    if tampered == "signature":
        signature = spoil(signature)
    if tampered == "cut":
        signature = signature[:-8]
    if tampered == "empty":
        signature = ""
    if tampered == "path":
        path = path.replace("/twilio/", "/twilio//", 1)
    if tampered == "query":
        path += "&x=1" if "?" in path else "?x=1"
    if tampered == "pairs" and pairs:
        pairs = other_pairs(pairs)
    if tampered == "body" and body:
        body += " "
    if tampered == "secret":
        secret = auth = shared = token()
    if tampered == "host":
        base = base.replace("://", "://evil.")
    if tampered == "port":
        base = (base.rsplit(":", 1)[0] if port else base) + ":8444"
    if tampered == "scheme":
        base = base.replace("https:", "h:").replace("http:", "https:").replace("h:", "http:")
    if tampered == "algorithm":
        signing = "HMAC_SHA256" if signing == "HMAC_SHA1" else "HMAC_SHA1"
        signature = RequestValidator(secret).compute_signature(signed, params, signing)

    given = body if kind == "json" else MultiDict(pairs) if kind == "form" else {}
    theirs = RequestValidator(secret).validate(base + path, given, signature, algorithm)
    asked = {"check": "twilio", "public_url": base, "path": path, "signature": signature,
             "settings": settings, "auth_token": auth, "shared_keys": [["k1", shared]]}
    if kind == "form":
        asked["form"] = form_body(pairs)
    if kind == "json":
        asked["body"] = body
    return asked, theirs


telnyx_client = telnyx.Telnyx(api_key="none")


def telnyx_body():
    payload = {"x": text(dice.choice([0, 40, 4_000])), "list": [dice.random() for _ in range(3)]}
    return json.dumps({"data": {"event_type": "call.initiated", "payload": payload}},
                      ensure_ascii=dice.random() < 0.5, indent=dice.choice([None, 2]))


def telnyx_case():
    key = SigningKey(dice.randbytes(32))
    now = int(time.time())
    timestamp = str(now - dice.choice([0] * 5 + [5, 200, 290, -290, 310, -310, 5000]))
    body = telnyx_body()
    signature = base64.b64encode(key.sign(f"{timestamp}|{body}".encode()).signature).decode()
    public = base64.b64encode(bytes(key.verify_key)).decode()
    tampered = dice.choice([None] * 7 + ["signature", "cut", "timestamp", "body", "rewritten",
                            "another", "key", "senseless", "unsigned", "timeless"])
    headers = {"Telnyx-Signature-Ed25519": signature, "Telnyx-Timestamp": timestamp}
    if tampered == "signature":
        signature = spoil(signature)
    if tampered == "cut":
        signature = signature[:-4]
    if tampered == "timestamp":
        timestamp = str(int(timestamp) + 1)
    if tampered == "body":
        body += " "
    if tampered == "rewritten":
        body = json.dumps(json.loads(body), separators=(",", ":"))
    if tampered == "another":
        body = telnyx_body()
    if tampered == "key":
        public = base64.b64encode(bytes(SigningKey(dice.randbytes(32)).verify_key)).decode()
    if tampered == "senseless":
        timestamp = dice.choice(["", "noon", "12.5"])
    signature = None if tampered == "unsigned" else signature
    timestamp = None if tampered == "timeless" else timestamp
    given = {"Telnyx-Signature-Ed25519": signature, "Telnyx-Timestamp": timestamp}
    headers = {name: value for name, value in given.items() if value is not None}
    try:
        telnyx_client.webhooks.unwrap(body, headers=headers, key=public)
        theirs = True
    except Exception:
        theirs = False
    asked = {"check": "telnyx", "key": public, "signature": signature, "timestamp": timestamp,
             "body": body, "now": now}
    return asked, theirs


def vonage_case():
    secret = token()
    now = int(time.time())
    age = dice.choice([0, 0, 0, 1, 1, 200, 200, 290, 310, 9_000])
    body = dice.choice(["", json.dumps({"status": "answered", "x": text(30)}),
                        json.dumps({"from": text(10)}, ensure_ascii=False)])
    claims = {"iat": now - age, "jti": token(), "iss": "Vonage", "api_key": token(8),
              "application_id": token()}
    if body and dice.random() < 0.9 or dice.random() < 0.5:
        digest = hashlib.sha256(body.encode()).hexdigest()
        claims["payload_hash"] = dice.choice([digest, digest, digest.upper()])
    if dice.random() < 0.3:
        claims["exp"] = now + dice.choice([-50, 60, 900])
    if dice.random() < 0.2:
        claims["nbf"] = now + dice.choice([-50, 60])
    algorithm = dice.choice(["HS256"] * 12 + ["HS512", "none"])
    made = jwt.encode(claims, secret if algorithm != "none" else None, algorithm=algorithm)
    tampered = dice.choice([None] * 7 + ["signature", "unsigned", "body", "secret", "claims",
                            "header", "cut"])
    head, payload, sign = made.split(".")
    encoded = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    if tampered == "signature":
        made = ".".join([head, payload, spoil(sign) if sign else "AAAA"])
    if tampered == "unsigned":
        made = ".".join([head, payload, ""])
    if tampered == "body":
        body += " "
    if tampered == "secret":
        secret = token()
    if tampered == "claims":
        made = ".".join([head, encoded({**claims, "api_key": "x"}), sign])
    if tampered == "header":
        made = ".".join([encoded({"alg": "none", "typ": "JWT"}), payload, sign])
    if tampered == "cut":
        made = ".".join([head, payload])
    try:
        theirs = bool(verify_jwt.verify_signature(made, secret))
    except Exception:
        theirs = False
    # Their client leaves the body to the application, and the age of a token.
    digest = claims.get("payload_hash", hashlib.sha256(b"").hexdigest()).lower()
    theirs = theirs and digest == hashlib.sha256(body.encode()).hexdigest() and age <= 300
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
           f"{len(wrong)} are judged otherwise, as {wrong[:2]}")
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


def phone():
    return "+1" + "".join(dice.choice("0123456789") for _ in range(10))


def address():
    return "https://a.example/" + quote(text(8)) + dice.choice(["", "?call=1&n=2", "?x=%26"])


def maybe(make):
    return make() if dice.random() < 0.5 else None


def yes():
    return True


def given(fields):
    """What Twilio's package is told: nothing of what is left out."""
    return {name: value for name, value in fields.items() if value is not None}


def some_verb(response):
    """One random instruction, written by Twilio's package; returns what ours is asked for."""
    kind = dice.choice(["say", "play", "digits", "pause", "redirect", "hangup", "reject", "connect",
                        "number", "sip", "conference"])
    if kind == "say":
        words, voice, language = text(40), maybe(lambda: "Polly.Amy"), maybe(lambda: "de-DE")
        response.say(words, **given({"voice": voice, "language": language}))
        return {"verb": kind, "text": words, "voice": voice, "language": language}
    if kind == "play":
        url, times = address(), dice.choice([0, 2, 5])
        response.play(url, loop=times)
        return {"verb": kind, "url": url, "times": times}
    if kind == "digits":
        digits = "".join(dice.choice("0123456789*#w") for _ in range(dice.randint(1, 9)))
        response.play(digits=digits)
        return {"verb": kind, "digits": digits}
    if kind == "pause":
        seconds = dice.randint(1, 90)
        response.pause(length=seconds)
        return {"verb": kind, "seconds": seconds}
    if kind == "redirect":
        url = address()
        response.redirect(url, method="POST")
        return {"verb": kind, "url": url}
    if kind == "hangup":
        response.hangup()
        return {"verb": kind}
    if kind == "reject":
        reason = dice.choice(["busy", "rejected"])
        response.reject(reason=reason)
        return {"verb": kind, "reason": reason}
    if kind == "connect":
        action, callback = maybe(address), maybe(address)
        connect = Connect(**given({"action": action, "method": action and "POST"}))
        url = "wss://a.example/twilio/media"
        stream = connect.stream(url=url, **given({"status_callback": callback,
                                                  "status_callback_method": callback and "POST"}))
        parameters = [[token(6), text(30)] for _ in range(dice.randint(0, 3))]
        for name, value in parameters:
            stream.parameter(name=name, value=value)
        response.append(connect)
        return {"verb": kind, "url": url, "action": action, "callback": callback,
                "parameters": parameters}
    return some_dial(response, kind)


def some_dial(response, kind):
    fields = {"action": maybe(address), "timeout": maybe(lambda: dice.randint(5, 600)),
              "caller_id": maybe(phone), "time_limit": maybe(lambda: dice.randint(1, 14_400)),
              "answer_on_bridge": maybe(yes), "hangup_on_star": maybe(yes)}
    dial = Dial(**given({**fields, "method": fields["action"] and "POST"}))
    asked = {"verb": kind, **fields}
    if kind == "number":
        to, keys, url, callback = phone(), maybe(lambda: "ww1#"), maybe(address), maybe(address)
        dial.number(to, **given({"send_digits": keys, "url": url, "status_callback": callback,
                                 "status_callback_event": callback and "answered"}))
        asked.update({"to": to, "send_digits": keys, "url": url, "callback": callback})
    elif kind == "sip":
        to, callback = "sip:" + token(6) + "@b.example", maybe(address)
        dial.sip(to, **given({"status_callback": callback,
                              "status_callback_event": callback and "answered"}))
        asked.update({"to": to, "callback": callback})
    else:
        name, starts, ends = token(8), dice.random() < 0.5, dice.random() < 0.5
        muted, wait, callback = maybe(yes), maybe(address), maybe(address)
        events = callback and "start end join leave"
        dial.conference(name, start_conference_on_enter=starts, end_conference_on_exit=ends,
                        beep="false", **given({"muted": muted, "wait_url": wait,
                                               "status_callback": callback,
                                               "status_callback_event": events}))
        asked.update({"to": name, "starts": starts, "ends": ends, "muted": muted, "wait": wait,
                      "callback": callback})
    response.append(dial)
    return asked


def random_twiml(program):
    """Random documents of ours are, to any parser of XML, those of Twilio's own package."""
    documents, asked = [], []
    for _ in range(DOCUMENTS):
        response = VoiceResponse()
        asked.append({"check": "twiml_of",
                      "verbs": [some_verb(response) for _ in range(dice.randint(0, 6))]})
        documents.append(str(response))
    ours = ask(program, asked)
    canonical = ElementTree.canonicalize
    wrong = []
    for theirs, answer, verbs in zip(documents, ours, asked):
        try:
            same = canonical(theirs) == canonical(answer)
        except ElementTree.ParseError:
            same = False
        if not same:
            wrong.append((verbs, theirs, answer))
    report(not wrong and len(ours) == DOCUMENTS,
           f"twilio: {DOCUMENTS} random documents are what Twilio's own package writes",
           str(wrong[:1]))


program = sys.argv[1]
print(f"seed {SEED}: SIGNATURES_SEED={SEED} repeats this run")
agree(program, "twilio", twilio_case)
agree(program, "telnyx", telnyx_case)
agree(program, "vonage", vonage_case)
twiml(program)
random_twiml(program)
sys.exit(failures > 0)
