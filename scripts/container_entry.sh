#!/bin/sh
# What a container runs: `recon` with the arguments. Settings that are secrets may lie in files instead of the
# environment, which `docker inspect` shows: /run/secrets/recon_database_url becomes RECON_DATABASE_URL, for the
# names below. The master key, and those that are accepted beside it, have settings of their own for their files.
set -eu
secrets=${SECRETS_DIR:-/run/secrets}
take() {
    if [ -f "$secrets/$2" ]; then
        value=$(cat "$secrets/$2")
        export "$1=$value"
    fi
}
take RECON_DATABASE_URL recon_database_url
take RECON_BROKER_URL recon_broker_url
take RECON_S3_ACCESS_KEY recon_s3_access_key
take RECON_S3_SECRET_KEY recon_s3_secret_key
if [ -f "$secrets/recon_master_key" ]; then
    export RECON_MASTER_KEY_FILE="$secrets/recon_master_key"
fi
if [ -f "$secrets/recon_accepted_master_keys" ]; then
    export RECON_ACCEPTED_MASTER_KEYS_FILE="$secrets/recon_accepted_master_keys"
fi
exec recon "$@"
