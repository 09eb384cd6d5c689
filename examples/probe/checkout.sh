#!/bin/sh
# What an integration test asks of the shop, by its name on the network that both are on.
set -eu

# A busybox that is linked statically to glibc cannot look names up for wget.
address=$(nslookup shop 127.0.0.11 2>/dev/null | sed -n '/^Name/,$s/^Address[^:]*: *//p' | head -n 1)
[ -n "$address" ] || { echo "expected a shop on the network, got none" >&2 && exit 1; }

answer=$(wget -q -T 5 -O - "http://$address/health")
case $answer in
    *'"status":"up"'*) echo "the shop is up" ;;
    *) echo "expected a shop that is up, got $answer" >&2 && exit 1 ;;
esac
