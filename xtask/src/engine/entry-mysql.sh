#!/bin/sh
# Makes the database at the first start: MYSQL_ROOT_PASSWORD, MYSQL_DATABASE, MYSQL_USER, MYSQL_PASSWORD.
set -e
case ${1:-} in
  '' | -*) ;;
  mysqld) shift ;;
  *) exec "$@" ;;
esac
data=/var/lib/mysql
mkdir -p $data /run/mysqld
chown -R 998:998 $data /run/mysqld
set -- mysqld --user=mysql --datadir=$data --secure-file-priv=NULL "$@"
[ ! -d $data/mysql ] || exec "$@"

text() { printf "'%s'" "$(printf %s "$1" | sed "s/[\\\\']/\\\\&/g")"; }
root=$(text "${MYSQL_ROOT_PASSWORD:-root}")
mysqld --initialize-insecure --user=mysql --datadir=$data --secure-file-priv=NULL
{
  echo "ALTER USER root@localhost IDENTIFIED BY $root;"
  echo "CREATE USER root@'%' IDENTIFIED BY $root;"
  echo "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
  [ -z "$MYSQL_DATABASE" ] || echo "CREATE DATABASE \`$MYSQL_DATABASE\`;"
  [ -z "$MYSQL_USER" ] || echo "CREATE USER $(text "$MYSQL_USER")@'%' IDENTIFIED BY $(text "$MYSQL_PASSWORD");"
  [ -z "$MYSQL_USER" ] || [ -z "$MYSQL_DATABASE" ] || echo "GRANT ALL ON \`$MYSQL_DATABASE\`.* TO $(text "$MYSQL_USER")@'%';"
} > /tmp/init.sql
chmod 644 /tmp/init.sql
exec "$@" --init-file=/tmp/init.sql
