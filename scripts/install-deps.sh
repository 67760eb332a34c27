#!/bin/sh
# Installs what lopt needs to be built and tested on Debian or Ubuntu; does nothing, and says nothing, where all is there.
# Usage: scripts/install-deps.sh [build|test]      (default: test, which is more than build)
set -eu
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }
case ${1:-} in -h | --help) usage && exit ;; esac
case "$#${1:-}" in
0 | 1build | 1test) ;;
*) usage >&2; exit 2 ;;
esac

have() { # have TOOL...
    for tool in "$@"; do command -v "$tool" >/dev/null 2>&1 || return 1; done
}
missing=""
need() { # need PACKAGE COMMAND...: the package is missing where the command fails
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
need build-essential have cc c++ make
need cmake have cmake
need pkg-config have pkg-config
need libjansson-dev pkg-config --exists jansson
need libxxhash-dev pkg-config --exists libxxhash
need zlib1g-dev pkg-config --exists zlib
if [ "${1:-test}" != build ]; then
    need libgtest-dev pkg-config --exists gtest_main
    need python3 have python3
    need libopenmpi-dev have mpicc
    need openmpi-bin have mpirun
    need locales test -e /usr/share/i18n/locales/de_DE
fi
[ -n "$missing" ] || exit 0

if ! have apt-get; then
    echo "lopt needs what Debian calls$missing, which is not on this machine." >&2
    echo "Install it with this system's package manager, and run the script again." >&2
    exit 1
fi
root=""
if [ "$(id -u)" != 0 ]; then
    if ! have sudo; then
        echo "lopt needs these packages, and there is neither root nor sudo to install them:$missing" >&2
        echo "Ask whoever may:  apt-get install$missing" >&2
        exit 1
    fi
    root=sudo
fi
apt() {
    $root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 "$@"
}
echo "Installing:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt update >"$log" 2>&1 || true # one source that does not answer may not be the one that is needed
if ! apt install -y --no-install-recommends $missing >>"$log" 2>&1; then
    grep '^[EW]:' "$log" >&2 || tail -n 20 "$log" >&2
    echo "Installing failed (the lines above say why). lopt needs these packages:$missing" >&2
    exit 1
fi
