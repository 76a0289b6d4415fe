#!/usr/bin/env bash
# Measures Offhook and Pipecat side by side: see README.md beside this file.
#
#   bench/pipecat/run.sh [--offhook PROGRAM] [OPTION OF compare.py]...
#
# Pipecat is installed once, into target/pipecat. PROGRAM is target/release/offhook unless it is named.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/bench/pipecat
cache=$root/target/pipecat
offhook=$root/target/release/offhook
if [[ ${1:-} == --offhook ]]; then
    offhook=${2:?--offhook needs the path of a program}
    shift 2
fi

if [[ ! -x $offhook ]]; then
    echo "run.sh: there is no program at $offhook: run \`cargo build --release\`, or name one with --offhook" >&2
    exit 1
fi
if ! command -v python3 >/dev/null; then
    echo "run.sh: python3 is missing: apt-get install python3 python3-venv" >&2
    exit 1
fi

if ! cmp -s "$here/requirements.txt" "$cache/.installed"; then
    rm -rf "$cache"
    mkdir -p "$cache"
    echo "installing Pipecat into ${cache#"$root"/}" >&2
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$cache/.installed"
fi

export PYTHONDONTWRITEBYTECODE=1
exec "$cache/venv/bin/python" "$here/compare.py" --offhook "$offhook" --json "$cache/result.json" "$@"
