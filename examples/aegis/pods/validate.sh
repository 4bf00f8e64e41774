#!/bin/sh
# Whether the runtime serves, at the version of `.env`.
set -eu
cd "$(dirname "$0")"
. ./.env
said=$(curl --silent --show-error --fail --max-time 20 "http://127.0.0.1:$AEGIS_PORT/health")
case $said in
    *"\"version\":\"$AEGIS_IMAGE_TAG\""*) echo "valid: $said" ;;
    *) echo "$AEGIS_IMAGE_TAG should serve, and it says $said" >&2; exit 1 ;;
esac
