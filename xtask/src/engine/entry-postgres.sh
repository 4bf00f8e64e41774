#!/bin/sh
# Makes the database at the first start: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB.
set -e
: "${PGDATA:=/var/lib/postgresql/data}"; export PGDATA
case ${1:-} in -*) set -- postgres "$@" ;; esac
if [ "$1" = postgres ] && [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /run/postgresql
  chown -R 999:999 "$PGDATA" /run/postgresql
  chmod 700 "$PGDATA"
  exec /usr/bin/setpriv --reuid=999 --regid=999 --clear-groups "$0" "$@"
fi
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
  user=${POSTGRES_USER:-postgres} database=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
  printf '%s\n' "${POSTGRES_PASSWORD:-postgres}" > /tmp/password
  initdb -U "$user" --pwfile=/tmp/password -A scram-sha-256 --locale=C -E UTF8 --no-sync >/dev/null
  rm /tmp/password
  printf 'local all all trust\n%s\nhost all all all scram-sha-256\n' "$(cat "$PGDATA/pg_hba.conf")" > /tmp/hba
  cat /tmp/hba > "$PGDATA/pg_hba.conf"
  echo "listen_addresses='*'" >> "$PGDATA/postgresql.conf"
  if [ "$database" != postgres ]; then
    pg_ctl -w -o "-c listen_addresses=''" start >/dev/null
    createdb -U "$user" "$database"
    pg_ctl -w stop >/dev/null
  fi
fi
exec "$@"
