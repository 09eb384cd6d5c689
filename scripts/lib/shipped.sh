# shellcheck shell=bash
# Proofs of what is shipped, in containers that hold nothing that it could lean on. Needs output.sh, apt.sh, engine.sh
# and base.sh. Everything that is made on the engine bears the name of this process and goes again, also after a failure.

SHIPPED="docker-test-release-check-$$"
SHIPPED_BASES=() # base images that were not there before

clean_up_shipped() {
    local image
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

# check_in_images PROGRAM VERSION : it runs and resolves names in an empty image, and in one that has musl and no glibc.
check_in_images() {
    local program=$1 version=$2 directory name root image
    directory=$(dirname "$program") name=$(basename "$program")
    tar -C "$directory" -c "$name" | docker import - "$SHIPPED:empty" >/dev/null || die "cannot make an empty image"
    # It stands for Alpine, whose image needs a registry.
    if root=$(unpack_package musl); then
        tar -c -C "$root" ./lib -C "$directory" "$name" | docker import - "$SHIPPED:musl" >/dev/null ||
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
        run_in_image "$image" "/$name" "$version"
    done
    docker rm -fv "$SHIPPED" >/dev/null
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
        /usr/libexec/docker/cli-plugins/docker-test docker-cli-plugin-metadata >&2
        dpkg --purge docker-test >&2
        test ! -e /usr/bin/docker-test' >/dev/null || die "cannot make a container"
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
