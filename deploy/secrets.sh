#!/bin/sh
# Makes the secrets that docker-compose.yml reads, each random, in deploy/secrets. What exists is kept.
set -eu
cd "$(dirname "$0")"

# The containers run as users of their own, so the files are readable; the folder keeps everybody else out.
umask 022
mkdir -p secrets
chmod 0700 secrets
printf '*\n' >secrets/.gitignore

random() {
    od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n'
}

keep() {
    [ -s "secrets/$1" ] || printf '%s' "$2" >"secrets/$1"
}

address() {
    printf 'postgresql://%s:%s@postgres:5432/modelnotary' "$1" "$2"
}

for name in postgres_password migrator_password broker_password secret_key; do
    keep "$name" "$(random)"
done
keep token_pepper "1:$(random)"
keep broker_url "redis://:$(cat secrets/broker_password)@valkey:6379/0"
keep migration_database_url "$(address mn_migrator "$(cat secrets/migrator_password)")"
keep database_url "$(address mn_app "$(random)")"
for role in auditor sequencer signer archiver; do
    keep "${role}_database_url" "$(address "mn_$role" "$(random)")"
done
