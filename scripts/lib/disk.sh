# shellcheck shell=bash
# Fixture `disk`: a file system of a few megabytes, to be filled.

up_disk() {
    local directory=$1 size=4m
    shift
    [[ ${1:-} != --size ]] || size=$2
    can_be_root || {
        warn "mounting a small file system needs root"
        return 1
    }
    mkdir -p "$directory/mount"
    as_root mount -t tmpfs -o "size=$size,mode=0777" docker-test "$directory/mount" || return 1
    echo "DISK_PATH=$directory/mount"
}
