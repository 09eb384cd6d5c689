# shellcheck shell=bash
# Fixture `podman`: Podman's Docker-compatible API on a private socket, over a private storage, so that cleaning up is
# removing a directory. CONTAINERS_CONF and CONTAINERS_STORAGE_CONF make any `podman` use the same storage.

PODMAN_PACKAGES=(podman runc fuse-overlayfs containernetworking-plugins)
((EUID == 0)) || PODMAN_PACKAGES+=(uidmap slirp4netns)

up_podman() {
    local directory=$1 socket="$1/podman.sock" program
    shift
    local debian=''
    [[ ${1:-} != --debian ]] || debian=debian
    if ! have podman || ! { ((EUID == 0)) || have newuidmap; }; then
        ensure_packages "for tests with Podman" "${PODMAN_PACKAGES[@]}" || return 1
    fi
    write_podman_settings "$directory" || return 1
    export CONTAINERS_CONF="$directory/containers.conf" CONTAINERS_STORAGE_CONF="$directory/storage.conf"
    # shellcheck disable=SC2086 # empty, or one word
    load_into_podman busybox $debian || return 1
    program=$(command -v podman)
    start_daemon "$directory" podman "$program" system service --time=0 "unix://$socket"
    wait_until 20 podman_answers "$socket" || return 1
    cat <<END
PODMAN_HOST=unix://$socket
PODMAN_SOCKET=$socket
CONTAINERS_CONF=$CONTAINERS_CONF
CONTAINERS_STORAGE_CONF=$CONTAINERS_STORAGE_CONF
PODMAN_PID=$DAEMON_PID
END
}

podman_answers() {
    if have docker; then
        timeout 10 docker -H "unix://$1" version
    else
        timeout 10 podman --remote --url "unix://$1" version
    fi
}

# The OCI runtime `crun` refuses some cgroup layouts that `runc` accepts, and where the limit on open files cannot be
# raised, Podman's own default of a million makes every container fail. Podman sets its own limit on processes to
# 32768 first, so no container of it may ask for more.
write_podman_settings() {
    local directory=$1 runtime=crun files processes
    ! have runc || runtime=runc
    files=$(ulimit -Hn)
    [[ $files =~ ^[0-9]+$ ]] && ((files < 65536)) || files=65536
    processes=$(ulimit -Hu)
    [[ $processes =~ ^[0-9]+$ ]] && ((processes < 32768)) || processes=32768
    mkdir -p "$directory/root" "$directory/run" "$directory/tmp" "$directory/networks"
    cat >"$directory/containers.conf" <<END
[containers]
default_ulimits = ["nofile=$files:$files", "nproc=$processes:$processes"]
[network]
network_config_dir = "$directory/networks"
[engine]
runtime = "$runtime"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "$directory/tmp"
volume_path = "$directory/root/volumes"
static_dir = "$directory/root/libpod"
END
    cat >"$directory/storage.conf" <<END
[storage]
driver = "overlay"
graphroot = "$directory/root"
runroot = "$directory/run"
END
    # Without root, Podman's networks are in user space and need no bridge.
    ((EUID != 0)) || write_network "$directory" || return 1
    if have fuse-overlayfs && ! native_overlay "$directory"; then
        printf '[storage.options.overlay]\nmount_program = "%s"\n' "$(command -v fuse-overlayfs)" >>"$directory/storage.conf"
    fi
}

# Podman 4.3's plugins for networks take bridge and addresses from here; later Podman ignores the file.
write_network() {
    local directory=$1
    make_bridge "$directory" || return 1
    cat >"$directory/networks/87-podman.conflist" <<END
{ "cniVersion": "0.4.0", "name": "podman", "plugins": [
  { "type": "bridge", "bridge": "$BRIDGE", "isGateway": true, "ipMasq": true, "hairpinMode": true,
    "ipam": { "type": "host-local", "dataDir": "$directory/addresses", "routes": [{ "dst": "0.0.0.0/0" }],
              "ranges": [[{ "subnet": "$BRIDGE_SUBNET.0/24", "gateway": "$BRIDGE_SUBNET.1" }]] } },
  { "type": "portmap", "capabilities": { "portMappings": true } },
  { "type": "firewall" },
  { "type": "tuning" } ] }
END
}

# Whether the kernel stacks file systems in this directory itself.
native_overlay() {
    local directory=$1/overlay-probe status=1
    ((EUID == 0)) || return 1
    mkdir -p "$directory"/{lower,upper,work,merged}
    if mount -t overlay overlay -o "lowerdir=$directory/lower,upperdir=$directory/upper,workdir=$directory/work" \
        "$directory/merged" 2>/dev/null; then
        umount "$directory/merged"
        status=0
    fi
    rm -rf --one-file-system "$directory"
    return "$status"
}

before_down_podman() {
    local directory=$1
    [[ -f $directory/containers.conf ]] || return 0
    CONTAINERS_CONF="$directory/containers.conf" CONTAINERS_STORAGE_CONF="$directory/storage.conf" \
        timeout 60 podman rm -af -t 0 >/dev/null 2>&1 || true
    # Without root, a process of Podman's own keeps the user namespace open.
    local file
    while read -r file; do
        send_signal TERM "$(<"$file")"
    done < <(find "$directory" -maxdepth 3 -name pause.pid 2>/dev/null)
}
