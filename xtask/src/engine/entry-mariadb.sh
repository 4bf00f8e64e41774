#!/bin/sh
# Makes the database at the first start: MYSQL_ROOT_PASSWORD, MYSQL_DATABASE, MYSQL_USER, MYSQL_PASSWORD; MARIADB_ is as good.
set -e
case ${1:-} in
  '' | -*) ;;
  mariadbd | mysqld) shift ;;
  *) exec "$@" ;;
esac
data=/var/lib/mysql
mkdir -p $data /run/mysqld
chown -R 998:998 $data /run/mysqld
set -- mariadbd --user=mysql --datadir=$data --bind-address=0.0.0.0 "$@"
[ ! -d $data/mysql ] || exec "$@"

text() { printf "'%s'" "$(printf %s "$1" | sed "s/[\\\\']/\\\\&/g")"; }
root=$(text "${MYSQL_ROOT_PASSWORD:-${MARIADB_ROOT_PASSWORD:-root}}")
database=${MYSQL_DATABASE:-$MARIADB_DATABASE} user=${MYSQL_USER:-$MARIADB_USER}
password=$(text "${MYSQL_PASSWORD:-$MARIADB_PASSWORD}")
mariadb-install-db --user=mysql --datadir=$data --auth-root-authentication-method=normal --skip-test-db >/dev/null
{
  # Of the machine's own name, and without a password: it would come before the one of everywhere.
  echo "DROP USER IF EXISTS root@'$(hostname)';"
  echo "ALTER USER root@localhost IDENTIFIED BY $root;"
  echo "CREATE USER root@'%' IDENTIFIED BY $root;"
  echo "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
  [ -z "$database" ] || echo "CREATE DATABASE \`$database\`;"
  [ -z "$user" ] || echo "CREATE USER $(text "$user")@'%' IDENTIFIED BY $password;"
  [ -z "$user" ] || [ -z "$database" ] || echo "GRANT ALL ON \`$database\`.* TO $(text "$user")@'%';"
} > /tmp/init.sql
chmod 644 /tmp/init.sql
exec "$@" --init-file=/tmp/init.sql
