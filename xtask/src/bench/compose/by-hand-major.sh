# What the manual says: everything that the old server holds, into an empty new one. OLD and NEW are containers. The role
# and the database that the new image made itself are there already, which `psql` reports and goes on.
set -euo pipefail
docker exec "$OLD" pg_dumpall --username=major |
  docker exec --interactive "$NEW" psql --no-psqlrc --quiet --username=major --dbname=postgres >/dev/null
