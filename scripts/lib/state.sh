# shellcheck shell=bash
# Where started things are written down, and how they are ended: by recorded process id and start time, so
# that a number which the kernel has given to somebody else is never signalled.

# shellcheck disable=SC2034 # read by apt.sh and base.sh
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/docker-test"
# One directory per test run, or `shared` for fixtures started by hand. TMPDIR is not asked: the tests get one of
# their own, and a socket's path may hold 107 bytes at most.
STATE_HOME="/tmp/docker-test-$UID"
STATE="${FIXTURE_STATE:-$STATE_HOME/shared}"

make_state() {
    local directory
    for directory in "$STATE_HOME" "$STATE"; do
        [[ -d $directory ]] || mkdir -m 700 "$directory" 2>/dev/null || true
        [[ -O $directory && ! -L $directory ]] ||
            die "$directory belongs to somebody else: remove it, or set FIXTURE_STATE"
    done
}

# Start time of a process in clock ticks since boot: with the number it names a process for good.
process_start() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The command's name may hold blanks and brackets: count from the last bracket.
    awk '{ print $20 }' <<<"${stat##*) }"
}

is_alive() {
    local now
    now=$(process_start "$1") && [[ $now == "$2" ]] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

# start_daemon DIRECTORY NAME COMMAND… : runs it in a session of its own and writes it down. Sets DAEMON_PID.
start_daemon() {
    local directory=$1 name=$2
    shift 2
    (
        [[ -z ${LOCK_FD:-} ]] || exec {LOCK_FD}>&-
        # Podman's monitors of containers write files where they are started.
        cd "$directory" && exec setsid "$@"
    ) >"$directory/$name.log" 2>&1 </dev/null &
    DAEMON_PID=$!
    record_process "$directory" "$DAEMON_PID" "$name"
}

# Strikes out the last process: it was an attempt that came to nothing.
forget_last_process() { sed -i '$d' "$1/pids"; }

record_process() {
    printf '%s %s %s\n' "$2" "$(process_start "$2" || echo gone)" "$3" >>"$1/pids"
}

# Our own processes need no root; what ran under sudo does.
send_signal() {
    kill -"$1" "$2" 2>/dev/null || { can_be_root && "${ROOT[@]}" kill -"$1" "$2" 2>/dev/null; } || true
}

end_process() {
    local pid=$1 start=$2 patience=${3:-15} tick
    is_alive "$pid" "$start" || return 0
    send_signal CONT "$pid"
    send_signal TERM "$pid"
    for ((tick = 0; tick < patience * 10; tick++)); do
        is_alive "$pid" "$start" || return 0
        sleep 0.1
    done
    send_signal KILL "$pid"
    sleep 0.2
}

# Ends what a fixture wrote down, the last started first.
end_recorded() {
    local directory=$1 pid start
    [[ -f $directory/pids ]] || return 0
    while read -r pid start _; do
        [[ $start == gone ]] || end_process "$pid" "$start"
    done < <(tac "$directory/pids")
    rm -f "$directory/pids"
}

any_recorded_alive() {
    local pid start
    [[ -f $1/pids ]] || return 1
    while read -r pid start _; do
        is_alive "$pid" "$start" && return 0
    done <"$1/pids"
    return 1
}

# Processes that name a path below DIRECTORY among their arguments: what a killed daemon leaves to init.
processes_of() {
    local directory=$1 entry pid
    for entry in /proc/[0-9]*; do
        pid=${entry#/proc/}
        [[ $pid == "$$" || $pid == "$BASHPID" ]] && continue
        if grep -zqF -- "$directory/" "$entry/cmdline"; then
            echo "$pid"
        fi
    done 2>/dev/null
    return 0
}

# Processes that inherited FIXTURE_STATE=DIRECTORY: what a test run started, however deep.
processes_of_run() {
    local directory=$1 entry pid
    for entry in /proc/[0-9]*; do
        pid=${entry#/proc/}
        [[ $pid == "$$" || $pid == "$BASHPID" ]] && continue
        if grep -zqxF -- "FIXTURE_STATE=$directory" "$entry/environ"; then
            echo "$pid"
        fi
    done 2>/dev/null
    return 0
}

end_processes_of_run() {
    local pid
    for pid in $(processes_of_run "$1"); do
        end_process "$pid" "$(process_start "$pid" || echo gone)" 3
    done
}

# Ends the container supervisors that outlived their daemon, and the containers that would outlive them.
end_orphans() {
    local directory=$1 pid child
    for pid in $(processes_of "$directory"); do
        [[ $(cat "/proc/$pid/comm" 2>/dev/null) =~ ^(containerd-shim|conmon|fuse-overlayfs|runc) ]] || continue
        for child in $(children_of "$pid"); do
            send_signal KILL "$child"
        done
        send_signal KILL "$pid"
    done
}

children_of() { cat "/proc/$1/task/"*/children 2>/dev/null || true; }

mounts_below() { awk -v below="$1/" 'index($5 "/", below) == 1 { print $5 }' /proc/self/mountinfo | tac; }

unmount_below() {
    local point
    while read -r point; do
        as_root umount "$point" 2>/dev/null || as_root umount -l "$point" 2>/dev/null || true
    done < <(mounts_below "$1")
}

# Removes the state directory or one below it, with whatever is still mounted there. Refuses any other directory.
remove_state() {
    local directory=$1
    [[ $directory == "$STATE" || $directory == "$STATE"/?* ]] || die "refusing to remove $directory"
    [[ -d $directory ]] || return 0
    unmount_below "$directory"
    rm -rf --one-file-system "$directory" 2>/dev/null || as_root rm -rf --one-file-system "$directory"
}

# wait_until SECONDS COMMAND… : polls ten times a second.
wait_until() {
    local tick limit=$(($1 * 10))
    shift
    for ((tick = 0; tick < limit; tick++)); do
        if "$@" >/dev/null 2>&1; then
            return 0
        fi
        sleep 0.1
    done
    return 1
}

# Takes an exclusive lock for the rest of this shell. Daemons are started without the descriptor.
hold_lock() {
    exec {LOCK_FD}>"$1"
    flock -w "${2:-300}" "$LOCK_FD" || die "another process has held $1 for ${2:-300} seconds"
}

random_word() { od -An -N12 -tx1 /dev/urandom | tr -d ' \n'; }
