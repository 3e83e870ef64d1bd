#!/bin/sh
# Installs the Debian packages of the named sections of packages.txt that are missing:
#   tools/install_packages.sh build test
# Silent when nothing is missing; never asks.  Uses sudo when not root.
set -eu
list=$(dirname "$0")/packages.txt

# Not Debian: the user's package manager has other names; CMake will say what is missing.
command -v dpkg-query >/dev/null 2>&1 || exit 0

wanted=$(awk -v sections=" $* " '
    { sub(/#.*/, ""); gsub(/[ \t]+/, "") }
    /^\[.*\]$/ { name = substr($0, 2, length($0) - 2); on = index(sections, " " name " "); next }
    on && $0 != "" { print }' "$list" | sort -u)

# shellcheck disable=SC2086  # a list of words
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
    awk '$2 == "installed" { print $1 }' || true)
missing=
for package in $wanted; do
    printf '%s\n' "$installed" | grep -qxF -- "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

run_as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1 || ! sudo -n true 2>/dev/null; then
        echo "install_packages: please install as root:$missing" >&2
        exit 1
    fi
    run_as_root="sudo -n"
fi
echo "install_packages: installing$missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT

install_missing()
{
    # shellcheck disable=SC2086
    $run_as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends $missing >"$log" 2>&1
}

# Old or empty lists: refresh them and try once more.
install_missing && exit 0
$run_as_root apt-get update -qq >"$log" 2>&1 || true
install_missing && exit 0
cat "$log" >&2
echo "install_packages: could not install$missing" >&2
exit 1
