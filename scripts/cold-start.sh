#!/usr/bin/env bash
# Time from starting a server to its first 200 on /readyz, in milliseconds, several times.
# Usage: scripts/cold-start.sh PROGRAM [RUNS]
set -euo pipefail
program=${1:?usage: scripts/cold-start.sh PROGRAM [RUNS]}
runs=${2:-20}
port=$((20000 + RANDOM % 20000))
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
times=()
for run in $(seq "$runs"); do
    [ "${KEEP:-}" ] || rm -rf "$data/store"
    begin=$(date +%s%N)
    "$program" serve --set "store.path=$data/store" --set "server.listen=127.0.0.1:$port" 2>/dev/null &
    server=$!
    until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/readyz"; do
        kill -0 $server || { echo "the server ended in run $run" >&2; exit 1; }
    done
    times+=($((($(date +%s%N) - begin) / 1000000)))
    kill $server
    wait $server || true
done
printf '%s\n' "${times[@]}" | sort -n | awk '
    { ms[NR] = $1 }
    END { printf "cold start over %d runs: p50 %d ms, max %d ms\n", NR, ms[int((NR + 1) / 2)], ms[NR] }'
