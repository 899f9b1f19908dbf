# Shared by .ci/run and .ci/night: sections, and a list of what could not be run.
set -euo pipefail
# Everything is built once, so what an incremental build would store is only space: some 10 GB.
export CARGO_INCREMENTAL=0
cd "$(dirname "${BASH_SOURCE[0]}")/.."

not_run=()

section() {
    printf '\n== %s\n' "$*"
}

skip() {
    printf 'NOT RUN: %s\n' "$1"
    not_run+=("$1")
}

# Installs Debian packages where this is root on a system with apt-get; otherwise does nothing.
install_packages() {
    ((EUID == 0)) && command -v apt-get >/dev/null || return 0
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null || true
}

# Is this part of the toolchain installed? If not, ask rustup for it once.
have_component() {
    cargo "$1" --version >/dev/null 2>&1 && return
    command -v rustup >/dev/null && rustup component add "$2" && cargo "$1" --version >/dev/null 2>&1
}

# Installs a cargo subcommand from the crates registry unless it is there.
have_cargo_tool() {
    cargo "$1" --version >/dev/null 2>&1 || cargo install "cargo-$1" --locked
}

finish() {
    section "Done"
    if ((${#not_run[@]} == 0)); then
        echo "everything passed"
    else
        echo "everything that ran passed; not run:"
        printf '  %s\n' "${not_run[@]}"
    fi
}
