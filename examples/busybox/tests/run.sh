#!/bin/sh
# Leaves its verdicts twice, as JUnit XML and as TAP: docker-test reads either.
results=/var/tests/results
number=0 failures=0 cases='' tap=''

# check NAME EXPECTED ARGUMENT...
check() {
    name=$1 expected=$2
    shift 2
    actual=$(slug "$@")
    number=$((number + 1))
    if [ "$actual" = "$expected" ]; then
        echo "ok   $name"
        tap="$tap
ok $number - $name"
        cases="$cases<testcase classname=\"slug\" name=\"$name\"/>"
    else
        echo "FAIL $name: expected '$expected', got '$actual'"
        failures=$((failures + 1))
        tap="$tap
not ok $number - $name"
        cases="$cases<testcase classname=\"slug\" name=\"$name\"><failure message=\"expected '$expected', got '$actual'\"/></testcase>"
    fi
}

check "letters become small" hello Hello
check "words are joined by one hyphen" hello-world "Hello,   World"
check "hyphens at the ends are cut" hello "  Hello!  "
check "digits stay" release-1-4 "Release 1.4"

printf '<testsuite name="slug" tests="%s" failures="%s">%s</testsuite>\n' "$number" "$failures" "$cases" >"$results/junit.xml"
printf '1..%s%s\n' "$number" "$tap" >"$results/slug.tap"
[ "$failures" -eq 0 ]
