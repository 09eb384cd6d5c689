#!/bin/bash
# Runs the suite. Its TAP goes to the screen, and into a file where docker-test looks for results.
set -u -o pipefail
bats --formatter tap "$@" /shop/tests | tee /var/tests/results/shop.tap
