#!/bin/sh
# Runs once, when the database is created: a role for the hub, which owns its schema, and one that only reads, for Grafana.
set -eu
psql -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname "${POSTGRES_DB:-metrics}" <<SQL
CREATE ROLE sysmon LOGIN PASSWORD '$(cat "${SECRETS:-/run/secrets}/postgres-sysmon")';
CREATE ROLE reader LOGIN PASSWORD '$(cat "${SECRETS:-/run/secrets}/postgres-reader")';
GRANT CREATE ON DATABASE "${POSTGRES_DB:-metrics}" TO sysmon;
ALTER DEFAULT PRIVILEGES FOR ROLE sysmon GRANT USAGE ON SCHEMAS TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE sysmon GRANT SELECT ON TABLES TO reader;
SQL
