#!/bin/sh
# Tests docker-test inside its own image: no libc, no engine, no user database, no name service. Any sh will do.
results=${RESULTS_DIR:-/var/tests/results}
program=${PROGRAM:-/docker-test}
number=0 failures=0 cases=''
output='' code=0

run() {
    output=$("$program" "$@" 2>&1 </dev/null) && code=0 || code=$?
}

# verdict NAME STATUS DETAIL
verdict() {
    number=$((number + 1))
    if [ "$2" -eq 0 ]; then
        echo "ok   $1"
        cases="$cases<testcase classname=\"selftest\" name=\"$1\"/>"
    else
        echo "FAIL $1: $3"
        failures=$((failures + 1))
        detail=$(printf '%s' "$3" | sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/"/\&quot;/g')
        cases="$cases<testcase classname=\"selftest\" name=\"$1\"><failure message=\"$detail\"/></testcase>"
    fi
}

# expect NAME EXIT-CODE TEXT : judges the last run.
expect() {
    case $output in
        *"$3"*) text=0 ;;
        *) text=1 ;;
    esac
    [ "$code" -eq "$2" ] && [ "$text" -eq 0 ]
    verdict "$1" $? "exit code $code, expected $2 with '$3': $output"
}

run --version
expect "it starts without any library" 0 "docker-test "

run docker-cli-plugin-metadata
expect "it introduces itself to the Docker CLI" 0 SchemaVersion

run inspect -f Dockerfile.sample --format json
expect "it reads a Dockerfile without an engine" 0 '"dockerfile"'

run --no-such-flag
expect "an unknown flag is an error of usage" 125 no-such-flag

unset DOCKER_HOST DOCKER_CONTEXT
run some-image:1
expect "without an engine it says what it tried" 125 docker.sock

printf '<testsuite name="selftest" tests="%s" failures="%s">%s</testsuite>\n' "$number" "$failures" "$cases" >"$results/selftest.xml"
[ "$failures" -eq 0 ]
