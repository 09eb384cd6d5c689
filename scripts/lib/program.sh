# shellcheck shell=bash
# Which docker-test the scripts run: DOCKER_TEST_BIN, else one that is newer than its sources, else one built now.
# Needs output.sh.

# find_docker_test CHECKOUT : sets PROGRAM.
find_docker_test() {
    local checkout=$1 target candidate
    if [[ -n ${DOCKER_TEST_BIN:-} ]]; then
        PROGRAM=$(realpath "$DOCKER_TEST_BIN")
        [[ -x $PROGRAM ]] || die "DOCKER_TEST_BIN=$DOCKER_TEST_BIN is no program"
        # Variables that begin like this are docker-test's own settings.
        unset DOCKER_TEST_BIN
        return 0
    fi
    have cargo || die "no cargo here: install Rust with https://rustup.rs, or set DOCKER_TEST_BIN"
    target=${CARGO_TARGET_DIR:-$checkout/target}
    for candidate in "$target/dist" "$target/release" "$target/debug"; do
        if [[ -x $candidate/docker-test ]] && is_current "$checkout" "$candidate/docker-test"; then
            PROGRAM=$candidate/docker-test
            return 0
        fi
    done
    say "building docker-test (two minutes or so, the first time)"
    (cd "$checkout" && cargo build --quiet --locked --bin docker-test) >&2 || die "docker-test does not build"
    # shellcheck disable=SC2034 # read by the scripts that source this file
    PROGRAM=$target/debug/docker-test
}

is_current() {
    [[ -z $(cd "$1" && find src templates Cargo.toml Cargo.lock -newer "$2" -print -quit) ]]
}
