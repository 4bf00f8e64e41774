# The published way: the new version, pulled while the old one serves, then Compose makes both replicas anew.
set -eu
sed -i "s/^VERSION=.*/VERSION=$TO/" .env
docker compose --progress quiet pull --quiet
docker compose --progress quiet up --detach --wait
