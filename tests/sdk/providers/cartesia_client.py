"""Cartesia's own client against the fake: the websocket and its contexts."""

import cartesia
from cartesia import Cartesia

from common import KEY, LIMIT, URL, check, hear, run

BASE = f"{URL}/cartesia"
RATE = 24000
OPTIONS = dict(
    model_id="sonic-3.5",
    voice={"mode": "id", "id": "voice"},
    output_format={"container": "raw", "encoding": "pcm_s16le", "sample_rate": RATE},
)


def client(key=KEY):
    return Cartesia(
        api_key=key, base_url=BASE, websocket_base_url=BASE.replace("http", "ws", 1), timeout=LIMIT
    )


def received(context):
    """Audio, words with their times, and types of all events of a context."""
    audio, words, kinds = b"", [], []
    for event in context.receive():
        # The client hands over what was under way of a context that was cancelled.
        if event.context_id != context._context_id:
            continue
        kinds.append(event.type)
        if event.type == "chunk":
            audio += event.audio
        elif event.type == "timestamps":
            times = event.word_timestamps
            words += zip(times.words, times.start, times.end)
    return audio, words, kinds


@check
def text_is_spoken_as_it_is_written_with_word_times():
    with client().tts.websocket_connect() as connection:
        context = connection.context(**OPTIONS, add_timestamps=True, max_buffer_delay_ms=0)
        for text in ["17 3 ", "1 2 3."]:
            context.push(text)
        context.no_more_inputs()
        audio, words, kinds = received(context)
    assert hear(audio, RATE) == [17, 3, 1, 2, 3]
    assert [word for word, _, _ in words] == ["17", "3", "1", "2", "3."], words
    assert abs(words[2][1] - 0.4) < 0.001 and abs(words[2][2] - 0.56) < 0.001, words
    assert kinds.count("chunk") == 10 and kinds[-1] == "done", kinds


@check
def contexts_share_a_socket_and_one_is_cancelled():
    with client().tts.websocket_connect() as connection:
        cancelled = connection.context(**OPTIONS)
        numbers = " ".join(str(number) for number in range(100))
        cancelled.send(**OPTIONS, transcript=numbers, continue_=False)
        cancelled.cancel()
        context = connection.context(**OPTIONS)
        context.send(**OPTIONS, transcript="9 8.", continue_=False)
        audio, _, _ = received(context)
    assert hear(audio, RATE) == [9, 8]


@check
def errors_reach_the_client():
    with client().tts.websocket_connect() as connection:
        context = connection.context(**OPTIONS)
        unknown = {**OPTIONS, "voice": {"mode": "id", "id": "no-such-voice"}}
        context.send(**unknown, transcript="9.", continue_=False)
        event = connection.recv()
        assert (event.type, event.error_code, event.status_code) == ("error", "voice_not_found", 400), event
    try:
        with client("wrong").tts.websocket_connect():
            pass
    except Exception as error:
        assert "401" in str(error), error
    else:
        raise AssertionError("expected an error 401")


@check
def voices_are_told():
    assert client().voices.get("voice").id == "voice"
    try:
        client().voices.get("no-such-voice")
        raise AssertionError("expected an error 404")
    except cartesia.NotFoundError as error:
        assert error.body["error_code"] == "voice_not_found", error


run()
