# shellcheck shell=bash
# Debian packages: installed where that is harmless, merely unpacked into the cache where installing would start a
# service on the user's machine. Needs output.sh and state.sh.

APT_LISTS_FRESH=''

have_apt() { have apt-get && have dpkg-query; }

refresh_apt_lists() {
    [[ -z $APT_LISTS_FRESH ]] || return 0
    as_root timeout 180 apt-get -qq -o Acquire::Retries=2 update >/dev/null 2>&1 ||
        warn "apt-get update failed: trying with the package lists that are here"
    APT_LISTS_FRESH=yes
}

is_installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# ensure_packages REASON PACKAGE… : installs those that are missing. Fails, saying why, where it cannot.
ensure_packages() {
    local reason=$1 package
    local -a missing=()
    shift
    if ! have_apt; then
        warn "no apt here: install $* yourself ($reason)"
        return 1
    fi
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    ((${#missing[@]} > 0)) || return 0
    if ! can_be_root; then
        warn "missing ($reason): sudo apt-get install -y ${missing[*]}"
        return 1
    fi
    say "installing ${missing[*]} ($reason)"
    refresh_apt_lists
    quietly as_root env DEBIAN_FRONTEND=noninteractive timeout 600 \
        apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}" || {
        warn "apt could not install ${missing[*]} ($reason)"
        return 1
    }
}

# unpack_package PACKAGE : prints the directory into which the package was unpacked. Needs no root, starts nothing.
unpack_package() {
    local package=$1 target="$CACHE/packages/$1" work
    if [[ ! -d $target ]]; then
        if ! have apt-get || ! have dpkg-deb; then
            warn "no apt here: cannot get $package"
            return 1
        fi
        mkdir -p "$CACHE/packages"
        work=$(mktemp -d "$CACHE/packages/.$package.XXXXXX")
        if ! (cd "$work" && quietly timeout 180 apt-get -qq download "$package"); then
            ! can_be_root || refresh_apt_lists
            (cd "$work" && quietly timeout 180 apt-get -qq download "$package") || {
                rm -rf "$work"
                warn "apt could not download $package"
                return 1
            }
        fi
        dpkg-deb -x "$work"/*.deb "$work/root"
        mv -T "$work/root" "$target" 2>/dev/null || [[ -d $target ]]
        rm -rf "$work"
    fi
    echo "$target"
}

# find_program PROGRAM PACKAGE PATH-IN-PACKAGE : prints where it is, unpacking the package where it is nowhere.
find_program() {
    local program=$1 package=$2 path=$3 root
    if have "$program"; then
        command -v "$program"
        return 0
    fi
    root=$(unpack_package "$package") || return 1
    echo "$root/$path"
}
