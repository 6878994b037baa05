#!/bin/sh
# Brings database, roles, keys and the first administrator up to date, then hands each process the keys it works with.
set -eu

DJANGO_DATABASE_ROLE=migrator python manage.py migrate --no-input
DJANGO_DATABASE_ROLE=migrator python manage.py roles_apply
python manage.py keys_create
python manage.py admin_create

hand() {
    to=$1
    shift
    for key in "$@"; do
        install -m 0400 "$NOTARY_HOME/keys/$key" "$to/$key"
    done
}
# Also the keys of rotations, and second keys.
hand "${KEYS_SIGNER:-/keys/signer}" $(cd "$NOTARY_HOME/keys" && ls lineage*.key access*.key)
hand "${KEYS_WEB:-/keys/web}" decision.key
hand "${KEYS_WORKER:-/keys/worker}" decision.key report-root.pem report-signer.pem report-signer.key
