#!/bin/bash
# What an integration test asks of the shop, by its name on the network that both are on. Needs nothing but bash.
set -euo pipefail

exec 3<>/dev/tcp/shop/80
printf 'GET /health HTTP/1.0\r\n\r\n' >&3
answer=$(cat <&3)
if [[ $answer != *'"status":"up"'* ]]; then
    echo "expected a shop that is up, got $answer" >&2
    exit 1
fi
echo "the shop is up"
