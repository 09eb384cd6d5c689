setup() {
    mkdir "$BATS_TEST_TMPDIR/data"
    echo content >"$BATS_TEST_TMPDIR/data/file"
}

@test "a directory is packed with its files" {
    backup "$BATS_TEST_TMPDIR/data" "$BATS_TEST_TMPDIR/a.tgz"
    [ "$(tar -xzOf "$BATS_TEST_TMPDIR/a.tgz" ./file)" = content ]
}

@test "an archive that is there is left alone" {
    echo precious >"$BATS_TEST_TMPDIR/a.tgz"
    run backup "$BATS_TEST_TMPDIR/data" "$BATS_TEST_TMPDIR/a.tgz"
    [ "$status" -eq 3 ]
    [ "$(cat "$BATS_TEST_TMPDIR/a.tgz")" = precious ]
}

@test "the image does not run as root" {
    [ "$(id -u)" -ne 0 ]
}
