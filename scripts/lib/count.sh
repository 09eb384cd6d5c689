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

# failed_tests LOG : each test that failed, or failed at first, by name, and why, in a few lines.
failed_tests() {
    sed -E 's/\x1b\[[0-9;]*m//g' "$1" | awk '
        function shortened(text) { return length(text) > 160 ? substr(text, 1, 157) "..." : text }
        function name_of(line) { sub(/^.*\] +(\([^)]*\) +)?/, "", line); return line }
        /^ +Summary \[/ { summary = 1; lines = 0; next }
        summary && /^ *[A-Z][A-Z0-9\/ -]* \[/ {
            if ($1 == "PASS" || $1 == "SLOW" || $1 == "SKIP") next
            sub(/^ +/, ""); print shortened($0)
            if (name_of($0) in why) printf "%s", why[name_of($0)]
            next
        }
        /^ *(TRY [0-9]+ )?(FAIL|TMT|ABORT|SIG[A-Z]+|LEAK-FAIL) \[/ { test = name_of($0); why[test] = ""; lines = 0; next }
        /^test .* \.\.\. FAILED$/ { print shortened($0) }
        /panicked at / || /^ *Error: / { lines = 6 }
        /stack backtrace:/ || /^ *$/ { lines = 0 }
        lines > 0 && test != "" { lines--; why[test] = why[test] "     " shortened($0) "\n" }
    '
}
