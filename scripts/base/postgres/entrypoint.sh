#!/bin/sh
# Makes a database at the first start, then becomes the server. Knows POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB
# and POSTGRES_HOST_AUTH_METHOD, the first three also as NAME_FILE.
set -eu

# value NAME DEFAULT : of the variable, or of the file that NAME_FILE names.
value() {
    eval "value=\${$1:-} file=\${$1_FILE:-}"
    # shellcheck disable=SC2154 # set by eval
    [ -z "$file" ] || value=$(cat "$file")
    printf '%s' "${value:-$2}"
}

prepare() {
    user=$(value POSTGRES_USER postgres)
    password=$(value POSTGRES_PASSWORD '')
    database=$(value POSTGRES_DB "$user")
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [ -z "$password" ] && [ "$method" != trust ]; then
        echo 'Error: Database is uninitialized and superuser password is not specified.' >&2
        echo '       Set POSTGRES_PASSWORD to a non-empty value for the superuser.' >&2
        exit 1
    fi
    set -- --username="$user" --auth-local=trust --auth-host="$method" --encoding=UTF8 --locale=C.UTF-8 --no-sync
    if [ -n "$password" ]; then
        file=$(mktemp)
        printf '%s\n' "$password" >"$file"
        set -- "$@" --pwfile="$file"
    fi
    initdb "$@"
    rm -f "${file:-}"
    printf 'host all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
    # Reachable from inside alone: a probe of the port is not to take it for the server that stays.
    pg_ctl -w start -o "-c fsync=off -c listen_addresses=''"
    [ "$database" = postgres ] ||
        psql -v ON_ERROR_STOP=1 -v name="$database" -U "$user" -d postgres <<'SQL'
CREATE DATABASE :"name";
SQL
    pg_ctl -w stop -m fast
}

if [ "$1" = postgres ] && [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown postgres:postgres "$PGDATA"
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ "$1" = postgres ]; then
    [ -s "$PGDATA/PG_VERSION" ] || prepare
    shift
    # What is tested here is thrown away: nothing has to reach a disk.
    set -- postgres -c listen_addresses='*' -c fsync=off -c synchronous_commit=off -c full_page_writes=off "$@"
fi
exec "$@"
