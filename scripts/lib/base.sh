# shellcheck shell=bash
# The base images that tests and examples stand on, made here because a registry may be out of reach.
# busybox and debian are root file systems as tar archives in the cache, imported where they are wanted; postgres and
# redis are built FROM debian, by what lies in scripts/base. Needs output.sh, state.sh, apt.sh and engine.sh.

BUSYBOX_IMAGE=docker-test-base/busybox:1
DEBIAN_IMAGE=docker-test-base/debian:bookworm
POSTGRES_IMAGE=docker-test-base/postgres:1
REDIS_IMAGE=docker-test-base/redis:1
BASE_SOURCES=$(cd "$(dirname "${BASH_SOURCE[0]}")/../base" && pwd)
DEBIAN_SUITE=bookworm
DEBIAN_DAYS=30 # an older archive is made again: its packages have been replaced on the mirror

BASE_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# ensure_base_images [busybox|debian|postgres|redis]… : all by default.
ensure_base_images() {
    local name archive
    (($# > 0)) || set -- busybox debian postgres redis
    engine_answers || {
        complain "no engine answers to hold the base images: scripts/fixture engine up"
        return 1
    }
    for name in "$@"; do
        if [[ -d $BASE_SOURCES/$name ]]; then
            build_base "$name" || return 1
            continue
        fi
        ! docker image inspect "$(base_image "$name")" >/dev/null 2>&1 || continue
        if ! archive=$(base_archive "$name"); then
            pull_base "$name" && continue
            complain "no $(base_image "$name"): it can neither be made here nor pulled"
            return 1
        fi
        import_base "$archive" "$(base_image "$name")" docker || return 1
    done
}

# What is built on another goes first.
remove_base_images() {
    local name
    # With the test images that tests on them have left.
    for name in redis postgres debian busybox; do
        docker image rm -f "$(base_image "$name")-test" "$(base_image "$name")" >/dev/null 2>&1 || true
    done
}

base_image() {
    case $1 in
        busybox) echo "$BUSYBOX_IMAGE" ;;
        debian) echo "$DEBIAN_IMAGE" ;;
        postgres) echo "$POSTGRES_IMAGE" ;;
        redis) echo "$REDIS_IMAGE" ;;
        *) die "no base image is called $1 (busybox, debian, postgres, redis)" ;;
    esac
}

# build_base NAME : from Debian's packages, unless the image there was made of the same files.
build_base() {
    local name=$1 image source
    local -a builder=(env)
    image=$(base_image "$name")
    source=$(cat "$BASE_SOURCES/$name"/* | sha256sum | cut -c1-12)
    [[ $(docker image inspect -f '{{index .Config.Labels "docker-test-base.source"}}' "$image" 2>/dev/null) != "$source" ]] ||
        return 0
    ensure_base_images debian || return 1
    say "making $image (about half a minute)"
    # Without its plugin the Docker CLI has the engine's own builder alone, and wants to be told.
    docker buildx version >/dev/null 2>&1 || builder+=(DOCKER_BUILDKIT=0)
    quietly timeout 600 "${builder[@]}" docker build --quiet --label "docker-test-base.source=$source" \
        --build-arg "BASE=$DEBIAN_IMAGE" --tag "$image" "$BASE_SOURCES/$name" || {
        complain "no $image: Debian's packages cannot be installed in a build here"
        return 1
    }
}

# import_base ARCHIVE IMAGE ENGINE-COMMAND… : for example `docker -H unix:///…`, or `podman`.
import_base() {
    local archive=$1 image=$2 shell=/bin/sh
    shift 2
    [[ $image != "$DEBIAN_IMAGE" ]] || shell=bash
    quietly "$@" import -c "CMD [\"$shell\"]" -c "ENV PATH=$BASE_PATH" "$archive" "$image" || {
        complain "could not import $image"
        return 1
    }
}

# Podman keeps short names under localhost/, but its Docker-compatible API looks under docker.io/.
load_into_podman() {
    local name image
    for name in "$@"; do
        image=$(base_image "$name")
        podman image exists "$image" || import_base "$(base_archive "$name")" "$image" podman || return 1
        podman tag "$image" "docker.io/$image" || return 1
    done
}

# Prints the path of the archive of a base, made first where it is not there yet.
base_archive() (
    mkdir -p "$CACHE"
    hold_lock "$CACHE/.base-$1.lock" 900
    "${1}_archive"
)

busybox_archive() {
    local busybox archive work applet
    busybox=$(static_busybox) || return 1
    archive="$CACHE/busybox-$(sha256sum "$busybox" | cut -c1-12).tar"
    if [[ ! -s $archive ]]; then
        work=$(mktemp -d "$CACHE/.busybox.XXXXXX")
        mkdir -p "$work"/{bin,usr,etc,root,home/tester,var/tmp,tmp,proc,sys,dev}
        cp "$busybox" "$work/bin/busybox"
        chmod 755 "$work/bin/busybox"
        for applet in $("$busybox" --list); do
            [[ -e $work/bin/$applet ]] || ln -s busybox "$work/bin/$applet"
        done
        ln -s bin "$work/sbin"
        ln -s ../bin "$work/usr/bin"
        ln -s ../bin "$work/usr/sbin"
        printf '%s\n' root:x:0:0:root:/root:/bin/sh tester:x:1000:1000:tester:/home/tester:/bin/sh \
            nobody:x:65534:65534:nobody:/:/bin/false >"$work/etc/passwd"
        printf '%s\n' root:x:0: tester:x:1000: nogroup:x:65534: >"$work/etc/group"
        chmod 755 "$work"
        chmod 1777 "$work/tmp" "$work/var/tmp"
        # The home belongs to its user; everything else to root, whoever makes this archive.
        tar --sort=name --mtime=@0 --numeric-owner --owner=0 --group=0 --exclude=./home/tester -C "$work" -cf "$archive.part" .
        tar --mtime=@0 --numeric-owner --owner=1000 --group=1000 -C "$work" -rf "$archive.part" ./home/tester
        mv "$archive.part" "$archive"
        rm -rf "$work"
    fi
    echo "$archive"
}

# A busybox that needs no shared library: the machine's own where it is one, else Debian's busybox-static.
static_busybox() {
    local path root
    path=$(command -v busybox) || path=''
    if [[ -n $path ]] && ! ldd "$path" >/dev/null 2>&1; then
        echo "$path"
        return 0
    fi
    root=$(unpack_package busybox-static) || return 1
    for path in "$root/bin/busybox" "$root/usr/bin/busybox"; do
        [[ ! -x $path ]] || {
            echo "$path"
            return 0
        }
    done
    return 1
}

debian_archive() {
    local archive settings work mirror
    local -a options
    settings=$(debian_apt_settings)
    archive="$CACHE/debian-$DEBIAN_SUITE-$(uname -m)-$(sha256sum <<<"$settings" | cut -c1-12).tar"
    [[ -z $(find "$archive" -mtime "+$DEBIAN_DAYS" 2>/dev/null) ]] || rm -f "$archive"
    if [[ ! -s $archive ]]; then
        can_be_root || {
            warn "making $DEBIAN_IMAGE needs root (debootstrap)"
            return 1
        }
        ensure_packages "to make a Debian base image" debootstrap debian-archive-keyring ca-certificates || return 1
        mirror=$(debian_mirror main)
        say "making $DEBIAN_IMAGE from $mirror (about half a minute, once)"
        work="$CACHE/.debian.work"
        unmount_below "$work"
        as_root rm -rf --one-file-system "$work"
        room_for_devices "$work" || return 1
        options=(--variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg)
        ! needs_certificates || options+=(--include=ca-certificates)
        if quietly as_root env ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
            timeout 600 debootstrap "${options[@]}" "$DEBIAN_SUITE" "$work" "$mirror" &&
            finish_debian "$work" "$settings"; then
            as_root tar --numeric-owner --one-file-system --exclude=./dev/* --exclude=./proc/* --exclude=./sys/* \
                -C "$work" -c . >"$archive.part" && mv "$archive.part" "$archive"
        fi
        unmount_below "$work"
        as_root rm -rf --one-file-system "$work"
        chmod 600 "$archive" 2>/dev/null || return 1
    fi
    echo "$archive"
}

# debootstrap makes device files and uses them; where the cache's file system forbids that, memory takes its place.
room_for_devices() {
    local work=$1
    mkdir -p "$work"
    if as_root mknod "$work/null" c 1 3 2>/dev/null && as_root sh -c ": >'$work/null'" 2>/dev/null; then
        as_root rm "$work/null"
        return 0
    fi
    as_root rm -f "$work/null"
    as_root mount -t tmpfs -o size=1g,mode=0755 docker-test "$work" || {
        warn "device files cannot be made in $work, nor can memory be mounted there"
        return 1
    }
}

# Makes it what the slim image of the official repository is: no documentation, no lists, and no later arrival of either.
finish_debian() {
    local work=$1 settings=$2 directory
    for directory in doc man locale info lintian; do
        as_root find "$work/usr/share/$directory" -mindepth 1 ! -name copyright -delete 2>/dev/null || true
    done
    as_root rm -rf "$work"/var/lib/apt/lists/* "$work"/var/cache/apt/*.bin "$work"/var/cache/apt/archives/*.deb "$work"/var/log/*.log
    as_root rm -f "$work/etc/apt/sources.list"
    as_root tee "$work/etc/apt/apt.conf.d/90docker-test" >/dev/null <<<"$(sed -n '/^Acquire/p' <<<"$settings")
Apt::AutoRemove::SuggestsImportant \"false\";
Apt::Install-Recommends \"false\";
DPkg::Post-Invoke { \"rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true\"; };"
    as_root tee "$work/etc/apt/sources.list" >/dev/null <<<"$(sed -n '/^deb /p' <<<"$settings")"
    as_root tee "$work/etc/dpkg/dpkg.cfg.d/docker-test" >/dev/null <<<'path-exclude /usr/share/doc/*
path-exclude /usr/share/man/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/info/*
path-include /usr/share/doc/*/copyright'
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$work/usr/sbin/policy-rc.d" >/dev/null
    as_root chmod 755 "$work/usr/sbin/policy-rc.d"
    if needs_certificates && compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
        as_root cp /usr/local/share/ca-certificates/*.crt "$work/usr/local/share/ca-certificates/"
        quietly as_root chroot "$work" update-ca-certificates
    fi
}

# What apt inside the base needs to reach what apt on this machine reaches: its mirrors, and its ways to them.
debian_apt_settings() {
    apt_config | sed -nE '/^Acquire::(http|https)::(Proxy|Timeout|Verify-Peer)|^Acquire::(Check-|ForceIPv|Retries|Max-FutureTime)/{/""/d;p}'
    [[ -z ${http_proxy:-} ]] || printf 'Acquire::http::Proxy "%s";\n' "$http_proxy"
    [[ -z ${https_proxy:-} ]] || printf 'Acquire::https::Proxy "%s";\n' "$https_proxy"
    echo "deb $(debian_mirror main) $DEBIAN_SUITE main"
    echo "deb $(debian_mirror main) $DEBIAN_SUITE-updates main"
    echo "deb $(debian_mirror security) $DEBIAN_SUITE-security main"
}

apt_config() { apt-config dump 2>/dev/null || true; }

# The machine's own mirror where the machine runs Debian, whichever release; the public one elsewhere.
debian_mirror() {
    local found='' repository
    if [[ -n ${FIXTURE_DEBIAN_MIRROR:-} ]]; then
        [[ $1 == main ]] && echo "$FIXTURE_DEBIAN_MIRROR" || echo "${FIXTURE_DEBIAN_MIRROR%/}-security"
        return 0
    fi
    if grep -qs '^ID=debian' /etc/os-release; then
        while read -r repository; do
            case $1/$repository in
                security/*-security | security/*-security/) found=$repository ;;
                main/*-security | main/*-security/) ;;
                main/*/debian | main/*/debian/) found=$repository ;;
            esac
            [[ -z $found ]] || break
        done < <(machine_repositories)
    fi
    case $1 in
        main) echo "${found:-http://deb.debian.org/debian}" ;;
        security) echo "${found:-http://deb.debian.org/debian-security}" ;;
    esac
}

machine_repositories() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -nE 's/^deb (\[[^]]*\] )?([^ ]+).*/\2/p'
    sed -nE 's/^URIs:[[:space:]]*([^ ]+).*/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null || true
}

needs_certificates() { grep -q https:// <<<"$(debian_apt_settings)"; }

# The last resort, where this is no Debian and nothing can be installed.
pull_base() {
    local image
    case $1 in
        busybox) image=busybox:1 ;;
        debian) image=debian:$DEBIAN_SUITE-slim ;;
    esac
    say "pulling $image instead"
    quietly timeout 180 docker pull "$image" && docker tag "$image" "$(base_image "$1")"
}
