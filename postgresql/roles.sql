-- Creates the service's role and database, and Grafana's role, which can read one view. Runs once, on a new volume.
\set ON_ERROR_STOP on
\getenv desk_password DESK_DATABASE_PASSWORD
\getenv grafana_password GRAFANA_DATABASE_PASSWORD

-- The service owns its tables and nothing else.
CREATE ROLE loan_desk LOGIN PASSWORD :'desk_password';
CREATE DATABASE loan_desk OWNER loan_desk;

-- The migration lets loan_reader read v_decisions. grafana is a member and has no other rights.
CREATE ROLE loan_reader NOLOGIN;
CREATE ROLE grafana LOGIN PASSWORD :'grafana_password' IN ROLE loan_reader CONNECTION LIMIT 20;
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';

REVOKE ALL ON DATABASE loan_desk FROM PUBLIC;
GRANT CONNECT ON DATABASE loan_desk TO loan_reader;
