# shellcheck shell=bash
# Fixture `registry`: a private registry on loopback that wants a user name and a password (Debian's docker-registry).

up_registry() {
    local directory=$1 program user=tester password port try auth
    program=$(find_program docker-registry docker-registry usr/bin/docker-registry) || return 1
    password=$(random_word)
    # perl is part of every Debian, and its crypt knows bcrypt, the one form that the registry reads.
    # shellcheck disable=SC2016 # perl's variables
    perl -e 'print "$ARGV[0]:", crypt($ARGV[1], "\$2y\$04\$" . $ARGV[2]), "\n"' \
        "$user" "$password" "$(random_word | cut -c1-22)" >"$directory/htpasswd"
    for ((try = 0; try < 5; try++)); do
        port=$(free_port)
        cat >"$directory/config.yml" <<END
version: 0.1
log: { level: warn, accesslog: { disabled: true } }
storage:
  filesystem: { rootdirectory: $directory/data }
  delete: { enabled: true }
http: { addr: "127.0.0.1:$port" }
auth:
  htpasswd: { realm: docker-test, path: $directory/htpasswd }
END
        start_daemon "$directory" registry "$program" serve "$directory/config.yml"
        wait_until 10 port_answers "$port" && is_alive "$DAEMON_PID" "$(process_start "$DAEMON_PID")" && break
        end_recorded "$directory"
        ((try < 4)) || return 1
    done
    auth=$(printf '%s:%s' "$user" "$password" | base64 -w0)
    mkdir -m 700 "$directory/docker"
    printf '{"auths":{"127.0.0.1:%s":{"auth":"%s"}}}\n' "$port" "$auth" >"$directory/docker/config.json"
    cat <<END
REGISTRY_ADDR=127.0.0.1:$port
REGISTRY_USER=$user
REGISTRY_PASSWORD=$password
REGISTRY_DOCKER_CONFIG=$directory/docker
REGISTRY_PID=$DAEMON_PID
END
}
