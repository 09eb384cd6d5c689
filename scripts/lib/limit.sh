# shellcheck shell=bash
# How long a step may take where the whole run has a limit. Needs nothing.

# left WHOLE SECONDS : SECONDS, or what is left since the script began of the WHOLE seconds where that is less.
left() {
    local left=$(($1 - SECONDS))
    ((left > 5)) || left=5
    echo "$(($2 < left ? $2 : left))"
}
