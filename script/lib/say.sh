# shellcheck shell=bash
# Sourced. Words on the terminal, and the folder everything happens in.

# The repository, wherever the script was started from.
griot_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# A headline; colours only where there is a terminal that wants them.
headline() {
    if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
        printf '\n\033[1m== %s\033[0m\n' "$*"
    else
        printf '\n== %s\n' "$*"
    fi
}

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}
