"""Twilio's own client and validator against the fake Twilio."""

import sys
from urllib.parse import parse_qsl

from common import FAKES, Customer, check, control, until
import common
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.twiml.voice_response import Dial, VoiceResponse

OURS, THEIRS = "+14155550100", "+14155550123"
options = control("/options")
account, token = options["twilio_account_sid"], options["twilio_auth_token"]


class ToFake(TwilioHttpClient):
    """Sends what is for api.twilio.com to the fake."""

    def request(self, method, url, *args, **more):
        return super().request(method, url.replace("https://api.twilio.com", FAKES + "/twilio"),
                               *args, **more)


client = Client(account, token, http_client=ToFake())
customer = Customer()

number = client.incoming_phone_numbers.create(phone_number=OURS,
                                              voice_url=customer.url + "/inbound")
check(number.phone_number == OURS and number.sid.startswith("PN"), "twilio: a number is bought")
number = client.incoming_phone_numbers(number.sid).update(status_callback=customer.url + "/status")
check(number.status_callback == customer.url + "/status", "twilio: a number is configured")
found = client.incoming_phone_numbers.list(phone_number=OURS)
check([n.sid for n in found] == [number.sid], "twilio: a number is found")

response = VoiceResponse()
response.say("1 2 3")
response.pause(length=30)
call = client.calls.create(to=THEIRS, from_=OURS, twiml=str(response),
                           status_callback=customer.url + "/status",
                           status_callback_event=["initiated", "ringing", "answered", "completed"])
check(call.sid.startswith("CA") and call.status == "queued", "twilio: a call is created")
until(lambda: client.calls(call.sid).fetch().status == "in-progress", "the answer")
until(lambda: control(f"/calls/{call.sid}")["heard"]["text"] == "1 2 3", "what is said")
check(client.calls.list(to=THEIRS, limit=5)[0].sid == call.sid, "twilio: calls are listed")

response = VoiceResponse()
response.say("4 5")
dial = Dial(action=customer.url + "/dialled")
dial.conference("room")
response.append(dial)
client.calls(call.sid).update(twiml=str(response))
room = until(lambda: client.conferences.list(friendly_name="room", status="in-progress"), "a room")
people = client.conferences(room[0].sid).participants.list()
check([p.call_sid for p in people] == [call.sid], "twilio: a call is moved to a conference")
held = client.conferences(room[0].sid).participants(call.sid).update(hold=True)
check(held.hold is True, "twilio: a party is put on hold")
heard = control(f"/calls/{call.sid}")["heard"]["text"]
check(heard == "1 2 3 4 5", "twilio: what was said was heard", heard)
client.calls(call.sid).update(status="completed")
over = until(lambda: client.calls(call.sid).fetch().status == "completed", "the end")
check(bool(over), "twilio: a call is hung up")
try:
    client.calls(call.sid).update(status="completed")
    check(False, "twilio: a call that is over is not found")
except TwilioRestException as error:
    check((error.status, error.code) == (404, 20404), "twilio: a call that is over is not found",
          str(error))

until(lambda: len(customer.of("/status")) == 4, "four reports")
validator = RequestValidator(token)
signed = [validator.validate(customer.url + "/status", dict(parse_qsl(body, True)),
                             {k.lower(): v for k, v in headers.items()}["x-twilio-signature"])
          for headers, body in customer.of("/status")]
check(len(signed) == 4 and all(signed), "twilio: every webhook passes Twilio's validator")
statuses = sorted((int(form["SequenceNumber"]), form["CallStatus"])
                  for form in (dict(parse_qsl(body)) for _, body in customer.of("/status")))
check([status for _, status in statuses] == ["initiated", "ringing", "in-progress", "completed"],
      "twilio: statuses come in sequence", str(statuses))

try:
    client.calls.create(to="+1", from_=OURS, twiml="<Response/>")
    check(False, "twilio: a number that is none is refused")
except TwilioRestException as error:
    check(error.code == 21211, "twilio: a number that is none is refused", str(error))
control("/fault", {"fault": "error", "carrier": "twilio", "status": 429, "requests": 1})
try:
    client.calls.create(to=THEIRS, from_=OURS, twiml="<Response/>")
    check(False, "twilio: too many requests")
except TwilioRestException as error:
    check((error.status, error.code) == (429, 20429), "twilio: too many requests", str(error))
sys.exit(common.failures > 0)
