-- Creates the database, and the roles of its owner, the service and Grafana. Runs once, on a new volume.
\set ON_ERROR_STOP on
\getenv owner_password OWNER_DATABASE_PASSWORD
\getenv desk_password DESK_DATABASE_PASSWORD
\getenv grafana_password GRAFANA_DATABASE_PASSWORD

-- Owns the tables. Only `flask prepare` signs in as this role.
CREATE ROLE loan_owner LOGIN PASSWORD :'owner_password';
CREATE DATABASE loan_desk OWNER loan_owner ENCODING 'UTF8' TEMPLATE template0;

-- The migrations let loan_writer read and add rows and change users and API keys, and loan_reader read the views.
CREATE ROLE loan_writer NOLOGIN;
CREATE ROLE loan_desk LOGIN PASSWORD :'desk_password' IN ROLE loan_writer;
CREATE ROLE loan_reader NOLOGIN;
CREATE ROLE grafana LOGIN PASSWORD :'grafana_password' IN ROLE loan_reader CONNECTION LIMIT 20;
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
ALTER ROLE grafana SET idle_in_transaction_session_timeout = '30s';

REVOKE ALL ON DATABASE loan_desk FROM PUBLIC;
GRANT CONNECT ON DATABASE loan_desk TO loan_writer, loan_reader;

-- By default, every role may call these functions. They store large objects, write to the log of the database, keep a
-- session open for any time, and take the lock under which the migrations run.
\connect loan_desk
DO $$
DECLARE
    called regprocedure;
BEGIN
    FOR called IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace
          AND proname ~ '^(lo_|loread$|lowrite$|pg_logical_emit_message$|pg_sleep|pg_(try_)?advisory_)'
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', called);
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION pg_advisory_xact_lock(bigint) TO loan_owner;
-- Of two keys: the service needs them to decide, to record outcomes and to watch, and cannot take the lock of the
-- migrations by them. The owner may change the desk's switch too.
GRANT EXECUTE ON FUNCTION pg_advisory_xact_lock(int, int) TO loan_writer, loan_owner;
GRANT EXECUTE ON FUNCTION pg_advisory_xact_lock_shared(int, int), pg_try_advisory_lock(int, int), pg_advisory_unlock(int, int)
    TO loan_writer;
