@test "a price has its tax added" {
    [ "$(/shop/run.sh price 1000 19)" = 1190 ]
}

@test "half a cent is rounded up" {
    [ "$(/shop/run.sh price 350 21)" = 424 ]
}

@test "a basket is added up" {
    [ "$(/shop/run.sh total 199 301 25)" = 525 ]
}

@test "an unknown command is refused with status 2" {
    run /shop/run.sh sell-the-shop
    [ "$status" -eq 2 ]
}
