#!/usr/bin/env bash
# Checks for what a target needs. As root it installs what is missing, for anybody else it prints the
# line to type.
#
#   scripts/setup.sh [--for build|demo|test]

set -euo pipefail

purpose=test
if [[ ${1:-} == --for ]]; then
    purpose=${2:-}
fi

# Oldest toolchain that builds this: `rust-version` of Cargo.toml.
root=$(cd "$(dirname "$0")/.." && pwd)
rust_min=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")

# What is looked for, and the Debian package that has it.
build_needs="cc:gcc ld:binutils crt1:libc6-dev"
demo_needs="$build_needs flite:flite espeak-ng:espeak-ng
    lib/libpocketsphinx.so.3:pocketsphinx model:pocketsphinx-en-us"
test_needs="$demo_needs python3:python3 venv:python3-venv node:nodejs npm:npm"

case $purpose in
    build) needs=$build_needs ;;
    demo) needs=$demo_needs ;;
    test) needs=$test_needs ;;
    *)
        echo "setup.sh: unknown purpose \`$purpose\`, expected one of: build, demo, test" >&2
        exit 2
        ;;
esac

is_here() {
    case $1 in
        crt1) compgen -G "/usr/lib/*/crt1.o" >/dev/null || compgen -G "/usr/lib*/crt1.o" >/dev/null ;;
        model) [[ -f /usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict ]] ;;
        venv) compgen -G "/usr/lib/python3*/ensurepip" >/dev/null || python3 -c 'import ensurepip' 2>/dev/null ;;
        lib/*)
            compgen -G "/usr/lib/${1#lib/}" >/dev/null ||
                compgen -G "/usr/lib/*/${1#lib/}" >/dev/null ||
                compgen -G "/usr/local/lib/${1#lib/}" >/dev/null
            ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

missing() {
    local need
    for need in $needs; do
        is_here "${need%%:*}" || printf '%s ' "${need##*:}"
    done
}

install_packages() {
    local packages=$1
    local line="apt-get update && apt-get install --yes --no-install-recommends ${packages% }"
    if ! command -v apt-get >/dev/null; then
        echo "setup.sh: missing here (names of Debian packages): ${packages% }" >&2
        exit 1
    fi
    if [[ $(id -u) -ne 0 ]]; then
        echo "setup.sh: something is missing; type this, then try again:" >&2
        echo "  sudo sh -c '$line'" >&2
        exit 1
    fi
    echo "setup.sh: installing ${packages% }"
    local log
    log=$(mktemp)
    if ! DEBIAN_FRONTEND=noninteractive sh -c "$line" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "setup.sh: installing ${packages% } failed; the line was: $line" >&2
        exit 1
    fi
    rm -f "$log"
}

check_rust() {
    local advice="install Rust from https://rustup.rs, or update it with \`rustup update stable\`"
    if ! command -v cargo >/dev/null; then
        echo "setup.sh: cargo is missing; $advice" >&2
        exit 1
    fi
    local version
    version=$(cargo --version | cut -d' ' -f2)
    if [[ $(printf '%s\n' "$rust_min" "${version%%-*}" | sort -V | head -n 1) != "$rust_min" ]]; then
        echo "setup.sh: cargo is $version, expected $rust_min or newer; $advice" >&2
        exit 1
    fi
}

check_rust
packages=$(missing)
if [[ -n $packages ]]; then
    install_packages "$packages"
    packages=$(missing)
    if [[ -n $packages ]]; then
        echo "setup.sh: still missing after the installation: ${packages% }" >&2
        exit 1
    fi
fi
