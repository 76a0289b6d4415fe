"""Writes api/contract/phone_zones.txt: which time zones the numbers below a prefix are in.

The facts are those of Google's libphonenumber, as the PyPI package `phonenumbers` has them:

    pip install phonenumbers && python3 api/tools/phone_zones.py > api/contract/phone_zones.txt

A line is a list of zones and the prefixes that mean it. A prefix that says the same as a shorter one
is left out. A prefix of more zones than `ZONES_MAX` says nothing: it stands for "unknown".
"""

import collections
import sys

from phonenumbers.tzdata import TIMEZONE_DATA

# With more, no window would suit all of them, and the prefix is a whole continent's.
ZONES_MAX = 4

UNKNOWN = "-"


def value(zones):
    """What a line says for these zones."""
    known = sorted(zone for zone in zones if zone != "Etc/Unknown")
    return " ".join(known) if 1 <= len(known) <= ZONES_MAX else UNKNOWN


def main():
    said = {prefix: value(zones) for prefix, zones in TIMEZONE_DATA.items()}
    prefixes = collections.defaultdict(list)
    for prefix in sorted(said):
        shorter = (prefix[:end] for end in range(len(prefix) - 1, 0, -1))
        above = next((said[other] for other in shorter if other in said), UNKNOWN)
        if said[prefix] != above:
            prefixes[said[prefix]].append(prefix)
    for zones, of_zones in sorted(prefixes.items()):
        sys.stdout.write(f"{zones}: {' '.join(of_zones)}\n")


if __name__ == "__main__":
    main()
