# fetch.sh SUITE KIND...: the packages of base images, in one go, since only one at a time may fetch.
apt_suite "$1"
shift
packages=
for kind in "$@"; do packages="$packages $(packages_of "$kind")"; done
# shellcheck disable=SC2086
apt-get -y -qq --download-only install $packages >/dev/null
