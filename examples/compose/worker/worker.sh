#!/bin/sh
# Takes titles from the queue `titles` and puts addresses into the queue `addresses`: "Hello, World" becomes hello-world.
set -u
trap 'exit 0' TERM

cache() { redis-cli -h "${REDIS_HOST:-localhost}" --raw "$@"; }

until [ "$(cache PING 2>&1)" = PONG ]; do sleep 0.2; done
echo ready
while :; do
    # The name of the queue, then the title; nothing after a second without one.
    title=$(cache BLPOP titles 1 | sed -n 2p)
    [ -n "$title" ] || continue
    address=$(printf '%s' "$title" | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9][^a-z0-9]*/-/g; s/^-//; s/-$//')
    cache RPUSH addresses "$address" >/dev/null
    echo "$title: $address"
done
