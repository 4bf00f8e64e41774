# What the vendor's guide says: pull while the old version serves, then let Compose make the containers anew.
set -eu
sed -i "s/:$FROM\\b/:$TO/" compose.yaml
docker compose --progress quiet pull
docker compose --progress quiet up --detach --wait
