#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Resolve pyproject.toml into requirements/*.txt: exact versions, with hashes, for
# every Python and platform we support, naming no package index.
# Versions stay as they are unless called with --upgrade.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.venv/bin/uv
compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links \
        --custom-compile-command "make lock" "$@"
}

mkdir -p requirements
compile "${@}" pyproject.toml -o requirements/product.txt
# Each further file takes the versions of the one before it, so that they can be
# installed one after the other into one environment.
compile "${@}" pyproject.toml --extra sandbox \
    --constraint requirements/product.txt -o requirements/sandbox.txt
for group in build test lint; do
    compile "${@}" --group "$group" \
        --constraint requirements/sandbox.txt -o "requirements/$group.txt"
done

if grep -nE '://|--(extra-)?index|--find-links' requirements/*.txt; then
    echo "scripts/lock.sh: a lock names a package index (see above)" >&2
    exit 1
fi
