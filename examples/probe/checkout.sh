#!/bin/sh
# What an integration test asks of the shop, by its name on the network that both are on.
set -eu
answer=$(wget -q -T 5 -O - http://shop/health)
case $answer in
    *'"status":"up"'*) echo "the shop is up" ;;
    *) echo "expected a shop that is up, got $answer" >&2 && exit 1 ;;
esac
