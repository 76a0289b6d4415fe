"""Numbers as audio, and back: the language of the fake providers.

A word is two symbols of 80 ms and 40 ms of silence. A symbol is a pair of tones, one of eight low and one of eight high.
A number below 2048 has the code 2048 + number. Audio is mu-law at 8 kHz (ITU-T G.711) on the wire.
"""

import functools

import numpy

RATE_HZ = 8000
SYMBOL = RATE_HZ * 80 // 1000
GAP = RATE_HZ * 40 // 1000
LEAD = RATE_HZ * 200 // 1000
WORD_SECONDS = 0.2

# What is looked at at once: 10 ms.
STEP = RATE_HZ // 100
SILENCE_BYTE = 0xFF

_LOW_HZ = (420, 490, 560, 630, 700, 770, 840, 910)
_HIGH_HZ = (1240, 1360, 1480, 1600, 1720, 1840, 1960, 2080)
_SYMBOLS = len(_LOW_HZ) * len(_HIGH_HZ)
_NUMBERS = _SYMBOLS * _SYMBOLS // 2
_AMPLITUDE = 6000.0

# Root mean square above which there is sound; that of the tones is 6000.
_SOUND_RMS = 1500.0


def _mulaw_values():
    inverted = ~numpy.arange(256) & 0xFF
    magnitude = ((((inverted & 0x0F) << 3) + 0x84) << ((inverted & 0x70) >> 4)) - 0x84
    return numpy.where(inverted & 0x80, -magnitude, magnitude).astype(numpy.float32)


# The sample that each byte stands for.
_VALUES = _mulaw_values()
_SORTED = numpy.argsort(_VALUES, kind="stable")
_BORDERS = (_VALUES[_SORTED][1:] + _VALUES[_SORTED][:-1]) / 2


def _encode(samples):
    return _SORTED[numpy.searchsorted(_BORDERS, samples)].astype(numpy.uint8).tobytes()


# A sung "ah" under the tones, as `offhook bench` has it: what a voice activity detector takes for speech, and the ear of
# the tones for silence.
_PITCH_HZ, _VIBRATO, _VIBRATO_HZ = 210.0, 0.03, 5.0
_FORMANTS_HZ = ((700.0, 130.0), (1200.0, 150.0), (2500.0, 200.0))
_VOWEL_RMS, _TONE_SHARE = 1200.0, 0.4


def _vowel(samples):
    seconds = numpy.arange(samples) / RATE_HZ
    pitch = _PITCH_HZ * (1 + _VIBRATO * numpy.sin(2 * numpy.pi * _VIBRATO_HZ * seconds))
    phase = numpy.cumsum(pitch) / RATE_HZ
    total = numpy.zeros(samples)
    for harmonic in range(1, int(3600 / _PITCH_HZ) + 1):
        hz = _PITCH_HZ * harmonic
        gain = 0.05 + sum(numpy.exp(-(((hz - at) / width) ** 2)) for at, width in _FORMANTS_HZ)
        total += gain / numpy.sqrt(harmonic) * numpy.sin(2 * numpy.pi * phase * harmonic)
    return total / numpy.sqrt(numpy.mean(total**2)) * _VOWEL_RMS


def _over_vowel(tones):
    return _encode(_TONE_SHARE * tones + _vowel(len(tones)))


def _word(number):
    if not 0 <= number < _NUMBERS:
        raise ValueError(f"number {number} has no tones, expected 0 to {_NUMBERS - 1}")
    seconds = numpy.arange(SYMBOL) / RATE_HZ
    pieces = []
    for symbol in divmod(_NUMBERS + number, _SYMBOLS):
        pair = _LOW_HZ[symbol // len(_HIGH_HZ)], _HIGH_HZ[symbol % len(_HIGH_HZ)]
        pieces.append(_AMPLITUDE * sum(numpy.sin(2 * numpy.pi * hz * seconds) for hz in pair))
    return numpy.concatenate([*pieces, numpy.zeros(GAP)])


@functools.lru_cache(maxsize=_NUMBERS)
def speak(numbers):
    """The audio of a tuple of numbers, one after the other, behind a breath of the vowel alone."""
    return _over_vowel(numpy.concatenate([numpy.zeros(LEAD), *map(_word, numbers)]))


class Ear:
    """Hears numbers in a stream of audio."""

    def __init__(self):
        self._rest = b""
        self._sound = []
        self._since = 0.0

    def hear(self, audio, now):
        """Takes audio that came at a time. Returns the numbers that it completed, each with the time at which its first
        sound came; a word that is no number is `None`."""
        audio = self._rest + audio
        whole = len(audio) - len(audio) % STEP
        self._rest = audio[whole:]
        words = []
        if whole == 0:
            return words
        steps = _VALUES[numpy.frombuffer(audio[:whole], numpy.uint8)].reshape(-1, STEP)
        is_sound = numpy.sqrt(numpy.mean(steps * steps, axis=1)) > _SOUND_RMS
        for step, sounds in zip(steps, is_sound):
            if sounds:
                if not self._sound:
                    self._since = now
                self._sound.append(step)
                # Two words ran into each other at a seam.
                if len(self._sound) * STEP >= 2 * SYMBOL + STEP:
                    words.append((self._take(), self._since))
            elif self._sound:
                if len(self._sound) * STEP >= 2 * SYMBOL - STEP:
                    words.append((self._take(), self._since))
                # A word that was cut off is no word.
                self._sound = []
        return words

    def _take(self):
        sound = numpy.concatenate(self._sound)
        self._sound = []
        code = 0
        for begin in (0, SYMBOL):
            code = code * _SYMBOLS + _symbol(sound[begin + SYMBOL // 4 : begin + SYMBOL * 3 // 4])
        return code - _NUMBERS if code >= _NUMBERS else None


def _waves(frequencies):
    seconds = numpy.arange(SYMBOL // 2) / RATE_HZ
    return numpy.exp(-2j * numpy.pi * numpy.outer(frequencies, seconds))


_LOW_WAVES, _HIGH_WAVES = _waves(_LOW_HZ), _waves(_HIGH_HZ)


def _symbol(samples):
    low, high = (
        int(numpy.argmax(numpy.abs(waves[:, : len(samples)] @ samples)))
        for waves in (_LOW_WAVES, _HIGH_WAVES)
    )
    return low * len(_HIGH_HZ) + high
