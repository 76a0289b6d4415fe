"""Deepgram's own client against the fake: both transcription websockets."""

import threading

from deepgram import DeepgramClient
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from websockets.exceptions import InvalidStatus

from common import KEY, LIMIT, URL, check, frames, run, silence, speak

RATE = 16000


def client(key=KEY):
    http, ws = f"{URL}/deepgram", f"{URL}/deepgram".replace("http", "ws", 1)
    environment = DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http)
    return DeepgramClient(api_key=key, environment=environment)


def listen(socket, converse):
    """Everything that comes while `converse` talks, until the server closes."""
    messages, errors = [], []
    socket.on(EventType.MESSAGE, messages.append)
    socket.on(EventType.ERROR, errors.append)
    listening = threading.Thread(target=socket.start_listening, daemon=True)
    listening.start()
    converse(socket, messages)
    listening.join(LIMIT)
    assert not listening.is_alive(), "the server did not close"
    assert not errors, errors
    unknown = [message for message in messages if isinstance(message, dict)]
    assert not unknown, unknown
    return messages


def say(socket, numbers, pause=0.2):
    for frame in frames(speak(numbers, RATE) + silence(pause, RATE), RATE):
        socket.send_media(frame)


@check
def an_utterance_is_transcribed_with_interim_results_and_word_times():
    def converse(socket, _):
        say(socket, [17, 342, 5], pause=1.5)
        socket.send_keep_alive()
        socket.send_close_stream()

    options = dict(
        model="nova-3", encoding="linear16", sample_rate=RATE, interim_results=True, vad_events=True,
        punctuate=True, endpointing=100, utterance_end_ms=1000, keyterm="Offhook",
    )
    with client().listen.v1.connect(**options) as socket:
        messages = listen(socket, converse)
    kinds = [message.type for message in messages]
    assert kinds == ["SpeechStarted", *["Results"] * 4, "UtteranceEnd", "Metadata"], kinds
    results = [message for message in messages if message.type == "Results"]
    texts = [result.channel.alternatives[0].transcript for result in results]
    assert texts == ["17", "17 342", "17 342 5", "17 342 5."], texts
    final = results[-1]
    assert (final.is_final, final.speech_final, final.from_finalize) == (True, True, False)
    words = final.channel.alternatives[0].words
    assert [word.punctuated_word for word in words] == ["17", "342", "5."], words
    assert abs(words[1].start - 0.2) < 0.02 and abs(words[1].end - 0.36) < 0.02, words
    assert abs(messages[-1].duration - 2.1) < 0.05, messages[-1]


@check
def finalize_ends_an_utterance_at_once():
    def converse(socket, _):
        say(socket, [9], pause=0.02)
        socket.send_finalize()
        socket.send_close_stream()

    with client().listen.v1.connect(
        model="nova-2-phonecall", encoding="linear16", sample_rate=RATE, keywords="Offhook:2"
    ) as socket:
        messages = listen(socket, converse)
    assert [message.type for message in messages] == ["Results", "Metadata"], messages
    assert messages[0].from_finalize and messages[0].is_final
    assert messages[0].channel.alternatives[0].transcript == "9"


@check
def flux_tells_of_turns():
    def converse(socket, _):
        say(socket, [3, 4], pause=0.5)
        socket.send_close_stream()

    with client().listen.v2.connect(
        model="flux-general-en", encoding="linear16", sample_rate=RATE, eager_eot_threshold=0.5,
        eot_threshold=0.8, keyterm=["Offhook", "line"],
    ) as socket:
        messages = listen(socket, converse)
    assert messages[0].type == "Connected", messages[0]
    assert [message.sequence_id for message in messages] == list(range(len(messages)))
    turns = messages[1:]
    events = [turn.event for turn in turns]
    assert events == ["StartOfTurn", "Update", "EagerEndOfTurn", "EndOfTurn"], events
    assert (turns[-1].transcript, turns[-1].trigger) == ("3 4.", "model"), turns[-1]
    assert turns[-2].transcript == turns[-1].transcript
    assert [word.word for word in turns[-1].words] == ["3", "4."]


@check
def flux_is_configured_and_a_turn_is_forced():
    def converse(socket, _):
        thresholds = {"eot_threshold": 0.9}
        socket.send_configure({"type": "Configure", "thresholds": thresholds, "keyterms": ["a"]})
        say(socket, [8], pause=0.04)
        socket.send_force_end_turn()
        socket.send_close_stream()

    with client().listen.v2.connect(model="flux-general-en", encoding="linear16", sample_rate=RATE) as socket:
        messages = listen(socket, converse)
    kinds = [message.type for message in messages]
    assert kinds == ["Connected", "ConfigureSuccess", "TurnInfo", "TurnInfo"], kinds
    assert messages[1].thresholds.eot_threshold == 0.9 and messages[1].keyterms == ["a"], messages[1]
    assert (messages[-1].event, messages[-1].trigger) == ("EndOfTurn", "manual"), messages[-1]


@check
def a_wrong_key_and_a_wrong_parameter_are_refused():
    for key, options, status, reason in [
        ("wrong", {}, 401, "INVALID_AUTH"),
        (KEY, {"utterance_end_ms": 100}, 400, "utterance_end_ms"),
    ]:
        try:
            with client(key).listen.v1.connect(
                model="nova-3", encoding="linear16", sample_rate=RATE, **options
            ):
                raise AssertionError(f"expected an error {status}")
        except InvalidStatus as error:
            assert error.response.status_code == status, error
            assert reason in error.response.headers["dg-error"], error.response.headers


run()
