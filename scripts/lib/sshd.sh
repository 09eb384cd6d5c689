# shellcheck shell=bash
# Fixture `sshd`: an ssh server on loopback that lets in one key made for it, so that ssh:// engines can be tested.
# `SSH_PATH_PREFIX` holds an `ssh` that knows the key and the host: put it in front of PATH and touch nothing of the user's.

up_sshd() {
    local directory=$1 sshd port try docker_path
    sshd=$(command -v sshd || command -v /usr/sbin/sshd) || {
        ensure_packages "for tests over ssh" openssh-server || return 1
        quiet_new_sshd
        sshd=/usr/sbin/sshd
    }
    # Compiled into Debian's sshd; it refuses to start without.
    ((EUID != 0)) || [[ -d /run/sshd ]] || mkdir -m 755 /run/sshd
    ssh-keygen -q -t ed25519 -N '' -C docker-test -f "$directory/host_key"
    ssh-keygen -q -t ed25519 -N '' -C docker-test -f "$directory/user_key"
    cp "$directory/user_key.pub" "$directory/authorized_keys"
    docker_path=$(dirname "$(command -v docker)")
    for ((try = 0; try < 5; try++)); do
        port=$(free_port)
        cat >"$directory/sshd_config" <<END
ListenAddress 127.0.0.1
Port $port
HostKey $directory/host_key
PidFile $directory/sshd.pid
AuthorizedKeysFile $directory/authorized_keys
AuthenticationMethods publickey
PermitRootLogin prohibit-password
AllowUsers $(id -un)
StrictModes no
UsePAM no
PrintMotd no
MaxStartups 100
MaxSessions 100
LogLevel ERROR
SetEnv PATH=$docker_path:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
END
        start_daemon "$directory" sshd "$sshd" -D -e -f "$directory/sshd_config"
        wait_until 10 port_answers "$port" && is_alive "$DAEMON_PID" "$(process_start "$DAEMON_PID")" && break
        end_recorded "$directory"
        ((try < 4)) || return 1
    done
    printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 "$directory/host_key.pub")" >"$directory/known_hosts"
    cat >"$directory/ssh_config" <<END
Host *
    IdentityFile $directory/user_key
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile $directory/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    BatchMode yes
    LogLevel ERROR
END
    mkdir -p "$directory/bin"
    printf '#!/bin/sh\nexec %s -F "%s" "$@"\n' "$(command -v ssh)" "$directory/ssh_config" >"$directory/bin/ssh"
    chmod 755 "$directory/bin/ssh"
    "$directory/bin/ssh" -p "$port" "$(id -un)@127.0.0.1" true || return 1
    cat <<END
SSH_DOCKER_HOST=ssh://$(id -un)@127.0.0.1:$port
SSH_PATH_PREFIX=$directory/bin
SSH_CONFIG=$directory/ssh_config
SSH_PORT=$port
SSH_PID=$DAEMON_PID
END
}

# Installing Debian's package starts and enables a server for the whole machine, which nobody asked for.
quiet_new_sshd() {
    [[ -d /run/systemd/system ]] || return 0
    as_root systemctl disable --now ssh.service ssh.socket >/dev/null 2>&1 || true
}

# Sessions outlive the listener.
before_down_sshd() {
    local pid child
    pid=$(cat "$1/sshd.pid" 2>/dev/null) || return 0
    for child in $(children_of "$pid"); do
        kill "$child" 2>/dev/null || true
    done
}
