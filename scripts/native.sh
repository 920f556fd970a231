#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Make sure that what pip cannot install is here:
#   native.sh venv PYTHON     python can make virtual environments
#   native.sh pdf PYTHON      Pango and HarfBuzz, which WeasyPrint loads
#   native.sh tests           Chromium, ssh-keygen and openssl, which the tests run
# Does nothing where it is here; asks apt where it is not; explains where apt cannot.
set -euo pipefail

libraries_load() {
    # HarfBuzz's subsetter is optional to WeasyPrint, but changes the PDF's bytes.
    "$1" - <<'PY' 2>/dev/null
import ctypes
import sys

NAMES = {
    "darwin": ("libpango-1.0.dylib", "libpangoft2-1.0.dylib", "libharfbuzz-subset.dylib"),
}
LINUX = (
    "libgobject-2.0.so.0",
    "libpango-1.0.so.0",
    "libpangoft2-1.0.so.0",
    "libharfbuzz.so.0",
    "libharfbuzz-subset.so.0",
    "libfontconfig.so.1",
)
for name in NAMES.get(sys.platform, LINUX):
    ctypes.CDLL(name)
PY
}

browser_found() {
    local name
    for name in chromium chromium-browser google-chrome; do
        if command -v "$name" >/dev/null; then return 0; fi
    done
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

explain() { # packages…
    echo "native packages are missing, and apt could not install them here." >&2
    echo "Install them, then run make again:" >&2
    echo "    Debian, Ubuntu:  sudo apt-get install $*" >&2
    echo "    macOS:           brew install python pango chromium" >&2
    echo "    elsewhere:       the packages of the same purpose" >&2
    exit 1
}

apt_install() { # packages…
    command -v apt-get >/dev/null || explain "$@"
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then explain "$@"; fi
    echo "installing native packages: $*"
    as_root apt-get update -qq >/dev/null || echo "apt-get update failed; going on" >&2
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends "$@" >/dev/null || explain "$@"
}

case "${1:-}" in
    venv)
        "$2" -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
        ;;
    pdf)
        libraries_load "$2" ||
            apt_install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0
        libraries_load "$2" ||
            explain libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0
        ;;
    tests)
        missing=()
        browser_found || missing+=(chromium)
        command -v ssh-keygen >/dev/null || missing+=(openssh-client)
        command -v openssl >/dev/null || missing+=(openssl)
        ((${#missing[@]} == 0)) || apt_install "${missing[@]}"
        ;;
    *)
        echo "usage: native.sh venv PYTHON | pdf PYTHON | tests" >&2
        exit 2
        ;;
esac
