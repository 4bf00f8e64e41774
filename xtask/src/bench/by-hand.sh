# The upgrade that the daemon makes, as a script would: the same steps in the same order, by git, pg_dump, restic, psql and
# curl. What is frozen is counted, and the backup read back and counted, as the daemon's are.
set -eu

sql() { psql -XqAt -v ON_ERROR_STOP=1 -d "$1" -c "$2"; }
count() {
    for table in $(sql "$1" "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public'"); do
        sql "$1" "SELECT '$table', count(*), sum(hashtextextended(t::text, 0)) FROM ONLY $table t"
    done > counted
}
save() {
    pg_dump -Fc -Z0 -d "$1" | restic backup --quiet --stdin --stdin-filename database.dump
    restic dump latest /database.dump > /dev/null
    count "$1"
}
answers() { curl --silent --show-error --fail --max-time 20 --output /dev/null "$@"; }
smoke() {
    url=http://127.0.0.1:$PORT
    answers $url/api/healthz
    answers -H "authorization: Bearer $DG_API_TOKEN" $url/api/v1/projections/health
    answers $url/console
    answers -H "authorization: Bearer $DG_ADMIN_TOKEN" -H 'content-type: application/json' -d '{"dry_run":true}' $url/api/v1/admin/replays
    answers -H "authorization: Bearer $DG_API_TOKEN" $url/api/v1/traces
    answers -H "authorization: Bearer $DG_API_TOKEN" $url/api/v1/workflows
}

cd "$HOME_OF_GRAPH"
smoke
git clone --quiet --bare "$REPOSITORY" repository.git
commit=$(git --git-dir=repository.git rev-parse "v$TO^{commit}")
mkdir "releases/$commit"
git --git-dir=repository.git archive "$commit" | tar -x -C "releases/$commit"
(cd "releases/$commit/beam" && "$MIX" deps.get && "$MIX" compile)
smoke

"$MIX" dg.service stop gate
"$MIX" dg.service stop runtime
sql postgres "ALTER DATABASE $DATABASE ALLOW_CONNECTIONS false"
sql postgres "CREATE DATABASE ${DATABASE}_up_hand TEMPLATE $DATABASE STRATEGY file_copy"
count "${DATABASE}_up_hand"
sql postgres "ALTER DATABASE $DATABASE ALLOW_CONNECTIONS true"
ln -sfn "releases/$commit" current
(cd current/beam && "$MIX" ecto.migrate && "$MIX" dg.service start runtime)
until answers "http://127.0.0.1:$PORT/api/healthz" 2> /dev/null; do sleep 0.05; done
smoke
"$MIX" dg.service start gate
save "${DATABASE}_up_hand"
