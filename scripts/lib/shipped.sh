# shellcheck shell=bash
# Proofs of what is shipped, in containers that hold nothing that it could lean on. Needs output.sh, apt.sh, engine.sh
# and base.sh. Everything that is made bears the name of this process and goes again, also after a failure.

SHIPPED="docker-test-release-check-$$"
SHIPPED_BASES=() # base images that were not there before
SHIPPED_FILES='' # what goes into the images beside the programs
SHIPPED_TLS=''   # process id of the server that speaks TLS
SHIPPED_TLS_PORT=''

clean_up_shipped() {
    local image
    [[ -z $SHIPPED_TLS ]] || kill "$SHIPPED_TLS" 2>/dev/null || true
    [[ -z $SHIPPED_FILES ]] || rm -rf "$SHIPPED_FILES"
    docker rm -fv "$SHIPPED" >/dev/null 2>&1 || true
    docker network rm "$SHIPPED" >/dev/null 2>&1 || true
    for image in "$SHIPPED:empty" "$SHIPPED:musl" ${SHIPPED_BASES[@]+"${SHIPPED_BASES[@]}"}; do
        docker image rm "$image" >/dev/null 2>&1 || true
    done
}

borrow_base() {
    docker image inspect "$(base_image "$1")" >/dev/null 2>&1 || SHIPPED_BASES+=("$(base_image "$1")")
    ensure_base_images "$1"
}

# check_in_images DIRECTORY VERSION : both programs run, resolve names and verify TLS in an empty image, and in one that
# has musl and no glibc.
check_in_images() {
    local directory=$1 version=$2 root image
    local -a programs=(-C "$directory" docker-test docker-test-harness)
    SHIPPED_FILES=$(mktemp -d "${TMPDIR:-/tmp}/docker-test-shipped.XXXXXX")
    serve_tls || warn "no openssl: TLS was not tried"
    write_checks >"$SHIPPED_FILES/checks.yaml"
    local -a files=(-C "$SHIPPED_FILES" checks.yaml)
    [[ -z $SHIPPED_TLS ]] || files+=(ca.pem)
    tar -c "${programs[@]}" "${files[@]}" | docker import - "$SHIPPED:empty" >/dev/null ||
        die "cannot make an empty image"
    # It stands for Alpine, whose image needs a registry.
    if root=$(unpack_package musl); then
        tar -c -C "$root" ./lib "${programs[@]}" "${files[@]}" | docker import - "$SHIPPED:musl" >/dev/null ||
            die "cannot make an image with musl"
    else
        warn "no package musl: not tried beside it"
    fi
    docker network create "$SHIPPED" >/dev/null || die "cannot make a network"
    borrow_base busybox || die "no image for a server"
    # A server that is no engine. Its name is known to the network's own resolver alone.
    docker run -d --name "$SHIPPED" --network "$SHIPPED" --network-alias engine.example \
        "$BUSYBOX_IMAGE" httpd -f -p 2375 -h /home >/dev/null || die "cannot start a server"
    for image in "$SHIPPED:empty" "$SHIPPED:musl"; do
        docker image inspect "$image" >/dev/null 2>&1 || continue
        run_in_image "$image" /docker-test "$version"
        harness_in_image "$image"
    done
    docker rm -fv "$SHIPPED" >/dev/null
}

# serve_tls : a server on loopback whose certificate is signed by an authority that nobody else trusts.
serve_tls() {
    local log=$SHIPPED_FILES/tls.log try
    have openssl || return 1
    (
        cd "$SHIPPED_FILES"
        openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=shipped -keyout ca.key -out ca.pem \
            -addext 'basicConstraints=critical,CA:true' -addext 'keyUsage=critical,keyCertSign'
        openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:false\n' >server.ext
        openssl x509 -req -days 1 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile server.ext \
            -out server.pem
    ) >/dev/null 2>&1 || die "openssl cannot make certificates"
    : >"$log"
    openssl s_server -accept 127.0.0.1:0 -www -cert "$SHIPPED_FILES/server.pem" -key "$SHIPPED_FILES/server.key" \
        >"$log" 2>&1 </dev/null &
    SHIPPED_TLS=$!
    for try in 1 2 3 4 5 6 7 8 9 10; do
        SHIPPED_TLS_PORT=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$log")
        [[ -z $SHIPPED_TLS_PORT ]] || return 0
        ((try == 10)) || sleep 0.2
    done
    die "a server that speaks TLS does not start: $(tail -n 3 "$log")"
}

write_checks() {
    cat <<END
checks:
  names: { tcp: "engine.example:2375", attempts: 5 }
  page: { http: { url: "http://engine.example:2375/", expect: { status: 404 } } }
  nobody: { tcp: "nobody.invalid:2375", attempts: 1 }
END
    [[ -z $SHIPPED_TLS ]] || echo "  tls: { http: { url: \"https://localhost:$SHIPPED_TLS_PORT/\" }, attempts: 1 }"
}

# harness_in_image IMAGE : the harness resolves names there and is not told any that are not, and knows whom to trust.
harness_in_image() {
    local image=$1 kind=${1##*:} said code=0
    said=$(docker run --rm --network none "$image" /docker-test-harness --attempts 1 -- \
        /docker-test-harness --version 2>&1) || die "in an image ($kind) the harness says '$said'"
    [[ $said == docker-test-harness\ * ]] || die "in an image ($kind) the harness says '$said'"
    said=$(docker run --rm --network "$SHIPPED" "$image" /docker-test-harness --checks /checks.yaml 2>&1) || code=$?
    ((code == 1)) || die "in an image ($kind) the harness ends with $code, not 1: $said"
    ! grep -E '^docker-test-harness: (names|page): failed' <<<"$said" >/dev/null ||
        die "in an image ($kind) the harness does not find a server by name: $said"
    grep -qF 'nobody: failed' <<<"$said" || die "in an image ($kind), of no name: $said"
    say "the harness runs and resolves names in an image ($kind)"
    [[ -n $SHIPPED_TLS ]] || return 0
    said=$(docker run --rm --network host -e SSL_CERT_FILE=/ca.pem "$image" /docker-test-harness \
        --checks /checks.yaml 2>&1) || true
    ! grep -qF 'tls: failed' <<<"$said" || die "in an image ($kind) the harness does not verify a certificate: $said"
    # By its own authorities, which do not know this one.
    said=$(docker run --rm --network host "$image" /docker-test-harness --checks /checks.yaml 2>&1) || true
    grep -qiE 'tls: attempt .*certificate' <<<"$said" || die "in an image ($kind) the harness trusts anybody: $said"
    say "the harness verifies TLS in an image ($kind)"
}

run_in_image() {
    local image=$1 program=$2 version=$3 kind=${1##*:} said try
    said=$(docker run --rm --network none "$image" "$program" --version) || said='nothing'
    [[ $said == "$version" ]] || die "in an image ($kind) it says '$said', not '$version'"
    # The server may take a moment to listen.
    for try in 1 2 3 4 5; do
        said=$(docker run --rm --network "$SHIPPED" "$image" "$program" -H tcp://engine.example:2375 doctor 2>&1 || true)
        ! grep -qF 'answers a ping with 404' <<<"$said" || break
        ((try == 5)) || sleep 1
    done
    grep -qF 'answers a ping with 404' <<<"$said" || die "in an image ($kind) it does not find a server by name: $said"
    # And the proof proves something: a name that nobody has is not found.
    said=$(docker run --rm --network "$SHIPPED" "$image" "$program" -H tcp://nobody.invalid:2375 doctor 2>&1 || true)
    grep -qF 'cannot resolve the name nobody.invalid' <<<"$said" || die "in an image ($kind), of no name: $said"
    say "$version runs and resolves names in an image ($kind)"
}

# check_package FILE VERSION : dpkg installs it on a Debian that has nothing else, with a plugin that runs.
check_package() {
    local package=$1 version=$2 said log
    borrow_base debian || die "no Debian to install the package on"
    # shellcheck disable=SC2016 # for the shell in the container
    docker create --name "$SHIPPED" --network none "$DEBIAN_IMAGE" bash -ec '
        dpkg -i /docker-test.deb >&2
        docker-test --version
        docker-test-harness -- docker-test --version >&2
        docker-test harness -- docker-test-harness --version >&2
        /usr/libexec/docker/cli-plugins/docker-test docker-cli-plugin-metadata >&2
        dpkg --purge docker-test >&2
        test ! -e /usr/bin/docker-test
        test ! -e /usr/bin/docker-test-harness' >/dev/null || die "cannot make a container"
    docker cp "$package" "$SHIPPED:/docker-test.deb" >/dev/null || die "cannot copy the package"
    log=$(mktemp)
    if ! said=$(docker start -a "$SHIPPED" 2>"$log"); then
        tail -n 30 "$log" >&2
        rm -f "$log"
        die "dpkg cannot install the package, or what it installs does not run"
    fi
    rm -f "$log"
    [[ $said == "$version" ]] || die "installed from the package it says '$said', not '$version'"
    docker rm -v "$SHIPPED" >/dev/null
    say "installs on Debian, runs, and is removed whole"
}
