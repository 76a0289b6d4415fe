#!/usr/bin/env bash
# Checks config/'s monitoring for real: tests the alerts, then has Debian's Prometheus scrape a server under load, and asks it
# every question of the dashboard. Fails when one is an error or has no answer.
#
#   scripts/check-monitoring.sh [PROGRAM] [LOAD...]
#
# PROGRAM: the offhook to run (default: target/release/offhook). LOAD: a command that places calls through the server at
# $SERVER_URL with $OFFHOOK_API_KEY (default: a bench of 10 calls at once, on fake providers). Further settings of the
# server: SERVER_ARGS="--set calls.concurrency_limit=200 ...".
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:-target/release/offhook}
[[ $# -eq 0 ]] || shift

# What Prometheus needs to have scraped, once a second, before rates over its shortest window are there.
settle_s=12

fail() {
    echo "check-monitoring.sh: $*" >&2
    exit 1
}

if ! command -v promtool >/dev/null || ! command -v prometheus >/dev/null; then
    line="apt-get update && apt-get install --yes --no-install-recommends prometheus"
    [[ $(id -u) -eq 0 ]] || fail "Prometheus is missing; type this, then try again: sudo sh -c '$line'"
    echo "check-monitoring.sh: installing prometheus"
    DEBIAN_FRONTEND=noninteractive sh -c "$line" >/dev/null
fi
command -v python3 >/dev/null || fail "python3 is missing: apt-get install python3"
[[ -x $program ]] || fail "$program is not there: build it with \`make build\`, or name another"

promtool check config config/prometheus.yml
promtool check rules config/prometheus-alerts.yml
promtool test rules config/prometheus-alerts.test.yml

work=$(mktemp -d)
started=()
stop() {
    local pid
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null || true
        # Told twice, a server cuts off the calls that still run.
        sleep 0.2
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap stop EXIT

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Waits up to 20 s for an address to answer.
wait_for() {
    local attempt
    for attempt in $(seq 100); do
        python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)' "$1" 2>/dev/null && return
        sleep 0.2
    done
    fail "nothing answers at $1: $(tail -n 5 "$work"/*.log)"
}

# Takes every server event.
receiver_port=$(free_port)
python3 - "$receiver_port" <<'PYTHON' &
import http.server
import sys


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
PYTHON
started+=($!)

fakes_port=$(free_port)
fakes=http://127.0.0.1:$fakes_port
# They end when their input does, which is with this script.
mkfifo "$work/input"
"$program" fakes --listen "127.0.0.1:$fakes_port" <"$work/input" >"$work/fakes.log" 2>&1 &
started+=($!)
exec 3>"$work/input"
wait_for "$fakes/fakes/report"
providers=()
for provider in deepgram/deepgram openai/openai/v1 11labs/elevenlabs; do
    name=${provider%%/*}
    providers+=(--set "providers.$name.api_key=fake" --set "providers.$name.base_url=$fakes/${provider#*/}")
done

export OFFHOOK_API_KEY=key-of-the-check
port=$(free_port)
export SERVER_URL=http://127.0.0.1:$port
# shellcheck disable=SC2086  # SERVER_ARGS holds several arguments.
OFFHOOK_AUTH__API_KEYS=$OFFHOOK_API_KEY "$program" serve --set "server.listen=127.0.0.1:$port" \
    --set "store.path=$work/data" --set server.log_level=warn --set webhooks.allow_private_addresses=true \
    --set "webhooks.url=http://127.0.0.1:$receiver_port/" "${providers[@]}" ${SERVER_ARGS:-} 2>"$work/server.log" &
started+=($!)
wait_for "$SERVER_URL/readyz"

prometheus_port=$(free_port)
cat >"$work/prometheus.yml" <<YAML
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ["$PWD/config/prometheus-alerts.yml"]
scrape_configs:
  - job_name: offhook
    static_configs: [{targets: ["127.0.0.1:$port"]}]
YAML
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/prometheus" \
    --web.listen-address="127.0.0.1:$prometheus_port" --log.level=warn 2>"$work/prometheus.log" &
started+=($!)
wait_for "http://127.0.0.1:$prometheus_port/-/ready"

# The first scrape is to see every counter at zero; Prometheus takes five seconds to find its targets.
sleep 8

default_load() {
    "$program" bench calls --url "$SERVER_URL" --fakes "$fakes" --calls 10 --turns 4 --barge-in 0.3
}

echo "== load"
if [[ $# -gt 0 ]]; then
    "$@" || fail "the load failed: $*"
else
    default_load || fail "the bench failed; the end of the server's log: $(tail -n 5 "$work/server.log")"
fi
sleep "$settle_s"

echo "== dashboard"
python3 - "http://127.0.0.1:$prometheus_port" <<'PYTHON'
import json
import sys
import urllib.parse
import urllib.request

# Long enough for everything that happened under the load.
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*"}
server, failed, asked = sys.argv[1], [], 0
for panel in json.load(open("config/grafana-dashboard.json"))["panels"]:
    for target in panel.get("targets", []):
        query = target["expr"]
        for name, value in VARIABLES.items():
            query = query.replace(name, value)
        asked += 1
        url = f"{server}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            found, query = [], f"{query}: {error.read().decode()}"
        if found:
            shown = ", ".join(series["value"][1][:8] for series in found[:4])
            print(f"ok  {panel['title']}: {len(found)} series ({shown})")
        else:
            failed.append(f"{panel['title']}: {query}")
for line in failed:
    print(f"FAILED  {line}", file=sys.stderr)
print(f"{asked} questions, {len(failed)} without an answer")
if failed:
    sys.exit(1)

with urllib.request.urlopen(f"{server}/api/v1/rules", timeout=10) as answer:
    rules = [rule for group in json.load(answer)["data"]["groups"] for rule in group["rules"]]
broken = [rule["name"] for rule in rules if rule["health"] != "ok"]
print(f"{len(rules)} alerts evaluated, {len(broken)} with an error")
sys.exit(f"alerts with an error: {broken}" if broken else 0)
PYTHON
