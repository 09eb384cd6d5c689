# shellcheck shell=bash
# Fixture `promtool`: Debian's promtool, which checks and tests alert rules. Its package is unpacked and never installed,
# because installing it starts a Prometheus. Needs apt.sh.

find_promtool() { find_program promtool prometheus usr/bin/promtool; }

# Nothing runs here: what is up is a program that can be called.
up_promtool() {
    local program
    program=$(find_promtool) || return 1
    "$program" --version >"$1/promtool.log" 2>&1 || return 1
    echo "PROMTOOL=$program"
}
