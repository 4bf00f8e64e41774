# Packages of one Debian suite beside the machine's own: nothing of what is installed changes. Comes before every script.
# KEEP is the engine's folder.

apt_suite() { # SUITE
  local root=$KEEP/apt/$1 mirror
  mirror=$(mirror)
  mkdir -p "$root"/{lists/partial,cache/archives/partial}
  touch "$root/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" > "$root/sources.list"
  cat > "$root/apt.conf" <<CONF
Dir::State "$root"; Dir::State::Lists "$root/lists"; Dir::State::status "$root/status"; Dir::Cache "$root/cache";
Dir::Etc::SourceList "$root/sources.list"; Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null"; Dir::Etc::PreferencesParts "/dev/null";
Acquire::Languages "none"; Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
APT::Sandbox::User "root"; APT::Install-Recommends "false";
CONF
  export APT_CONFIG=$root/apt.conf
}

# With its index of packages kept, which a container's own settings may forbid: each call would make it again.
apt() {
  apt-get -o Dir::Cache::pkgcache=pkgcache.bin -o Dir::Cache::srcpkgcache=srcpkgcache.bin "$@"
}

update() { # SUITE
  apt update -qq
  touch "$KEEP/apt/$1/updated"
}

# Each package whose file is named on the input, without what only people read. A folder that is a link stays one.
unpack_into() { # FOLDER
  xargs -P 2 -I{} bash -o pipefail -c 'dpkg --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink \
    --exclude=./usr/share/{doc,man,locale,info,lintian,bug,i18n}' unpack {} "$1"
}

# Where the machine itself gets Debian's packages from.
mirror() {
  local found
  found=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | grep -v security | head -n 1) || true
  [ -n "$found" ] || found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    grep -oE '^deb +(\[[^]]*\] +)?[^ ]+/debian/? ' | awk '{print $NF}' | head -n 1) || true
  [ -n "$found" ] || { echo "no Debian mirror in this machine's package sources" >&2; return 1; }
  echo "$found"
}

packages_of() { # KIND of a base image
  case $1 in
    postgres) echo postgresql-15 postgresql-client-15 ;;
    postgres17) echo postgresql-17 postgresql-client-17 ;;
    mariadb | mariadb11) echo mariadb-server mariadb-client mariadb-backup ;;
    mysql) echo mysql-server ;;
    nginx) echo nginx ;;
    busybox) echo busybox-static ;;
    *) echo "no base image is called \`$1\`" >&2; return 1 ;;
  esac
}
