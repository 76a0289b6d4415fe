"""A caller on a leg of binary messages, mu-law at 8 kHz both ways, in real time.

The caller says a sentence, hears the answer out, and says the next. Silence is sent between sentences, as a telephone
does. What arrives is played at real time from its arrival; an answer is over when that has been silent for a while.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

import websockets

import scenario
import tones

FRAME_SECONDS = 0.02
FRAME_BYTES = tones.RATE_HZ // 50

# Silence before the first sentence: both sides set up their providers.
SETTLE_SECONDS = 1.0
# Silence after an answer before the next sentence.
PAUSE_SECONDS = 0.7
# Silence in the middle of an answer after which it does not go on.
STALL_SECONDS = 4.0
# Silence after which a caller gives a turn up, counted from the end of its sentence, and how long an answer may take.
PATIENCE_SECONDS = 10.0
ANSWER_SECONDS = 20.0
CONNECT_SECONDS = 20.0

# A frame this late makes latencies doubtful: it is counted.
LATE_SECONDS = 0.01

_SILENCE = bytes([tones.SILENCE_BYTE]) * FRAME_BYTES


@dataclass
class Turn:
    """What became of one sentence."""

    number: int
    # From the last sample sent to the first audible one received.
    latency: float | None = None
    answered: bool = False
    missing: int = 0
    # Words that were heard twice, or do not belong to the answer.
    extra: int = 0


@dataclass
class Result:
    """What became of one call."""

    turns: list[Turn] = field(default_factory=list)
    seconds: float = 0.0
    frames: int = 0
    late_frames: int = 0
    # Why the call ended before its last turn.
    broken: str | None = None


class Caller:
    """One call."""

    def __init__(self, number, url, turns=scenario.TURNS, on_speech=None):
        """`on_speech(turn)` is awaited in a task of its own as the caller begins a sentence."""
        self._number = number
        self._url = url
        self._turns = turns
        self._on_speech = on_speech
        self._ear = tones.Ear()
        self._plays_until = 0.0
        self._words = []
        self._hooks = set()
        self.result = Result()

    async def run(self):
        """Holds the call to its end."""
        begin = time.monotonic()
        listening = None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                socket = await websockets.connect(
                    self._url, compression=None, max_queue=None, ping_interval=None
                )
            async with socket:
                listening = asyncio.create_task(self._listen(socket))
                await self._talk(socket)
        except (OSError, TimeoutError, websockets.WebSocketException) as error:
            self.result.broken = type(error).__name__
        finally:
            if listening:
                listening.cancel()
            for hook in self._hooks:
                hook.cancel()
        for number in range(len(self.result.turns) + 1, self._turns + 1):
            self.result.turns.append(Turn(number, missing=scenario.ANSWER_WORDS + 2))
        self.result.seconds = time.monotonic() - begin
        return self.result

    async def _talk(self, socket):
        clock = _Clock(self.result)
        await self._hush(socket, clock, clock.time + SETTLE_SECONDS)
        for number in range(1, self._turns + 1):
            await self._turn(socket, clock, number)
            await self._hush(socket, clock, self._plays_until + PAUSE_SECONDS)

    async def _turn(self, socket, clock, number):
        turn = Turn(number)
        self._words = []
        if self._on_speech:
            self._hooks.add(asyncio.create_task(self._on_speech(number)))
        # The gap after the last word is silence already.
        audio = tones.speak(tuple(scenario.sentence(self._number, number)))[: -tones.GAP]
        for begin in range(0, len(audio), FRAME_BYTES):
            await clock.tick()
            await socket.send(audio[begin : begin + FRAME_BYTES].ljust(FRAME_BYTES, _SILENCE[:1]))
        spoken = time.monotonic()
        expected = Counter(scenario.answer(self._number, number))
        while not self._is_over(spoken, number, expected):
            await clock.tick()
            await socket.send(_SILENCE)
        began = self._answered_at(number)
        if began is not None:
            turn.answered = True
            turn.latency = began - spoken
        heard = Counter(word for word, _ in self._words)
        turn.missing = (expected - heard).total()
        turn.extra = (heard - expected).total()
        self.result.turns.append(turn)

    def _is_over(self, spoken, number, expected):
        now = time.monotonic()
        if now > spoken + ANSWER_SECONDS:
            return True
        silent = now - self._plays_until
        if self._answered_at(number) is None:
            return now > spoken + PATIENCE_SECONDS and silent > 0
        heard = Counter(word for word, _ in self._words)
        return silent > (STALL_SECONDS if expected - heard else PAUSE_SECONDS)

    def _answered_at(self, number):
        """When the first sound of the answer came: the two words that name the turn, one behind the other."""
        for (first, came), (second, _) in zip(self._words, self._words[1:]):
            if (first, second) == (self._number, number):
                return came
        return None

    async def _hush(self, socket, clock, until):
        while time.monotonic() < until:
            await clock.tick()
            await socket.send(_SILENCE)

    async def _listen(self, socket):
        async for message in socket:
            # Offhook's messages to its client.
            if isinstance(message, str):
                continue
            now = time.monotonic()
            self._words += self._ear.hear(message, now)
            self._plays_until = max(self._plays_until, now) + len(message) / tones.RATE_HZ


class _Clock:
    """Frames at real time. A late one does not make the next ones late."""

    def __init__(self, result):
        self.time = time.monotonic()
        self._result = result

    async def tick(self):
        self.time += FRAME_SECONDS
        wait = self.time - time.monotonic()
        # Yields even when it is late: others share the loop.
        await asyncio.sleep(max(wait, 0))
        self._result.frames += 1
        self._result.late_frames += time.monotonic() - self.time > LATE_SECONDS
