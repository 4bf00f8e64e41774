#!/bin/sh
# Makes what the runtime needs in OpenBao. May be run again: what is there stays.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
test -s secrets/seal-key || { umask 077; head -c 32 /dev/urandom | base64 > secrets/seal-key; }
echo "secrets are bootstrapped"
