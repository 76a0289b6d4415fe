"""A telephone agent on Pipecat in its ordinary shape, with its providers at the fakes.

Deepgram, OpenAI and ElevenLabs through Pipecat's own services, its FastAPI websocket transport, 8 kHz throughout as it
recommends for telephony. The leg is the one that Offhook's caller speaks: binary messages of mu-law both ways.

    FAKES_URL=http://127.0.0.1:9000 TRANSCRIBER=flux python bot.py

Prints one line, `bot http://127.0.0.1:PORT`, when it takes calls at `/call`.
"""

import asyncio
import os
import socket
import sys

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.utils import create_stream_resampler, pcm_to_ulaw, ulaw_to_pcm
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import AudioRawFrame, InputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

import scenario

RATE_HZ = 8000
FAKES = os.environ["FAKES_URL"]
FAKES_WEBSOCKET = FAKES.replace("http://", "ws://")
TRANSCRIBER = os.environ.get("TRANSCRIBER", "flux")


class MulawSerializer(FrameSerializer):
    """Audio as binary messages, and nothing else: what its serializers for carriers do, less JSON and base64."""

    def __init__(self):
        super().__init__()
        self._in = create_stream_resampler()
        self._out = create_stream_resampler()

    async def serialize(self, frame):
        if isinstance(frame, AudioRawFrame):
            return await pcm_to_ulaw(frame.audio, frame.sample_rate, RATE_HZ, self._out)
        return None

    async def deserialize(self, data):
        if isinstance(data, str):
            return None
        pcm = await ulaw_to_pcm(data, RATE_HZ, RATE_HZ, self._in)
        return InputAudioRawFrame(audio=pcm, sample_rate=RATE_HZ, num_channels=1)


def transcriber():
    """The transcriber, and how the aggregator knows that a turn began and ended."""
    if TRANSCRIBER == "flux":
        # Flux judges turns itself: the service brings the strategies for it, and wants no detector beside it.
        stt = DeepgramFluxSTTService(
            api_key="key",
            url=f"{FAKES_WEBSOCKET}/deepgram/v2/listen",
            settings=DeepgramFluxSTTService.Settings(model=scenario.FLUX_MODEL),
        )
        return stt, LLMUserAggregatorParams()
    stt = DeepgramSTTService(
        api_key="key",
        base_url=f"{FAKES}/deepgram",
        settings=DeepgramSTTService.Settings(
            model=scenario.LISTEN_MODEL,
            endpointing=scenario.ENDPOINTING_MS,
            interim_results=True,
            punctuate=True,
        ),
    )
    # The final text ends the turn, as it does for the other side of the comparison.
    at_final_text = UserTurnStrategies(
        stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.0)]
    )
    return stt, LLMUserAggregatorParams(
        vad_analyzer=SileroVADAnalyzer(), user_turn_strategies=at_final_text
    )


async def answer(websocket):
    """Holds one call."""
    transport = FastAPIWebsocketTransport(
        websocket=websocket,
        params=FastAPIWebsocketParams(
            audio_in_enabled=True, audio_out_enabled=True, serializer=MulawSerializer()
        ),
    )
    stt, user_params = transcriber()
    llm = OpenAILLMService(
        api_key="key",
        base_url=f"{FAKES}/openai/v1",
        settings=OpenAILLMService.Settings(
            model=scenario.MODEL, system_instruction=scenario.PROMPT
        ),
    )
    tts = ElevenLabsTTSService(
        api_key="key",
        url=f"{FAKES_WEBSOCKET}/elevenlabs",
        settings=ElevenLabsTTSService.Settings(
            voice=scenario.VOICE_ID, model=scenario.VOICE_MODEL
        ),
    )
    user, assistant = LLMContextAggregatorPair(LLMContext(), user_params=user_params)
    worker = PipelineWorker(
        Pipeline([transport.input(), stt, user, llm, tts, transport.output(), assistant]),
        params=PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ),
    )
    runner = WorkerRunner(handle_sigint=False)

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport, _client):
        await runner.cancel()

    await runner.add_workers(worker)
    await runner.run()


app = FastAPI()


@app.websocket("/call")
async def call(websocket: WebSocket):
    await websocket.accept()
    await answer(websocket)


async def main():
    logger.remove()
    logger.add(sys.stderr, level=os.environ.get("LOG_LEVEL", "INFO"))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    print(f"bot http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    await server.serve(sockets=[listener])


if __name__ == "__main__":
    asyncio.run(main())
