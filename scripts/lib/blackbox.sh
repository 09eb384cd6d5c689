# shellcheck shell=bash
# Fixture `blackbox`: Debian's prometheus-blackbox-exporter on loopback, as a peer to be measured against.

up_blackbox() {
    local directory=$1 program port try
    program=$(find_program prometheus-blackbox-exporter prometheus-blackbox-exporter \
        usr/bin/prometheus-blackbox-exporter) || return 1
    cat >"$directory/blackbox.yml" <<'END'
modules:
  http_2xx:
    prober: http
    timeout: 10s
    http: { preferred_ip_protocol: ip4 }
END
    for ((try = 0; try < 5; try++)); do
        port=$(free_port)
        start_daemon "$directory" blackbox "$program" --config.file="$directory/blackbox.yml" \
            --web.listen-address="127.0.0.1:$port" --log.level=error
        wait_until 10 port_answers "$port" && is_alive "$DAEMON_PID" "$(process_start "$DAEMON_PID")" && break
        end_recorded "$directory"
        ((try < 4)) || return 1
    done
    echo "BLACKBOX_ADDR=127.0.0.1:$port"
    echo "BLACKBOX_PID=$DAEMON_PID"
}
