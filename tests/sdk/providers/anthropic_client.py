"""Anthropic's own client against the fake: messages and models."""

import anthropic
from anthropic import Anthropic

from common import KEY, LIMIT, URL, check, run

TOOL = {
    "name": "weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
        "required": ["city", "unit"],
    },
}


def client(key=KEY):
    return Anthropic(base_url=f"{URL}/anthropic", api_key=key, timeout=LIMIT, max_retries=0)


def options(said, **more):
    return dict(
        model="claude-haiku-5-5", max_tokens=100, messages=[{"role": "user", "content": said}], **more
    )


@check
def a_reply_is_streamed_and_counted():
    with client().messages.stream(**options("17 3.")) as stream:
        parts = list(stream.text_stream)
        message = stream.get_final_message()
    assert "".join(parts) == "17 3 1 2 3 4 5 6 7 8.", parts
    assert len(parts) == 10, parts
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 10), message
    assert message.usage.input_tokens == 2


@check
def tools_are_called_and_their_results_answered():
    with client().messages.stream(**options("1 2 2000", tools=[TOOL])) as stream:
        message = stream.get_final_message()
    assert message.stop_reason == "tool_use"
    [use] = message.content
    assert (use.name, use.input) == ("weather", {"city": "1 2", "unit": "C"}), use

    result = {"type": "tool_result", "tool_use_id": use.id, "content": "fine"}
    messages = [
        {"role": "user", "content": "1 2 2000"},
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [result]},
    ]
    answer = client().messages.create(**{**options(""), "messages": messages, "tools": [TOOL]})
    assert answer.content[0].text.startswith("1 2 1 2 3"), answer
    without = {**options(""), "messages": messages[:2], "tools": [TOOL]}
    refused(anthropic.BadRequestError, lambda: client().messages.create(**without))


@check
def a_limit_of_tokens_cuts_a_reply_off():
    message = client().messages.create(**{**options("17 3."), "max_tokens": 4})
    assert (message.content[0].text, message.stop_reason) == ("17 3 1 2", "max_tokens"), message


def refused(expected, ask):
    try:
        ask()
    except expected as error:
        assert error.body["type"] == "error" and error.request_id, error
        return
    raise AssertionError(f"expected {expected}")


@check
def errors_have_the_classes_that_the_client_knows():
    refused(anthropic.AuthenticationError, lambda: client("wrong").messages.create(**options("1 2")))
    unknown = {**options("1 2"), "model": "no-such-model"}
    refused(anthropic.NotFoundError, lambda: client().messages.create(**unknown))
    # The client speaks the version of the protocol that has no sampling parameters.
    warm = options("1 2", extra_body={"temperature": 0.5})
    refused(anthropic.BadRequestError, lambda: client().messages.create(**warm))


@check
def models_are_listed():
    assert "claude-haiku-5-5" in [model.id for model in client().models.list()]


run()
