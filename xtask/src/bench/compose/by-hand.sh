# The published way: down, the new tags, pull, up, wait. FROM and TO are versions.
set -eu
docker compose --progress quiet down
sed -i "s/:$FROM\\b/:$TO/" compose.yaml
docker compose --progress quiet pull
docker compose --progress quiet up --detach --wait
