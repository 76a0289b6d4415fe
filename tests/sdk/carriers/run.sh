#!/usr/bin/env bash
# The carriers' own packages against our checks of signatures, our TwiML, and our fakes of carriers.
#
#   tests/sdk/carriers/run.sh [PATH-OF-THE-OFFHOOK-BINARY]     default: target/debug/offhook
#
# Exit status 0: everything passed, or was skipped because PyPI cannot be reached. The packages are
# installed once, into target/sdk-carriers.
set -uo pipefail

root=$(cd "$(dirname "$0")/../../.." && pwd)
here=$root/tests/sdk/carriers
cache=$root/target/sdk-carriers
binary=${1:-$root/target/debug/offhook}
cargo=${CARGO:-cargo}
clients="twilio telnyx vonage"
# Longest wait for the fakes to be ready, and for one script.
ready_seconds=20
script_seconds=120

passed=0
failed=0

die() {
    echo "tests/sdk/carriers: $*" >&2
    exit 1
}

[ -x "$binary" ] || die "there is no program at $binary: run \`cargo build\`, or name one"
command -v python3 >/dev/null || die "python3 is missing: apt-get install python3 python3-venv"

work=$(mktemp -d)
fakes=
clean_up() {
    if [ -n "$fakes" ]; then
        kill "$fakes" 2>/dev/null
        wait "$fakes" 2>/dev/null
    fi
    rm -rf "$work"
}
trap clean_up EXIT

# Whether an installer's complaint says that nothing was reached, rather than that something is wrong.
is_unreachable() {
    grep -Eqi 'from versions: none|retrying|connection ?error|failed to establish|name resolution|could not fetch url' "$1"
}

install() {
    cmp -s "$here/requirements.txt" "$cache/.installed" && return 0
    rm -rf "$cache"
    mkdir -p "$cache"
    echo "installing the carriers' packages into ${cache#"$root"/}"
    if python3 -m venv "$cache/venv" >"$work/install.log" 2>&1 &&
        "$cache/venv/bin/pip" install --quiet --disable-pip-version-check \
            -r "$here/requirements.txt" >>"$work/install.log" 2>&1; then
        cp "$here/requirements.txt" "$cache/.installed"
        return 0
    fi
    if is_unreachable "$work/install.log"; then
        echo "################################################################################"
        echo "## SKIPPED, NOT PASSED: the carriers' packages, because PyPI cannot be reached"
        echo "################################################################################"
        exit 0
    fi
    cat "$work/install.log" >&2
    die "the carriers' packages cannot be installed"
}

export FAKES_URL= PYTHONDONTWRITEBYTECODE=1

start_fakes() {
    # They run as long as their input is open: as long as this script does.
    mkfifo "$work/input"
    "$binary" fakes --options '{}' <"$work/input" >"$work/address" 2>"$work/fakes.log" &
    fakes=$!
    exec 3>"$work/input"
    local deadline=$((SECONDS + ready_seconds))
    until FAKES_URL=$(sed -n 's/^fakes //p' "$work/address") && [ -n "$FAKES_URL" ]; do
        kill -0 "$fakes" 2>/dev/null || die "the fakes did not start: $(cat "$work/fakes.log")"
        [ "$SECONDS" -lt "$deadline" ] || die "the fakes are not ready after $ready_seconds s"
        sleep 0.05
    done
}

# Runs a script, which writes a line `ok   ...` or `FAIL ...` for each check, and adds its count. One
# that dies counts as a failure.
run() {
    local name=$1
    shift
    echo "== $name"
    timeout "$script_seconds" "$cache/venv/bin/python" "$here/$name.py" "$@" 2>&1 |
        tee "$work/$name.out"
    local status=${PIPESTATUS[0]}
    local good bad
    good=$(grep -c '^ok ' "$work/$name.out")
    bad=$(grep -c '^FAIL ' "$work/$name.out")
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        echo "FAIL  the $name script ended with status $status"
        bad=1
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
}

install
"$cargo" build --quiet --package offhook-transports --example carrier_check ||
    die "the program that checks signatures cannot be built"
run signatures "${CARGO_TARGET_DIR:-$root/target}/debug/examples/carrier_check"
start_fakes
for client in $clients; do
    run "${client}_client"
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
