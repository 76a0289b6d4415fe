"""ElevenLabs's own client against the fake: speech by websocket and by request, account, voices."""

import base64
import json

from elevenlabs import VoiceSettings
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.types import AudioOutputMulti, FinalOutputMulti
from websockets.sync.client import connect

from common import KEY, LIMIT, URL, check, hear, run

BASE = f"{URL}/elevenlabs"
WS = BASE.replace("http", "ws", 1)


def client(key=KEY):
    made = ElevenLabs(base_url=BASE, api_key=key, timeout=LIMIT)
    # The client turns any base URL into `wss`, and the fakes have no certificate.
    made.text_to_speech._ws_base_url = WS
    return made


@check
def text_is_spoken_as_it_is_written():
    audio = client().text_to_speech.convert_realtime(
        voice_id="EXAVITQu4vr4xnSDxMaL",
        text=iter(["17 ", "3 1 ", "2 3 "]),
        model_id="eleven_flash_v2_5",
        output_format="pcm_16000",
        voice_settings=VoiceSettings(stability=0.5, similarity_boost=0.7, speed=1.0),
    )
    assert hear(b"".join(audio), 16000) == [17, 3, 1, 2, 3]


@check
def an_error_on_the_socket_reaches_the_client():
    try:
        list(client().text_to_speech.convert_realtime(
            voice_id="no-such-voice", text=iter(["17 3 "]), output_format="pcm_16000"
        ))
    except ApiError as error:
        assert error.body["error"] == "voice_id_does_not_exist", error
        return
    raise AssertionError("expected an error")


@check
def contexts_are_spoken_apart_in_messages_that_the_client_has_types_for():
    url = f"{WS}/v1/text-to-speech/voice/multi-stream-input?output_format=pcm_24000"
    heard = {"a": b"", "b": b""}
    spoken = {"a": "", "b": ""}
    finals = []
    with connect(url, additional_headers={"xi-api-key": KEY}) as socket:
        for context, text in [("a", "17 3 "), ("b", "9 8 7 ")]:
            socket.send(json.dumps({"text": " ", "context_id": context}))
            socket.send(json.dumps({"text": text, "context_id": context, "flush": True}))
            socket.send(json.dumps({"context_id": context, "close_context": True}))
        while len(finals) < 2:
            message = json.loads(socket.recv(LIMIT))
            if message.get("isFinal"):
                finals.append(FinalOutputMulti.model_validate(message).context_id)
                continue
            output = AudioOutputMulti.model_validate(message)
            heard[output.context_id] += base64.b64decode(output.audio)
            alignment = output.alignment
            spoken[output.context_id] += "".join(alignment.chars)
            assert alignment.char_start_times_ms[0] == 0
            assert len(alignment.chars) == len(alignment.char_durations_ms)
            assert alignment.char_start_times_ms[-1] + alignment.char_durations_ms[-1] == 200
        socket.send(json.dumps({"close_socket": True}))
    assert sorted(finals) == ["a", "b"]
    assert (hear(heard["a"], 24000), hear(heard["b"], 24000)) == ([17, 3], [9, 8, 7])
    assert spoken == {"a": "17 3 ", "b": "9 8 7 "}, spoken


@check
def a_request_is_spoken_with_nothing_but_the_base_url_changed():
    audio = ElevenLabs(base_url=BASE, api_key=KEY).text_to_speech.stream(
        voice_id="voice", text="17 3 1 2.", model_id="eleven_flash_v2_5", output_format="pcm_16000"
    )
    assert hear(b"".join(audio), 16000) == [17, 3, 1, 2]


@check
def account_and_voices_are_told():
    user = client().user.get()
    assert user.subscription.character_limit > 0, user
    assert client().voices.get("voice").voice_id == "voice"
    for key, ask, status in [
        ("wrong", lambda client: client.user.get(), 401),
        (KEY, lambda client: client.voices.get("no-such-voice"), 404),
    ]:
        try:
            ask(client(key))
            raise AssertionError(f"expected an error {status}")
        except ApiError as error:
            assert error.status_code == status, error


run()
