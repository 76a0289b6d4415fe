#!/usr/bin/env bash
# The official Python and TypeScript clients against a real server, with nothing changed but the
# base URL.
#
#   tests/sdk/run.sh [PATH-OF-THE-OFFHOOK-BINARY]     default: target/debug/offhook
#
# Exit status 0: everything passed, or was skipped because PyPI or npm cannot be reached. The
# clients are installed once, into target/sdk.
set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/sdk
cache=$root/target/sdk
binary=${1:-$root/target/debug/offhook}
# Longest wait for the server to be ready, and for one client's script.
ready_seconds=20
script_seconds=120

passed=0
failed=0
skipped=0

die() {
    echo "tests/sdk: $*" >&2
    exit 1
}

[ -x "$binary" ] || die "there is no program at $binary: run \`cargo build\`, or name one"
command -v python3 >/dev/null || die "python3 is missing: apt-get install python3 python3-venv"
command -v node >/dev/null || die "node is missing: apt-get install nodejs npm"
command -v npm >/dev/null || die "npm is missing: apt-get install npm"
mkdir -p "$cache"

work=$(mktemp -d)
server=
clean_up() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null
        wait "$server" 2>/dev/null
    fi
    rm -rf "$work"
}
trap clean_up EXIT

# --- what the clients need -----------------------------------------------------------------------

# Whether an installer's complaint says that nothing was reached, rather than that something is wrong.
is_unreachable() {
    grep -Eqi 'from versions: none|retrying|connection ?error|failed to establish|name resolution|could not fetch url|enotfound|econnrefused|econnreset|etimedout|eai_again|err_socket_timeout' "$1"
}

# Installs once: `install NAME LIST FOLDER COMMAND...`, where LIST says what FOLDER must hold.
install() {
    local name=$1 list=$2 folder=$3
    shift 3
    cmp -s "$list" "$folder/.installed" && return 0
    rm -rf "$folder"
    mkdir -p "$folder"
    echo "installing the $name client into ${folder#"$root"/}"
    if "$@" >"$work/install.log" 2>&1; then
        cp "$list" "$folder/.installed"
        return 0
    fi
    if is_unreachable "$work/install.log"; then
        echo "################################################################################"
        echo "## SKIPPED, NOT PASSED: the $name client, because its registry cannot be reached"
        echo "################################################################################"
        skipped=$((skipped + 1))
    else
        cat "$work/install.log" >&2
        echo "FAIL  the $name client cannot be installed"
        failed=$((failed + 1))
    fi
    return 1
}

install_python() {
    python3 -m venv "$cache/venv" &&
        "$cache/venv/bin/pip" install --quiet --disable-pip-version-check \
            -r "$here/python/requirements.txt"
}

install_node() {
    cp "$here/node/package.json" "$cache/node/" &&
        npm install --prefix "$cache/node" --no-audit --no-fund --loglevel=error
}

# --- the server ----------------------------------------------------------------------------------

export OFFHOOK_URL=
export OFFHOOK_KEY=key-of-the-sdk-tests

start_server() {
    env -i PATH="$PATH" OFFHOOK_AUTH__API_KEYS="$OFFHOOK_KEY" "$binary" serve \
        --set server.listen=127.0.0.1:0 --set server.log_format=json \
        --set store.path="$work/store" 2>"$work/server.log" &
    server=$!
    local deadline=$((SECONDS + ready_seconds))
    until OFFHOOK_URL=$(sed -n 's/.*"message":"ready".*"url":"\([^"]*\)".*/\1/p' "$work/server.log") &&
        [ -n "$OFFHOOK_URL" ]; do
        kill -0 "$server" 2>/dev/null || die "the server did not start: $(cat "$work/server.log")"
        [ "$SECONDS" -lt "$deadline" ] || die "the server is not ready after $ready_seconds s"
        sleep 0.05
    done
}

# Runs one client's script, which writes a line `ok   ...` or `FAIL ...` for each check, and adds
# its count. A script that dies counts as a failure.
run() {
    local name=$1
    shift
    echo "== $name"
    timeout "$script_seconds" "$@" 2>&1 | tee "$work/$name.out"
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

has_python=yes
has_node=yes
install Python "$here/python/requirements.txt" "$cache/venv" install_python || has_python=
install TypeScript "$here/node/package.json" "$cache/node" install_node || has_node=

if [ -n "$has_python$has_node" ]; then
    start_server
    # Modules are looked for beside the script that asks for them.
    cp "$here/node/client.mjs" "$cache/node/client.mjs"
    [ -n "$has_python" ] && run python "$cache/venv/bin/python" "$here/python/client.py"
    [ -n "$has_node" ] && run node node "$cache/node/client.mjs"
    if [ "$failed" -gt 0 ]; then
        echo "== the server's log" >&2
        cat "$work/server.log" >&2
    fi
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
