"""Vonage's own client and token check against the fake Vonage."""

import hashlib
import json
import logging
import sys

import jwt
from common import FAKES, Customer, check, control, until
import common
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from vonage import Auth, HttpClientOptions, Vonage
from vonage_http_client.errors import HttpRequestError, NotFoundError, RateLimitedError
from vonage_jwt.verify_jwt import verify_signature
from vonage_numbers import ListOwnedNumbersFilter, UpdateNumberParams
from vonage_voice import CreateCallRequest, Phone, Talk, ToPhone
from vonage_voice.models.ncco import Connect
from vonage_voice.models.connect_endpoints import PhoneEndpoint

# It complains about what is refused on purpose here.
logging.disable(logging.WARNING)
OURS, THEIRS = "14155550100", "14155550123"
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption()).decode()
public = key.public_key().public_bytes(serialization.Encoding.PEM,
                                       serialization.PublicFormat.PKCS1).decode()
options = control("/options", {"vonage_public_key": public})
host = FAKES.removeprefix("http://") + "/vonage"
auth = Auth(application_id=options["vonage_application_id"], private_key=private)
client = Vonage(auth, HttpClientOptions(api_host=host, rest_host=host, max_retries=0))
# Their client knows no way to a server without a certificate.
send = client.http_client._session.request
client.http_client._session.request = lambda method, url, *args, **more: send(
    method, url.replace("https://", "http://", 1), *args, **more)
customer = Customer()

account = Vonage(Auth(api_key=options["vonage_api_key"], api_secret=options["vonage_api_secret"]),
                 HttpClientOptions(api_host=host, rest_host=host, max_retries=0))
account.http_client._session.request = client.http_client._session.request
control("/numbers", {"carrier": "vonage", "number": "+14155550111", "moHttpUrl": "https://a.example"})
owned = ListOwnedNumbersFilter(pattern="14155550111", search_pattern=0)
[number], count, _ = account.numbers.list_owned_numbers(owned)
check((number.country, number.mo_http_url, count) == ("US", "https://a.example", 1),
      "vonage: a number is found")
account.numbers.update_number(UpdateNumberParams(
    country=number.country, msisdn=number.msisdn, app_id=options["vonage_application_id"]))
[number], _, _ = account.numbers.list_owned_numbers(owned)
check(number.app_id == options["vonage_application_id"], "vonage: a number is linked")

call = client.voice.create_call(CreateCallRequest(
    ncco=[Talk(text="1 2 3"), Talk(text="4 " * 100)], to=[ToPhone(number=THEIRS)],
    from_=Phone(number=OURS), event_url=[customer.url + "/event"], event_method="POST"))
check(call.status == "started", "vonage: a call is created", call.status)
until(lambda: control(f"/calls/{call.uuid}")["heard"]["text"].startswith("1 2 3"), "the talk")
check(client.voice.get_call(call.uuid).status == "answered", "vonage: a call is answered")
client.voice.play_dtmf_into_call(call.uuid, "12#")
check(control(f"/calls/{call.uuid}")["heard"]["keys"] == "12#", "vonage: keys are sent")
control("/people", {"number": "+14155550199", "stays": True})
client.voice.transfer_call_ncco(call.uuid, [
    Talk(text="9"), Connect(endpoint=[PhoneEndpoint(number="14155550199")], from_=OURS)])
until(lambda: "connected with" in str(control(f"/calls/{call.uuid}")["log"]), "the connection")
check("9" in control(f"/calls/{call.uuid}")["heard"]["text"].split(), "vonage: a call is moved")
calls, _ = client.voice.list_calls()
check(call.uuid in [known.uuid for known in calls], "vonage: calls are listed")
client.voice.hangup(call.uuid)
over = until(lambda: client.voice.get_call(call.uuid).status == "completed", "the end")
check(bool(over), "vonage: a call is hung up")
try:
    client.voice.hangup(call.uuid)
    check(False, "vonage: a call that is over is not found")
except (NotFoundError, HttpRequestError) as error:
    check("404" in str(error), "vonage: a call that is over is not found", str(error))

until(lambda: len(customer.of("/event")) >= 4, "events")
good = []
for headers, body in customer.of("/event"):
    token = {k.lower(): v for k, v in headers.items()}["authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False})
    good.append(verify_signature(token, options["vonage_signature_secret"])
                and claims["payload_hash"] == hashlib.sha256(body.encode()).hexdigest())
check(all(good) and len(good) >= 4, "vonage: every webhook passes Vonage's own check", str(good))
statuses = [json.loads(body)["status"] for _, body in customer.of("/event")]
check({"started", "ringing", "answered", "completed"} <= set(statuses),
      "vonage: every status is told", str(statuses))
control("/fault", {"fault": "error", "carrier": "vonage", "status": 429, "requests": 1})
try:
    client.voice.get_call(call.uuid)
    check(False, "vonage: too many requests")
except RateLimitedError:
    check(True, "vonage: too many requests")
sys.exit(common.failures > 0)
