"""Offhook and Pipecat, one after the other, on the same fake providers, with the same callers.

    compare.py --offhook target/release/offhook [--transcriber flux] [--calls 1,5,10] [--json FILE]

Prints two tables in Markdown: what calls cost and how fast they are answered, and what a fault in the middle of a call
costs the caller.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import scenario
from caller import Caller
from systems import SYSTEMS, Fakes

# Who holds the first call of a system, before anything is counted.
WARM_UP = 1999
# Between the starts of two calls, so that their sentences do not fall together.
RAMP_SECONDS = 0.37
SAMPLE_SECONDS = 0.5
# After a call, before the memory of an idle server is read.
IDLE_SECONDS = 2.0

# What is broken, in the third turn: once the caller has said a word of it, so that the transcriber fails in mid-sentence,
# or as it begins, for what comes after it.
FAULT_TURN = 3
MID_SENTENCE_SECONDS = 0.3
FAULTS = {
    "transcriber's connection dropped": (
        MID_SENTENCE_SECONDS,
        [{"provider": "deepgram", "fault": "drop"}],
    ),
    "dropped, and refused for 3 s": (
        MID_SENTENCE_SECONDS,
        [
            {"provider": "deepgram", "fault": "refuse", "seconds": 3},
            {"provider": "deepgram", "fault": "drop"},
        ],
    ),
    "transcriber silent for 5 s": (
        MID_SENTENCE_SECONDS,
        [{"provider": "deepgram", "fault": "stall", "seconds": 5}],
    ),
    "voice silent for 5 s": (0, [{"provider": "elevenlabs", "fault": "stall", "seconds": 5}]),
    "model answers 500 twice": (0, [{"provider": "openai", "fault": "error", "requests": 2}]),
}


@dataclass
class Load:
    """Calls held at the same time by one system."""

    system: str
    transcriber: str
    calls: int
    asked: int = 0
    answered: int = 0
    missing_words: int = 0
    extra_words: int = 0
    cpu_seconds_per_call_minute: float = 0.0
    rss_idle_bytes: int = 0
    rss_bytes: int = 0
    rss_bytes_per_call: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    late_frames: float = 0.0
    broken: list[str] = field(default_factory=list)


@dataclass
class Fault:
    """One call with a fault in it."""

    system: str
    transcriber: str
    fault: str
    asked: int
    answered: int
    missing_words: int
    extra_words: int
    # From the end of each sentence to the answer; none where there was none.
    latencies_ms: list[float | None]
    broken: str | None


async def hold(system, calls, measured):
    """Holds calls at the same time, and fills in what they cost."""
    process = system.process
    # The first call loads what a process loads once.
    warm = await Caller(WARM_UP, await system.leg(), turns=1).run()
    if warm.broken or not warm.turns[0].answered:
        raise RuntimeError(f"{system.name} does not answer a single call ({warm.broken}):\n{process.log()[-4000:]}")
    await asyncio.sleep(IDLE_SECONDS)
    measured.rss_idle_bytes = process.rss_bytes()

    async def one(number):
        await asyncio.sleep(number * RAMP_SECONDS)
        return await Caller(number + 1, await system.leg()).run()

    before = process.cpu_seconds()
    running = [asyncio.create_task(one(number)) for number in range(calls)]
    sizes = []
    while not any(task.done() for task in running):
        await asyncio.sleep(SAMPLE_SECONDS)
        sizes.append(process.rss_bytes())
    results = await asyncio.gather(*running)
    spent = process.cpu_seconds() - before

    turns = [turn for result in results for turn in result.turns]
    measured.asked = len(turns)
    measured.answered = sum(turn.answered for turn in turns)
    measured.missing_words = sum(turn.missing for turn in turns)
    measured.extra_words = sum(turn.extra for turn in turns)
    measured.latencies_ms = sorted(
        round(1000 * turn.latency, 1) for turn in turns if turn.latency is not None
    )
    measured.cpu_seconds_per_call_minute = 60 * spent / sum(result.seconds for result in results)
    # The second half: all calls are up.
    measured.rss_bytes = int(statistics.median(sizes[len(sizes) // 2 :]))
    measured.rss_bytes_per_call = (measured.rss_bytes - measured.rss_idle_bytes) / calls
    measured.late_frames = sum(r.late_frames for r in results) / sum(r.frames for r in results)
    measured.broken = [result.broken for result in results if result.broken]
    return measured


async def hold_broken(system, fakes, transcriber, fault):
    """Holds one call in which something breaks."""
    delay, steps = FAULTS[fault]

    async def on_speech(turn):
        if turn == FAULT_TURN:
            await asyncio.sleep(delay)
            for step in steps:
                await fakes.fault(step)

    result = await Caller(1, await system.leg(), on_speech=on_speech).run()
    return Fault(
        system=system.name,
        transcriber=transcriber,
        fault=fault,
        asked=len(result.turns),
        answered=sum(turn.answered for turn in result.turns),
        missing_words=sum(turn.missing for turn in result.turns),
        extra_words=sum(turn.extra for turn in result.turns),
        latencies_ms=[
            None if turn.latency is None else round(1000 * turn.latency, 1) for turn in result.turns
        ],
        broken=result.broken,
    )


async def compare(options):
    loads, faults = [], []
    for transcriber in options.transcriber:
        for calls in options.calls:
            for kind in SYSTEMS:
                async with _Running(kind, options.offhook, transcriber) as (system, _):
                    say(f"{kind.name}, {transcriber}: {calls} calls of {scenario.TURNS} turns")
                    loads.append(await hold(system, calls, Load(kind.name, transcriber, calls)))
        for fault in [] if options.without_faults else FAULTS:
            for kind in SYSTEMS:
                async with _Running(kind, options.offhook, transcriber) as (system, fakes):
                    say(f"{kind.name}, {transcriber}: {fault}")
                    faults.append(await hold_broken(system, fakes, transcriber, fault))
    return loads, faults


class _Running:
    """A fresh system on fresh fakes: nothing is left of the measurement before."""

    def __init__(self, kind, offhook, transcriber):
        self._kind, self._offhook, self._transcriber = kind, offhook, transcriber
        self._fakes = self._system = None

    async def __aenter__(self):
        self._fakes = Fakes(self._offhook)
        await self._fakes.start()
        self._system = self._kind(self._offhook, self._fakes, self._transcriber)
        try:
            await self._system.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self._system, self._fakes

    async def __aexit__(self, *_):
        await self._system.stop()
        await self._fakes.stop()


def percentile(values, share):
    """The smallest value that this share of all is not above."""
    if not values:
        return None
    return sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]


def load_table(loads):
    lines = [
        "| transcriber | calls | system | answered | lost | words missing | CPU s a call minute | RSS idle | RSS a call | p50 | p90 | p99 |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for load in loads:
        times = " | ".join(
            "-" if value is None else f"{value:.0f} ms"
            for value in (percentile(load.latencies_ms, share) for share in (0.5, 0.9, 0.99))
        )
        lines.append(
            f"| {load.transcriber} | {load.calls} | {load.system} | {load.answered} of {load.asked} "
            f"| {load.asked - load.answered} | {load.missing_words} | {load.cpu_seconds_per_call_minute:.2f} "
            f"| {load.rss_idle_bytes / 1e6:.0f} MB | {load.rss_bytes_per_call / 1e6:.2f} MB | {times} |"
        )
    return "\n".join(lines)


def fault_table(faults):
    lines = [
        "| transcriber | fault in turn 3 | system | answered | lost | words missing | slowest answer |",
        "|---|---|---|---|---|---|---|",
    ]
    for fault in faults:
        times = [latency for latency in fault.latencies_ms if latency is not None]
        slowest = f"{max(times):.0f} ms" if times else "-"
        lines.append(
            f"| {fault.transcriber} | {fault.fault} | {fault.system} | {fault.answered} of {fault.asked} "
            f"| {fault.asked - fault.answered} | {fault.missing_words} | {slowest} |"
        )
    return "\n".join(lines)


def ratios(loads):
    """What Pipecat needs for each that Offhook needs."""
    lines = []
    by_key = {(load.system, load.transcriber, load.calls): load for load in loads}
    for (name, transcriber, calls), ours in by_key.items():
        theirs = by_key.get(("Pipecat", transcriber, calls))
        if name != "Offhook" or theirs is None:
            continue
        cpu = theirs.cpu_seconds_per_call_minute / max(ours.cpu_seconds_per_call_minute, 1e-9)
        line = f"- {transcriber}, {calls} calls: Pipecat needs {cpu:.0f} times the CPU"
        if ours.rss_bytes_per_call > 0:
            line += f", {theirs.rss_bytes_per_call / ours.rss_bytes_per_call:.0f} times the memory a call"
        lines.append(line + ".")
    return "\n".join(lines)


def say(line):
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def counts(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--offhook", required=True, help="the program, a release build")
    parser.add_argument(
        "--transcriber",
        action="append",
        choices=["flux", "listen"],
        help="Deepgram Flux with its own end of turn, or its listen API with final texts; by default both",
    )
    parser.add_argument("--calls", type=counts, default=[1, 5, 10], metavar="N,N,...")
    parser.add_argument("--without-faults", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything that was measured")
    options = parser.parse_args()
    options.transcriber = options.transcriber or ["flux", "listen"]

    loads, faults = asyncio.run(compare(options))
    print(load_table(loads), ratios(loads), sep="\n\n")
    if faults:
        print(f"\n{fault_table(faults)}")
    late = max(load.late_frames for load in loads)
    print(f"\nThe callers sent {100 * late:.1f} % of their frames more than 10 ms late at worst.")
    if options.json:
        measured = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "cores": os.cpu_count(),
            "load_average": os.getloadavg(),
            "loads": [asdict(load) for load in loads],
            "faults": [asdict(fault) for fault in faults],
        }
        options.json.write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
