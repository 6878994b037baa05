#!/bin/sh
# Run once by the postgres image on an empty volume: the role that migrates, and its database.
set -eu

psql --set ON_ERROR_STOP=1 --no-psqlrc --username postgres --dbname postgres <<'SQL'
\set password `cat "${MIGRATOR_PASSWORD_FILE:-/run/secrets/migrator_password}"`
CREATE ROLE mn_migrator LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE modelnotary OWNER mn_migrator;
SQL
