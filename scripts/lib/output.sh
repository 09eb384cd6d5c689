# shellcheck shell=bash
# What the scripts say. People's text goes to stderr, so that stdout can carry data (`scripts/fixture … env`).

if [[ -t 2 && -z ${NO_COLOR:-} ]]; then
    BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' YELLOW=$'\e[33m' PLAIN=$'\e[0m'
else
    # shellcheck disable=SC2034 # read by the scripts that source this file
    BOLD='' DIM='' RED='' GREEN='' YELLOW='' PLAIN=''
fi

heading() { printf '%s== %s%s\n' "$BOLD" "$*" "$PLAIN" >&2; }
say() { printf '   %s\n' "$*" >&2; }
warn() { printf '%s!! %s%s\n' "$YELLOW" "$*" "$PLAIN" >&2; }
complain() { printf '%sxx %s%s\n' "$RED" "$*" "$PLAIN" >&2; }
die() {
    complain "$@"
    exit 1
}

in_ci() { [[ ${CI:-} == true || ${CI:-} == 1 ]]; }

# Runs a command silently; its output is shown only if it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    ((status == 0)) || tail -n 30 "$log" >&2
    rm -f "$log"
    return "$status"
}

have() { command -v "$1" >/dev/null 2>&1; }

ROOT=() # what goes before a command that root must run
((EUID == 0)) || ROOT=(sudo -n)

# Runs a command as root: directly, or through a sudo that asks no question.
as_root() {
    if ! can_be_root; then
        complain "this needs root (or passwordless sudo): $*"
        return 1
    fi
    "${ROOT[@]}" "$@"
}

can_be_root() { ((EUID == 0)) || { have sudo && sudo -n true 2>/dev/null; }; }
