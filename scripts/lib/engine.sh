# shellcheck shell=bash
# The Docker Engine that everything runs on: found, or installed and started. Needs output.sh, state.sh, apt.sh.

ENGINE_STARTED='' # state directory of a dockerd that this script started, to be stopped again

engine_answers() { have docker && timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

explain_permission() {
    complain "no permission for /var/run/docker.sock: sudo usermod -aG docker $(id -un), then log in again"
}

# Succeeds with an engine that answers `docker version`; otherwise says exactly what to do.
ensure_engine() {
    if engine_answers; then
        return 0
    fi
    if have docker && [[ -n ${DOCKER_HOST:-} ]]; then
        complain "DOCKER_HOST=$DOCKER_HOST does not answer: start that engine, or unset DOCKER_HOST"
        return 1
    fi
    if [[ -S /var/run/docker.sock && ! -w /var/run/docker.sock ]]; then
        explain_permission
        return 1
    fi
    if ! can_be_root; then
        complain "no Docker Engine answers, and starting one needs root: sudo apt-get install -y docker.io" \
            "&& sudo usermod -aG docker $(id -un), then log in again"
        return 1
    fi
    if ! have dockerd || ! have docker; then
        ensure_packages "the Docker Engine" docker.io iptables ca-certificates || return 1
        if wait_until 5 engine_answers; then
            return 0
        fi
    fi
    start_engine
}

start_engine() {
    local driver
    local -a group=()
    if [[ -d /run/systemd/system ]] && as_root systemctl start docker >/dev/null 2>&1; then
        if wait_until 30 engine_answers; then
            say "started the Docker Engine (systemctl start docker)"
            return 0
        fi
        [[ -w /var/run/docker.sock ]] || {
            explain_permission
            return 1
        }
    fi
    # Its socket is for the group docker, which a user who has just got the engine is not in yet.
    ((EUID == 0)) || group=(--group "$(id -gn)")
    ENGINE_STARTED="$STATE/engine"
    mkdir -p "$ENGINE_STARTED"
    for driver in '' overlay2 fuse-overlayfs vfs; do
        # The flag and the file may not both name a driver.
        [[ -z $driver ]] || ! grep -qs storage-driver /etc/docker/daemon.json || break
        [[ $driver != fuse-overlayfs ]] || have fuse-overlayfs ||
            ensure_packages "a storage driver for this kernel" fuse-overlayfs || continue
        # A pid file from before a crash makes dockerd refuse to start when the number is in use again.
        [[ ! -f /var/run/docker.pid ]] || [[ $(cat "/proc/$(cat /var/run/docker.pid)/comm" 2>/dev/null) == dockerd ]] ||
            as_root rm -f /var/run/docker.pid
        start_daemon "$ENGINE_STARTED" dockerd "${ROOT[@]}" dockerd "${group[@]}" ${driver:+--storage-driver "$driver"}
        if wait_until 30 engine_or_its_end && engine_answers; then
            say "started the Docker Engine (dockerd${driver:+, $driver})"
            return 0
        fi
        end_recorded "$ENGINE_STARTED"
    done
    tail -n 15 "$ENGINE_STARTED/dockerd.log" >&2
    complain "dockerd does not start here: its last words are above"
    return 1
}

engine_or_its_end() { engine_answers || ! any_recorded_alive "$ENGINE_STARTED"; }

# Stops the engine if, and only if, ensure_engine of this script started it directly.
stop_own_engine() {
    [[ -n $ENGINE_STARTED ]] || return 0
    end_recorded "$ENGINE_STARTED"
    ENGINE_STARTED=''
}
