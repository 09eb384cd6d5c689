# shellcheck shell=bash
# What a test run has left behind on the engine and on this machine: one line a thing, before and after, compared.
# Needs output.sh and state.sh.

# snapshot TARGET-DIRECTORY : one sorted line for each thing that a run could leave behind.
snapshot() {
    local things
    local -a only=()
    # Where others work on the same engine, only what bears docker-test's label can be told to be ours.
    [[ -z ${TEST_SHARED_ENGINE:-} ]] || only=(--filter label=docker-test.run)
    # Sorted afterwards: a `sort` that waits for its input would be counted as a process of this run.
    things=$(
        if engine_answers; then
            docker ps -a --no-trunc "${only[@]}" --format 'container {{.ID}} {{.Names}} ({{.Image}}, {{.Status}})' |
                sed -E 's/(Up|Exited [^ ]+) .*\)/\1)/'
            docker images "${only[@]}" --format 'image {{.Repository}}:{{.Tag}} {{.ID}}' |
                grep -v '^image docker-test-base/' || true
            docker volume ls "${only[@]}" --format 'volume {{.Name}}'
            docker network ls "${only[@]}" --format 'network {{.Name}} {{.ID}}'
        fi
        our_processes "$1"
        awk -v state="$STATE/" 'index($5, state) == 1 { print "mount " $5 }' /proc/self/mountinfo
        ip -o link show type bridge 2>/dev/null | sed -nE 's/^[0-9]+: (dt[0-9a-f]{10}):.*/bridge \1/p'
    )
    LC_ALL=C sort -u <<<"$things"
}

# Programs of this checkout, and anything started with a path below this run's state directory.
our_processes() {
    local target=$1 entry pid program
    for entry in /proc/[0-9]*; do
        pid=${entry#/proc/}
        program=$(readlink "$entry/exe" 2>/dev/null) || continue
        if [[ $program == "$target"/*/docker-test* ]]; then
            echo "process $pid $program"
        fi
    done
    for pid in $(processes_of "$STATE" && processes_of_run "$STATE"); do
        program=$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) || continue
        echo "process $pid ${program:0:120}"
    done
}

# leftovers BEFORE AFTER : prints what is new. Removed things are nobody's leftovers.
leftovers() { LC_ALL=C comm -13 "$1" "$2"; }
