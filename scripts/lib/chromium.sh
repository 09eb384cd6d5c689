# shellcheck shell=bash
# Chromium, in which the HTML report is opened and operated. Needs output.sh and apt.sh.

# Without a font no text has a width, and a filter that hides everything looks like one that works.
CHROMIUM_PACKAGES=(chromium fonts-dejavu-core)

ensure_chromium() {
    have chromium && return 0
    ensure_packages "to open the HTML report" "${CHROMIUM_PACKAGES[@]}" && have chromium
}
