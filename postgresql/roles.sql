-- Run once, when the database's volume is new: the service's role and its database, and Grafana's role that reads one view.
\set ON_ERROR_STOP on
\getenv desk_password DESK_DATABASE_PASSWORD
\getenv grafana_password GRAFANA_DATABASE_PASSWORD

-- The service owns its tables and nothing else.
CREATE ROLE loan_desk LOGIN PASSWORD :'desk_password';
CREATE DATABASE loan_desk OWNER loan_desk;

-- The migration lets loan_reader read v_decisions; who signs in as grafana is a member and gets that alone.
CREATE ROLE loan_reader NOLOGIN;
CREATE ROLE grafana LOGIN PASSWORD :'grafana_password' IN ROLE loan_reader CONNECTION LIMIT 20;
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';

REVOKE ALL ON DATABASE loan_desk FROM PUBLIC;
GRANT CONNECT ON DATABASE loan_desk TO loan_reader;
