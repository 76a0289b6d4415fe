"""The official Python client against a running server: only the base URL is ours."""

import asyncio
import json
import os
import sys
import traceback
import urllib.request
from datetime import datetime, timedelta, timezone

import websockets
from openapi_spec_validator import validate
from vapi import AsyncVapi, AudioFormat, Vapi
from vapi.calls import CreateCallDtoTransport_VapiWebsocket
from vapi.core.api_error import ApiError
from vapi.phone_numbers import (
    CreatePhoneNumbersRequest_Twilio,
    UpdatePhoneNumbersRequestBody_Twilio,
)
from vapi.tools import CreateToolsRequest_Function, UpdateToolsRequestBody_Function

URL, KEY = os.environ["OFFHOOK_URL"], os.environ["OFFHOOK_KEY"]

# Longest wait for anything in a call, in seconds.
LIMIT = 20

# One frame of 20 ms of silence, 16-bit at 16 kHz.
FRAME = bytes(640)

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def client(key=KEY):
    return Vapi(base_url=URL, token=key)


def refused(status, ask):
    """The body of the error that `ask` must meet."""
    try:
        ask()
    except ApiError as error:
        assert error.status_code == status, error
        return error.body
    raise AssertionError(f"expected an error {status}")


def new_assistant(vapi, **fields):
    return vapi.assistants.create(
        name="SDK", first_message="Hello from the other side of the wire.", **fields
    )


@check
def an_assistant_is_created_read_changed_listed_and_deleted():
    vapi = client()
    created = new_assistant(vapi, metadata={"tenant": "a"}, max_duration_seconds=600)
    assert created.id and created.org_id
    assert abs(datetime.now(timezone.utc) - created.created_at) < timedelta(minutes=1)
    assert created.metadata == {"tenant": "a"}

    assert vapi.assistants.get(created.id) == created
    changed = vapi.assistants.update(created.id, name="renamed", first_message="Hi.")
    assert (changed.name, changed.first_message) == ("renamed", "Hi.")
    assert changed.metadata == {"tenant": "a"}
    assert changed.created_at == created.created_at and changed.updated_at >= created.updated_at

    listed = vapi.assistants.list(limit=10, created_at_ge=created.created_at)
    assert [one.id for one in listed] == [created.id], listed
    assert vapi.assistants.list(created_at_lt=datetime(2020, 1, 1, 0, 0, 0, 123456)) == []

    assert vapi.assistants.delete(created.id).id == created.id
    refused(404, lambda: vapi.assistants.get(created.id))


@check
def nested_objects_keep_their_types():
    vapi = client()
    created = new_assistant(
        vapi,
        model={
            "provider": "openai",
            "model": "gpt-4o",
            "temperature": 0.5,
            "messages": [{"role": "system", "content": "Be kind."}],
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
                    "server": {"url": "https://example.com/tools"},
                }
            ],
        },
        voice={"provider": "11labs", "voice_id": "sarah"},
        transcriber={"provider": "deepgram", "model": "nova-3", "language": "en"},
        server={"url": "https://example.com/events", "timeout_seconds": 20},
        server_messages=["end-of-call-report", "status-update"],
    )
    read = vapi.assistants.get(created.id)
    assert read.model.provider == "openai" and read.model.temperature == 0.5
    assert read.model.messages[0].content == "Be kind."
    assert read.model.tools[0].function.name == "weather"
    assert read.voice.voice_id == "sarah"
    assert read.transcriber.model == "nova-3"
    assert read.server.url == "https://example.com/events"
    assert read.server_messages == ["end-of-call-report", "status-update"]
    vapi.assistants.delete(created.id)


@check
def a_tool_is_created_read_changed_listed_and_deleted():
    vapi = client()
    created = vapi.tools.create(
        request=CreateToolsRequest_Function(
            function={"name": "weather", "parameters": {"type": "object", "properties": {}}},
            server={"url": "https://example.com/tools", "timeout_seconds": 10},
        )
    )
    assert created.id and created.org_id and created.type == "function", created
    assert created.function.name == "weather" and created.server.timeout_seconds == 10
    # Each operation has a class of its own for what it answers.
    assert vapi.tools.get(created.id).dict() == created.dict()
    changed = vapi.tools.update(created.id, request=UpdateToolsRequestBody_Function(async_=True))
    assert changed.async_ is True and changed.function == created.function
    assert [one.id for one in vapi.tools.list(limit=10)] == [created.id]

    model = {"provider": "openai", "model": "gpt-4o", "tool_ids": [created.id]}
    assistant = new_assistant(vapi, model=model)
    assert vapi.assistants.get(assistant.id).model.tool_ids == [created.id]
    vapi.assistants.delete(assistant.id)
    assert vapi.tools.delete(created.id).id == created.id
    refused(404, lambda: vapi.tools.get(created.id))


@check
def a_phone_number_is_created_read_changed_listed_and_deleted():
    vapi = client()
    assistant = new_assistant(vapi)
    created = vapi.phone_numbers.create(
        request=CreatePhoneNumbersRequest_Twilio(
            number="+14155550100",
            name="Front desk",
            assistant_id=assistant.id,
            twilio_account_sid="AC1",
            twilio_auth_token="hush",
            fallback_destination={"type": "number", "number": "+14155550199"},
            hooks=[{"on": "call.ringing", "do": [{"type": "say", "exact": "We are closed."}]}],
        )
    )
    assert created.id and created.org_id and created.provider == "twilio", created
    # No carrier can be told of a server without a public address.
    assert created.status == "activating" and created.twilio_auth_token is None, created
    assert created.hooks[0].do[0].exact == "We are closed."
    assert vapi.phone_numbers.get(created.id).dict() == created.dict()
    changed = vapi.phone_numbers.update(
        created.id, request=UpdatePhoneNumbersRequestBody_Twilio(name="Night")
    )
    assert (changed.name, changed.number) == ("Night", created.number)
    assert [one.id for one in vapi.phone_numbers.list(limit=10)] == [created.id]
    page = vapi.phone_numbers.phone_number_controller_find_all_paginated(search="night", page=1)
    assert [one.id for one in page.results] == [created.id]
    assert (page.metadata.total_items, page.metadata.current_page) == (1, 1), page.metadata
    assert vapi.phone_numbers.delete(created.id).id == created.id
    refused(404, lambda: vapi.phone_numbers.get(created.id))
    vapi.assistants.delete(assistant.id)


@check
def credentials_of_an_assistant_come_back_without_their_secrets():
    vapi = client()
    created = new_assistant(
        vapi, credentials=[{"provider": "deepgram", "name": "main", "api_key": "hush"}]
    )
    [credential] = vapi.assistants.get(created.id).credentials
    assert (credential.provider, credential.name) == ("deepgram", "main")
    assert "hush" not in repr(created) + repr(credential)
    vapi.assistants.delete(created.id)


@check
def a_websocket_call_is_held_and_read_back():
    vapi = client()
    assistant = new_assistant(vapi)
    call = vapi.calls.create(
        assistant_id=assistant.id,
        name="from Python",
        transport=CreateCallDtoTransport_VapiWebsocket(
            audio_format=AudioFormat(format="pcm_s16le", container="raw", sample_rate=16000)
        ),
    )
    assert (call.status, call.type) == ("queued", "vapi.websocketCall"), call
    assert call.monitor.control_url.startswith(URL)
    assert call.monitor.listen_url.startswith(URL.replace("http", "ws", 1))
    assert vapi.calls.get(call.id).status == "queued"

    heard, events, closed = asyncio.run(hold(call.transport.websocketCallUrl))
    assert any(heard), "nothing but silence was heard"
    assert len(heard) % 2 == 0
    assert {"status-update", "speech-update"} <= {event["type"] for event in events}, events
    assert closed == (1000, "customer-ended-call"), closed

    ended = until_ended(vapi, call.id)
    assert ended.ended_reason == "customer-ended-call"
    assert ended.started_at < ended.ended_at
    assert ended.messages[0].role == "bot"
    assert ended.messages[0].message.startswith("Hello")
    assert ended.artifact.transcript.startswith("AI: Hello")
    assert ended.cost == ended.cost_breakdown.total

    renamed = vapi.calls.update(call.id, name="renamed")
    assert renamed.name == "renamed"
    listed = vapi.calls.list(assistant_id=assistant.id, limit=5)
    assert [one.id for one in listed] == [call.id]
    # The client follows the redirect, and gives nothing back but an error.
    vapi.calls.call_artifact_controller_mono_recording_download(call.id)
    with urllib.request.urlopen(ended.artifact.recording_url, timeout=LIMIT) as wav:
        assert wav.read(4) == b"RIFF"
    assert vapi.calls.delete(call.id).id == call.id
    refused(404, lambda: vapi.calls.get(call.id))
    vapi.assistants.delete(assistant.id)


async def hold(url):
    """Listens until the assistant has spoken, then hangs up: audio, messages, how it closed."""
    heard, events = bytearray(), []
    async with asyncio.timeout(LIMIT), websockets.connect(url) as socket:

        async def talk():
            while True:
                await socket.send(FRAME)
                await asyncio.sleep(0.02)

        talking = asyncio.create_task(talk())
        try:
            async for message in socket:
                if isinstance(message, bytes):
                    heard += message
                    continue
                event = json.loads(message)
                events.append(event)
                spoke = event["type"] == "speech-update" and event["role"] == "assistant"
                if spoke and event["status"] == "stopped":
                    await socket.send(json.dumps({"type": "hangup"}))
        finally:
            talking.cancel()
        return bytes(heard), events, (socket.close_code, socket.close_reason)


def until_ended(vapi, call):
    async def wait():
        async with asyncio.timeout(LIMIT):
            while (found := vapi.calls.get(call)).status != "ended":
                await asyncio.sleep(0.05)
            return found

    return asyncio.run(wait())


@check
def the_asynchronous_client_works_as_well():
    async def scenario():
        vapi = AsyncVapi(base_url=URL, token=KEY)
        created = await vapi.assistants.create(name="async")
        assert (await vapi.assistants.get(created.id)).name == "async"
        assert (await vapi.assistants.delete(created.id)).id == created.id

    asyncio.run(scenario())


@check
def a_refused_document_is_an_error_with_every_path():
    body = refused(
        400,
        lambda: client().assistants.create(
            name="x" * 41, model={"provider": "openai", "model": "gpt-4o", "temperature": 3}
        ),
    )
    assert sorted(body["message"]) == [
        "model.temperature must not be greater than 2",
        "name must be shorter than or equal to 40 characters",
    ], body
    assert (body["error"], body["statusCode"]) == ("Bad Request", 400)
    body = refused(400, lambda: client().calls.create(assistant_id="nobody"))
    assert isinstance(body["message"], list), body


@check
def a_wrong_key_is_unauthorized():
    body = refused(401, lambda: client("wrong").assistants.list())
    assert body["error"] == "Unauthorized", body


@check
def the_openapi_document_is_valid():
    with urllib.request.urlopen(f"{URL}/openapi.json", timeout=LIMIT) as answer:
        # Patterns are ECMAScript's, which has Unicode classes; the validator reads them as Python's.
        validate(json.loads(answer.read().decode().replace("\\\\p{L}", "\\\\w")))


def main():
    failed = 0
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        try:
            function()
            print(f"ok    {name}", flush=True)
        except Exception:  # Whatever a check meets is its failure, and the others still run.
            failed += 1
            traceback.print_exc()
            print(f"FAIL  {name}", flush=True)
    sys.exit(1 if failed else 0)


main()
