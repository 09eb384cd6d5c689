#!/bin/sh
# Gives the worker titles and compares the addresses.
set -u
failed=0

cache() { redis-cli -h cache --raw "$@"; }

# address TITLE EXPECTED
address() {
    cache RPUSH titles "$1" >/dev/null
    actual=$(cache BLPOP addresses 10 | sed -n 2p)
    if [ "$actual" = "$2" ]; then
        echo "ok   $1"
    else
        echo "FAIL $1: $actual, and not $2"
        failed=1
    fi
}

# Nothing said when the queue would be there.
tries=0
until [ "$(cache PING 2>&1)" = PONG ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] || { echo 'FAIL no cache after 10 s' && exit 1; }
    sleep 0.2
done
address 'Hello, World' hello-world
address '  Spaces  ' spaces
address 'Fahrenheit 451' fahrenheit-451
exit "$failed"
