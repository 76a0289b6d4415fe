"""OpenAI's own client against the fake: chat completions, models, speech."""

import openai
from openai import OpenAI

from common import KEY, LIMIT, URL, check, hear, run

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}


def client(key=KEY):
    return OpenAI(base_url=f"{URL}/openai/v1", api_key=key, timeout=LIMIT, max_retries=0)


def ask(said, **options):
    return client().chat.completions.create(
        model="gpt-4.1-mini", messages=[{"role": "user", "content": said}], **options
    )


@check
def a_reply_is_streamed_and_counted():
    chunks = list(ask("17 3.", stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "17 3 1 2 3 4 5 6 7 8.", text
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 10, chunks[-1]
    assert all(chunk.usage is None for chunk in chunks[:-1])


@check
def tool_calls_are_streamed_and_their_results_answered():
    with client().chat.completions.stream(
        model="gpt-4.1-mini",
        messages=[{"role": "user", "content": "1 2 2001"}],
        tools=[TOOL, {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}],
    ) as stream:
        completion = stream.get_final_completion()
    choice = completion.choices[0]
    assert choice.finish_reason == "tool_calls"
    calls = choice.message.tool_calls
    called = [(call.function.name, call.function.arguments) for call in calls]
    assert called == [("weather", '{"city":"1 2","days":1}'), ("now", "{}")], called

    messages = [
        {"role": "user", "content": "1 2 2001"},
        choice.message.model_dump(include={"role", "tool_calls"}),
        *({"role": "tool", "tool_call_id": call.id, "content": "fine"} for call in calls),
    ]
    answer = client().chat.completions.create(model="gpt-4.1-mini", messages=messages, tools=[TOOL])
    assert answer.choices[0].message.content.startswith("1 2 1 2 3"), answer


@check
def a_limit_of_tokens_cuts_a_reply_off():
    completion = ask("17 3.", max_completion_tokens=4)
    assert completion.choices[0].message.content == "17 3 1 2"
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage.completion_tokens == 4


@check
def errors_have_the_classes_that_the_client_knows():
    for expected, code, ask_wrongly in [
        (openai.AuthenticationError, "invalid_api_key", lambda: client("wrong").models.list()),
        (openai.NotFoundError, "model_not_found", lambda: client().models.retrieve("no-such-model")),
        (
            openai.BadRequestError,
            "unsupported_parameter",
            lambda: client().chat.completions.create(
                model="gpt-5.4-mini", messages=[{"role": "user", "content": "1 2"}], max_tokens=5
            ),
        ),
    ]:
        try:
            ask_wrongly()
            raise AssertionError(f"expected {expected}")
        except expected as error:
            assert error.code == code and error.request_id, error


@check
def models_are_listed():
    models = [model.id for model in client().models.list()]
    assert "gpt-4.1-mini" in models, models


@check
def speech_is_streamed_as_raw_audio():
    with client().audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="17 3 1 2.", response_format="pcm"
    ) as response:
        audio = b"".join(response.iter_bytes())
    assert hear(audio, 24000) == [17, 3, 1, 2]


run()
