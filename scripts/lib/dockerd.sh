# shellcheck shell=bash
# Fixture `dockerd`: a second Docker Engine of one's own, to be killed, paused or filled, and to be reached over TLS.
# It has its own containerd, so that a system-wide one is not involved, its own bridge, and no firewall rules: its
# containers reach this machine and nothing beyond.

up_dockerd() {
    local directory=$1 driver port
    shift
    local size='' debian=''
    while (($# > 0)); do
        case $1 in
            --size) size=$2 && shift 2 ;;
            --debian) debian=yes && shift ;;
            *) die "fixture dockerd: unknown option $1 (--size SIZE, --debian)" ;;
        esac
    done
    if ! can_be_root || ! have dockerd || ! have containerd || ! have openssl; then
        warn "a private dockerd needs root, and dockerd, containerd and openssl installed"
        return 1
    fi
    make_certificates "$directory/certs" || return 1
    mkdir -p "$directory/data"
    # A small file system of its own: what a full disk looks like to the engine.
    [[ -z $size ]] || as_root mount -t tmpfs -o "size=$size,mode=0711" docker-test "$directory/data" || return 1
    make_bridge "$directory" && start_containerd "$directory" || return 1
    daemon_settings "$directory" >"$directory/daemon.json"
    for driver in $(private_drivers); do
        port=$(free_port)
        start_daemon "$directory" dockerd "${ROOT[@]}" dockerd --config-file "$directory/daemon.json" \
            --data-root "$directory/data" --exec-root "$directory/exec" --pidfile "$directory/dockerd.pid" \
            --containerd "$directory/containerd.sock" --group "$(id -gn)" --storage-driver "$driver" \
            --bridge "$BRIDGE" --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false \
            -H "unix://$directory/docker.sock" -H "tcp://127.0.0.1:$port" \
            --tlsverify --tlscacert "$directory/certs/ca.pem" \
            --tlscert "$directory/certs/server-cert.pem" --tlskey "$directory/certs/server-key.pem"
        wait_until 30 private_engine_or_its_end "$directory" "$DAEMON_PID" "$(process_start "$DAEMON_PID")" &&
            private_engine_answers "$directory" && break
        end_process "$DAEMON_PID" "$(process_start "$DAEMON_PID" || echo gone)"
        forget_last_process "$directory"
        driver=''
    done
    [[ -n $driver ]] || return 1
    record_process "$directory" "$(<"$directory/dockerd.pid")" dockerd
    import_base "$(base_archive busybox)" "$BUSYBOX_IMAGE" docker -H "unix://$directory/docker.sock" || return 1
    [[ -z $debian ]] ||
        import_base "$(base_archive debian)" "$DEBIAN_IMAGE" docker -H "unix://$directory/docker.sock" || return 1
    cat <<END
DOCKERD_HOST=unix://$directory/docker.sock
DOCKERD_SOCKET=$directory/docker.sock
DOCKERD_TLS_HOST=tcp://127.0.0.1:$port
DOCKERD_CERT_PATH=$directory/certs/client
DOCKERD_PID=$(<"$directory/dockerd.pid")
DOCKERD_DATA_ROOT=$directory/data
DOCKERD_STORAGE_DRIVER=$driver
END
}

private_engine_answers() { timeout 10 docker -H "unix://$1/docker.sock" version >/dev/null 2>&1; }
private_engine_or_its_end() { private_engine_answers "$1" || ! is_alive "$2" "$3"; }

# The driver that the main engine has found to work goes first.
private_drivers() {
    local main
    main=$(timeout 20 docker info --format '{{.Driver}}' 2>/dev/null) || main=''
    printf '%s\n' "$main" overlay2 fuse-overlayfs vfs | awk 'NF && !seen[$0]++'
}

start_containerd() {
    local directory=$1
    cat >"$directory/containerd.toml" <<END
version = 2
root = "$directory/containerd"
state = "$directory/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$directory/containerd.sock"
[ttrpc]
  address = "$directory/containerd.sock.ttrpc"
END
    start_daemon "$directory" containerd "${ROOT[@]}" containerd --config "$directory/containerd.toml" --log-level warn
    wait_until 20 test -S "$directory/containerd.sock"
}

# Engines before version 23 take their identity from one file for the whole machine: two engines would bear one id.
daemon_settings() {
    local major
    major=$(dockerd --version | sed -nE 's/^Docker version ([0-9]+)\..*/\1/p')
    if ((${major:-99} < 23)); then
        printf '{ "deprecated-key-path": "%s/key.json" }\n' "$1"
    else
        echo '{}'
    fi
}

# An authority, a server and a client, by the file names that Docker's clients look for.
make_certificates() {
    local directory=$1 name
    mkdir -m 700 "$directory" "$directory/client"
    (
        cd "$directory" || exit 1
        quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3 \
            -subj /CN=docker-test-ca -keyout ca-key.pem -out ca.pem || exit 1
        for name in server client; do
            quietly openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
                -subj "/CN=docker-test-$name" -keyout "$name-key.pem" -out "$name.csr" || exit 1
            printf 'extendedKeyUsage=%sAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n' "$name" >"$name.ext"
            quietly openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 3 \
                -extfile "$name.ext" -out "$name-cert.pem" || exit 1
        done
        cp ca.pem client/ca.pem
        mv client-cert.pem client/cert.pem
        mv client-key.pem client/key.pem
        chmod 600 ./*-key.pem client/key.pem
    )
}

# Containers first, while there is an engine to ask: their processes are not the daemon's children.
before_down_dockerd() {
    local directory=$1 pid
    pid=$(cat "$directory/dockerd.pid" 2>/dev/null) || return 0
    # A test may have stopped it, and nothing that is stopped answers.
    send_signal CONT "$pid"
    if private_engine_answers "$directory"; then
        timeout 10 docker -H "unix://$directory/docker.sock" ps -aq 2>/dev/null |
            timeout 30 xargs -r docker -H "unix://$directory/docker.sock" rm -f >/dev/null 2>&1 || true
    fi
    # One that a test started again after a crash is not among those written down.
    ! grep -zqF -- "$directory/" "/proc/$pid/cmdline" 2>/dev/null ||
        end_process "$pid" "$(process_start "$pid" || echo gone)"
}
