# shellcheck shell=bash
# Adds up what nextest and cargo test say about themselves. Needs nothing.

PASSED=0 FAILED=0 SKIPPED=0

# count_tests LOG : adds the summaries of one log. Fails where it holds none: the run was cut short or never began.
count_tests() {
    local found passed failed skipped
    read -r found passed failed skipped < <(
        sed -E 's/\x1b\[[0-9;]*m//g' "$1" | awk '
            function number(words, n) { n = 0; if (match($0, "[0-9]+ " words)) n = substr($0, RSTART) + 0; return n }
            /^ +Summary \[/ {
                found = 1; passed = number("passed"); skipped = number("skipped")
                failed = number("failed") + number("timed out") + number("exec failed")
                if (match($0, /[0-9]+\/[0-9]+ tests? run/)) {
                    split(substr($0, RSTART, RLENGTH), part, /[\/ ]/); failed += part[2] - part[1]
                }
            }
            /^test result: / {
                found = 1; p += number("passed"); f += number("failed"); s += number("ignored")
            }
            END { print found + 0, passed + p, failed + f, skipped + s }'
    )
    PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed)) SKIPPED=$((SKIPPED + skipped))
    ((found))
}

print_count() { printf '%d passed, %d failed, %d skipped\n' "$PASSED" "$FAILED" "$SKIPPED"; }
