# fetch.sh SUITE KIND...: the packages of base images, and for each kind a list of them.
# What containers have no use for: what configures packages, and what a server can do without.
skip='^(perl|libperl|llvm|libllvm|libz3|systemd|libsystemd-shared|ssl-cert|adduser|debconf|init-system-helpers|dpkg|sysvinit|lsb-base|libicu-dev|python3|galera|rsync|socat|lsof|dbus|libdbi|libfcgi|libhtml|liburi-perl|libencode|libcgi|libclone|libterm|libtimedate|liblwp|libhttp|libio-html|libregexp|lib.*-perl$)'
suite=$1
shift
apt_suite "$suite"
# A list that is a day old may name packages that have been replaced.
[ -n "$(find "$KEEP/apt/$suite/updated" -mtime -1 2>/dev/null)" ] || update "$suite"
lists=()
for kind in "$@"; do
  list=$KEEP/apt/$suite/$kind.list
  # shellcheck disable=SC2046
  apt -s install $(packages_of "$kind") | awk '/^Inst/ { print $2 }' | sort -u | { grep -vE "$skip" || true; } > "$list"
  lists+=("$list")
done
cd "$KEEP/apt/$suite/cache/archives"
# shellcheck disable=SC2046
apt download -qq $(sort -u "${lists[@]}")
