"""Telnyx's own client and webhook check against the fake Telnyx."""

import json
import sys

import telnyx
from common import FAKES, Customer, check, control, until
import common

OURS, THEIRS = "+14155550100", "+14155550123"
customer = Customer()
client = telnyx.Telnyx(api_key=control("/options")["telnyx_api_key"],
                       base_url=FAKES + "/telnyx/v2", max_retries=0)

application = client.call_control_applications.create(
    application_name="offhook", webhook_event_url=customer.url + "/events").data
check(application.webhook_event_url == customer.url + "/events", "telnyx: an application is made")
control("/numbers", {"carrier": "telnyx", "number": OURS})
numbers = list(client.phone_numbers.list(filter={"phone_number": OURS}))
updated = client.phone_numbers.update(numbers[0].id, connection_id=application.id).data
check(updated.connection_id == application.id, "telnyx: a number is configured")

ask = dict(connection_id=application.id, to=THEIRS, from_=OURS, command_id="c-1",
           answering_machine_detection="premium", client_state="c3RhdGU=")
call = client.calls.dial(**ask).data
again = client.calls.dial(**ask).data
check(call.call_control_id == again.call_control_id, "telnyx: a command is carried out once")
id = call.call_control_id


def events():
    return [json.loads(body)["data"] for _, body in customer.of("/events")]


def event(kind):
    return until(lambda: [e for e in events() if e["event_type"] == kind], kind)


event("call.answered")
check(client.calls.retrieve_status(id).data.is_alive, "telnyx: a call is up")
client.calls.actions.speak(id, payload="1 2 3", voice="female", language="en-US")
event("call.speak.ended")
heard = control(f"/calls/{id}")["heard"]["text"]
check(heard == "1 2 3", "telnyx: what is said is heard", heard)
client.calls.actions.send_dtmf(id, digits="12#")
check(control(f"/calls/{id}")["heard"]["keys"] == "12#", "telnyx: keys are sent")
found = event("call.machine.premium.detection.ended")[0]["payload"]
check((found["result"], found["client_state"]) == ("human_residence", "c3RhdGU="),
      "telnyx: a person is told from a machine", str(found))
client.calls.actions.hangup(id)
ended = event("call.hangup")
check(ended[0]["payload"]["hangup_cause"] == "normal_clearing", "telnyx: a call is hung up")
try:
    client.calls.actions.hangup(id)
    check(False, "telnyx: a call that is over takes no command")
except telnyx.UnprocessableEntityError as error:
    check("90018" in str(error), "telnyx: a call that is over takes no command", str(error))

key = control("/telnyx-key")
good = 0
for headers, body in customer.of("/events"):
    client.webhooks.unwrap(body, headers=headers, key=key)
    good += 1
check(good >= 5, "telnyx: every webhook passes Telnyx's own check", str(good))
control("/fault", {"fault": "error", "carrier": "telnyx", "status": 429, "requests": 1})
try:
    client.calls.dial(connection_id=application.id, to=THEIRS, from_=OURS)
    check(False, "telnyx: too many requests")
except telnyx.RateLimitError:
    check(True, "telnyx: too many requests")
sys.exit(common.failures > 0)
