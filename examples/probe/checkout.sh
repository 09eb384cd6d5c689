#!/bin/bash
# What an integration test asks of the shop, by its name on the network that both are on. Needs nothing but bash.
set -euo pipefail

# Fails where an earlier attempt in the same container was not cleaned up after: it would be mixed up with this one.
mkdir /tmp/checkout
exec 3<>/dev/tcp/shop/80
printf 'GET /health HTTP/1.0\r\n\r\n' >&3
cat <&3 >/tmp/checkout/answer
answer=$(cat /tmp/checkout/answer)
if [[ $answer != *'"status":"up"'* ]]; then
    echo "expected a shop that is up, got $answer" >&2
    exit 1
fi
echo "the shop is up"
