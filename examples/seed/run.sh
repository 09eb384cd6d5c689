#!/bin/sh
# Entry of the image: `run.sh price CENTS PERCENT` or `run.sh total CENTS…`.
exec /shop/app/shop "$@"
