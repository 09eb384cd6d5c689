# shellcheck shell=bash
# Loopback ports, and bridges of a fixture's own. Needs output.sh and state.sh.

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A loopback port below the kernel's own range for outgoing connections, so that none of those takes it meanwhile.
free_port() {
    local port try
    for ((try = 0; try < 100; try++)); do
        port=$((20000 + RANDOM % 12000))
        if port_is_free "$port"; then
            echo "$port"
            return 0
        fi
    done
    die "no free port on 127.0.0.1"
}

# make_bridge DIRECTORY : adds a bridge with an address of its own and sets BRIDGE and BRIDGE_SUBNET (10.213.N).
# A second dockerd must be given one: with `--bridge none` it deletes docker0, which belongs to the first.
make_bridge() {
    local directory=$1 number
    have ip || ensure_packages "for private networks" iproute2 || return 1
    BRIDGE="dt$(random_word | cut -c1-10)"
    for number in $(shuf -i 1-254); do
        BRIDGE_SUBNET=10.213.$number
        grep -qF " $BRIDGE_SUBNET." <<<"$(ip -o -4 addr show)" && continue
        echo "$BRIDGE" >"$directory/bridge"
        as_root ip link add "$BRIDGE" type bridge && as_root ip addr add "$BRIDGE_SUBNET.1/24" dev "$BRIDGE" &&
            as_root ip link set "$BRIDGE" up
        return
    done
    return 1
}

remove_bridge() {
    [[ -f $1/bridge ]] || return 0
    as_root ip link delete "$(<"$1/bridge")" 2>/dev/null || true
}
