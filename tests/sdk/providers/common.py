"""What the vendors' scripts share: checks, and numbers as tones, as `testkit/src/tones.rs` has them."""

import array
import math
import os
import sys
import traceback

URL, KEY = os.environ["FAKES_URL"], os.environ["FAKES_KEY"]

# Longest wait for anything, in seconds.
LIMIT = 20

LOW_HZ = [420, 490, 560, 630, 700, 770, 840, 910]
HIGH_HZ = [1240, 1360, 1480, 1600, 1720, 1840, 1960, 2080]
SYMBOL, GAP = 0.08, 0.04
SYMBOLS = len(LOW_HZ) * len(HIGH_HZ)
# The code of 0; numbers below 2048 follow.
NUMBERS = SYMBOLS * SYMBOLS // 2

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def run():
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


def speak(numbers, rate):
    """16-bit samples of numbers."""
    samples = array.array("h")
    for number in numbers:
        for symbol in divmod(NUMBERS + number, SYMBOLS):
            low, high = LOW_HZ[symbol // len(HIGH_HZ)], HIGH_HZ[symbol % len(HIGH_HZ)]
            samples.extend(
                int(6000 * (math.sin(math.tau * low * n / rate) + math.sin(math.tau * high * n / rate)))
                for n in range(int(SYMBOL * rate))
            )
        samples.extend([0] * int(GAP * rate))
    return samples.tobytes()


def silence(seconds, rate):
    return bytes(2 * int(seconds * rate))


def hear(audio, rate):
    """The numbers in whole words of 16-bit samples."""
    samples = array.array("h", audio)
    word = int((2 * SYMBOL + GAP) * rate)
    assert len(samples) % word == 0, (len(samples), word)
    numbers = []
    for at in range(0, len(samples), word):
        symbol = int(SYMBOL * rate)
        first, second = (
            loudest(samples[at + n * symbol + symbol // 4 : at + n * symbol + symbol * 3 // 4], rate)
            for n in (0, 1)
        )
        numbers.append(first * SYMBOLS + second - NUMBERS)
    return numbers


def loudest(samples, rate):
    low, high = (
        max(range(len(tones)), key=lambda index: power(samples, tones[index], rate))
        for tones in (LOW_HZ, HIGH_HZ)
    )
    return low * len(HIGH_HZ) + high


def power(samples, hz, rate):
    factor = 2 * math.cos(math.tau * hz / rate)
    last = before = 0.0
    for sample in samples:
        last, before = sample + factor * last - before, last
    return last * last + before * before - factor * last * before


def frames(audio, rate):
    """Frames of 20 ms."""
    size = rate // 50 * 2
    return [audio[at : at + size] for at in range(0, len(audio), size)]
