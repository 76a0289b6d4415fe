#!/usr/bin/env bash
# Every test there is. Stops at the first that fails.

set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}

step() {
    printf '\n== %s\n' "$*"
    "$@"
}

# Formatter and lints come with rustup's default profile, not with every distribution's Rust.
if "$cargo" fmt --version >/dev/null 2>&1; then
    step "$cargo" fmt --all --check
else
    echo "SKIPPED: formatting is not checked, rustfmt is missing (rustup component add rustfmt)"
fi
if "$cargo" clippy --version >/dev/null 2>&1; then
    step "$cargo" clippy --workspace --all-targets --quiet -- -D warnings
else
    echo "SKIPPED: lints are not checked, clippy is missing (rustup component add clippy)"
fi

# nextest runs each test in a process of its own, and tells which is slow; it is not required.
if "$cargo" nextest --version >/dev/null 2>&1; then
    step "$cargo" nextest run --workspace
else
    step "$cargo" test --workspace --quiet
fi

# The official clients, each in an environment of its own.
if [[ -x tests/sdk/run.sh ]]; then
    step tests/sdk/run.sh "${CARGO_TARGET_DIR:-target}/debug/offhook"
fi

# The vendors' clients, which say whether our fakes of them tell the truth.
if [[ -x tests/sdk/providers/run.sh ]]; then
    step tests/sdk/providers/run.sh "${CARGO_TARGET_DIR:-target}/debug/offhook"
fi

# The carriers' packages: signatures, instructions, and our fakes of them.
if [[ -x tests/sdk/carriers/run.sh ]]; then
    step tests/sdk/carriers/run.sh "${CARGO_TARGET_DIR:-target}/debug/offhook"
fi
