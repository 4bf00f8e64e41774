# image.sh SUITE KIND REFERENCE RECIPE: a server's image out of Debian's packages, imported as REFERENCE.
# Needs unpack.sh (busybox and setpriv in KEEP/base) and fetch.sh; ENTRY is the text of its entry script.
suite=$1 kind=$2 reference=$3 recipe=$4
R=$KEEP/trees/$kind
trap 'rm -rf "$R"' EXIT
rm -rf "$R"
mkdir -p "$R"/{tmp,proc,sys,dev,run,root,etc,var/lib,usr/bin,usr/sbin,usr/lib,usr/lib64}
chmod 1777 "$R/tmp"
for d in bin sbin lib lib64; do ln -s "usr/$d" "$R/$d"; done
ln -s /run "$R/var/run"

archives=$KEEP/apt/$suite/cache/archives
while read -r package; do ls "$archives/${package%%:*}"_*.deb; done < "$KEEP/apt/$suite/$kind.list" | unpack_into "$R"
rm -rf "$R"/usr/lib/postgresql/*/lib/{bitcode,llvmjit*}
# Each is 5 MB, for the repair of files and the like.
rm -f "$R"/usr/bin/{aria,myisam}* \
  "$R"/usr/bin/{innochecksum,perror,replace,resolve_stack_dump} \
  "$R"/usr/bin/mariadb{-conv,-slap,-import,-show,-plugin,-waitpid,d-safe-helper}

[ -e "$R/usr/bin/busybox" ] || cp "$KEEP/base/bin/busybox" "$R/usr/bin/"
# What is there stays, which it says of each.
chroot "$R" /usr/bin/busybox --install -s /usr/bin 2>/dev/null || true
[ -L "$R/usr/bin/wc" ] || [ -e "$R/usr/bin/wc" ] || { echo "busybox has no programs" >&2; exit 1; }
case $kind in postgres*) # busybox's own can't change the user
  rm -f "$R/usr/bin/setpriv"
  cp "$KEEP/base/usr/bin/setpriv" "$R/usr/bin/"
  (cd "$KEEP/base" && find . -name 'libcap-ng.so*' | tar -c -T -) | tar -x -C "$R/usr" --transform 's,^\./usr/,./,' ;;
esac

printf '%s\n' root:x:0:0:root:/root:/bin/sh nobody:x:65534:65534::/:/bin/sh www-data:x:33:33::/:/bin/sh \
  postgres:x:999:999::/var/lib/postgresql:/bin/sh mysql:x:998:998::/var/lib/mysql:/bin/sh > "$R/etc/passwd"
printf '%s\n' root:x:0: nogroup:x:65534: www-data:x:33: postgres:x:999: mysql:x:998: > "$R/etc/group"

postgres=$(cd "$R" && ls -d usr/lib/postgresql/*/bin 2>/dev/null) || true
set -- --change "ENV PATH=${postgres:+/$postgres:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
case $kind in
  postgres*) set -- "$@" --change 'CMD ["postgres"]' --change 'VOLUME /var/lib/postgresql/data' --change 'EXPOSE 5432' ;;
  mariadb*) set -- "$@" --change 'CMD ["mariadbd"]' --change 'VOLUME /var/lib/mysql' --change 'EXPOSE 3306' ;;
  mysql) set -- "$@" --change 'CMD ["mysqld"]' --change 'VOLUME /var/lib/mysql' --change 'EXPOSE 3306' ;;
  nginx)
    mkdir -p "$R"/var/log/nginx "$R"/var/lib/nginx "$R"/etc/nginx/conf.d
    cat > "$R/etc/nginx/nginx.conf" <<'CONF'
user www-data; worker_processes 1; error_log /dev/stderr; pid /run/nginx.pid;
events {}
http {
  include mime.types; access_log /dev/stdout;
  include conf.d/*.conf;
  server { listen 80 default_server; root /usr/share/nginx/html; }
}
CONF
    set -- "$@" --change 'CMD ["nginx","-g","daemon off;"]' --change 'EXPOSE 80' ;;
  busybox) set -- "$@" --change 'CMD ["sh"]' ;;
esac
if [ -n "$ENTRY" ]; then
  printf '%s' "$ENTRY" > "$R/entry.sh"
  chmod 755 "$R/entry.sh"
  set -- --change 'ENTRYPOINT ["/entry.sh"]' "$@"
fi
tar -C "$R" -c --numeric-owner --sort=name . |
  docker import "$@" --change "LABEL upgraded.recipe=$recipe" - "$reference" >/dev/null
