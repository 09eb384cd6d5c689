#!/bin/sh
# What an attacker would look for in the image. Reports as TAP.
number=0
failed=0

# check NAME COMMAND… : holds where the command finds nothing.
check() {
    name=$1
    shift
    number=$((number + 1))
    found=$("$@" 2>&1)
    if [ -z "$found" ]; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        echo "$found" | sed 's/^/# /'
        failed=1
    fi
}

report() {
    echo TAP version 13
    check 'no program changes its user' find / -xdev -type f -perm /6000
    check 'nobody can change a program' find /usr /srv -xdev -type f -perm -0002
    check 'the application cannot change itself' find /srv ! -user root
    check 'there is no password' grep -vE '^[^:]*:[*!]' /etc/shadow
    check 'there is no network' sh -c 'ls /sys/class/net | grep -vx lo'
    echo "1..$number"
    return "$failed"
}

report >/var/tests/results/hardening.tap
status=$?
cat /var/tests/results/hardening.tap
exit "$status"
