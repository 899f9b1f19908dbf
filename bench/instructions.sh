#!/usr/bin/env bash
# Counts instructions of the hot paths with valgrind. Arguments are passed to the bench: '*read*' counts matching ones only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v valgrind >/dev/null; then
    echo "valgrind is not installed; run \`apt install valgrind\`" >&2
    exit 1
fi

# The runner must have the same version as the library.
version=$(cargo metadata --locked --format-version 1 |
    sed -n 's/.*"name":"gungraun","version":"\([^"]*\)".*/\1/p')
if [[ "$(gungraun-runner --version 2>/dev/null || true)" != *" $version" ]]; then
    cargo install gungraun-runner --version "$version" --locked
fi
exec cargo bench --locked -p sysmon-bench --bench instructions -- "$@"
