-- A role that loads into a migrated openIMIS database, and does nothing else. Run it once with psql, connected to the target database as
-- a superuser (or as somebody who may make roles and is a member of the owner's role):
--
--   psql -d openimis -v owner=openimis -v role=imis_loader -f loading-role.sql
--
-- `owner` is the role that owns openIMIS' tables, the one that the backend logs in with. Give the new role a password afterwards:
--
--   \password imis_loader
--
-- After the migration take it away again: REVOKE CREATE ON DATABASE openimis FROM imis_loader; DROP OWNED BY imis_loader; DROP ROLE
-- imis_loader. Undo needs schema imis_migration, so first be sure that you keep the migration.
\set ON_ERROR_STOP on
BEGIN;

CREATE ROLE :"role" LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 32;

-- Foreign keys and indexes are dropped and put back, sequences are set, tables analysed: PostgreSQL lets only a table's owner do that, so the
-- role becomes a member of the owner. That is more than loading needs, and no right by itself is less.
GRANT :"owner" TO :"role";

-- Schema imis_migration: the state of the run, by which it is resumed and undone.
SELECT format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO %I', current_database(), :'role') \gexec

-- To see who else is connected. Without it, sessions of other roles would not be noticed.
GRANT pg_read_all_stats TO :"role";

-- A load waits for no lock and keeps none for ever; a statement may take as long as it takes.
ALTER ROLE :"role" SET statement_timeout = 0;
ALTER ROLE :"role" SET lock_timeout = '60s';
ALTER ROLE :"role" SET idle_in_transaction_session_timeout = 0;

COMMIT;
