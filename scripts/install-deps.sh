#!/bin/sh
# Installs what lopt needs to be built and tested on Debian or Ubuntu; does nothing where all is there.
# Usage: scripts/install-deps.sh [build|test]      (default: test, which is more than build)
set -eu

packages="build-essential cmake pkg-config libjansson-dev libxxhash-dev"
[ "${1:-test}" = build ] || packages="$packages libgtest-dev python3"

missing=""
if command -v dpkg-query >/dev/null 2>&1; then
    for p in $packages; do
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
    done
else
    for tool in cc c++ make cmake pkg-config; do
        command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
    done
    pkg-config --exists jansson libxxhash 2>/dev/null || missing="$missing jansson xxhash"
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "lopt needs these, which are not on this machine:$missing" >&2
    echo "Install them with this system's package manager, and run the script again." >&2
    exit 1
fi
root=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "lopt needs these packages, and there is neither root nor sudo to install them:$missing" >&2
        echo "Ask whoever may:  apt-get install$missing" >&2
        exit 1
    fi
    root=sudo
fi
echo "Installing:$missing"
log=$(mktemp)
if ! { $root env DEBIAN_FRONTEND=noninteractive apt-get update && \
       $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    echo "Installing failed (the lines above say why). lopt needs these packages:$missing" >&2
    exit 1
fi
rm -f "$log"
