"""What both systems are configured with, and what is said to them."""

FLUX_MODEL = "flux-general-en"
LISTEN_MODEL = "nova-3"
# Silence after which Deepgram calls its text final, in ms.
ENDPOINTING_MS = 300
MODEL = "gpt-4o-mini"
PROMPT = "You answer with numbers."
VOICE_ID = "21m00Tcm4TlvDq8ikWAM"
VOICE_MODEL = "eleven_flash_v2_5"

TURNS = 7

# Words of the model's answer after the two of the turn.
ANSWER_WORDS = 8

# Said after the two numbers of the turn, so that a sentence takes a second: there is something left to be cut off. One
# number alone names no turn.
LAST_WORDS = (1901, 1902, 1903)


def sentence(caller, turn):
    """What a caller says in a turn. The first two numbers name it."""
    return [caller, turn, *LAST_WORDS]


def answer(caller, turn):
    """What the fake model answers to it."""
    return [caller, turn, *range(1, ANSWER_WORDS + 1)]


def assistant(transcriber):
    """The document of Offhook's assistant: the same providers, and no wait beyond the transcriber's judgement.

    Numbers go to the voice as they are, as Pipecat sends them: spelt out they would be no tones.
    """
    if transcriber == "flux":
        stage = {"provider": "deepgram", "model": FLUX_MODEL}
    else:
        stage = {"provider": "deepgram", "model": LISTEN_MODEL, "endpointing": ENDPOINTING_MS}
    return {
        "name": "Comparison",
        "firstMessageMode": "assistant-waits-for-user",
        "transcriber": stage,
        "model": {
            "provider": "openai",
            "model": MODEL,
            "messages": [{"role": "system", "content": PROMPT}],
        },
        "voice": {
            "provider": "11labs",
            "voiceId": VOICE_ID,
            "model": VOICE_MODEL,
            "chunkPlan": {"formatPlan": {"enabled": False}},
        },
        "startSpeakingPlan": {"waitSeconds": 0},
        "artifactPlan": {"recordingEnabled": False},
    }
