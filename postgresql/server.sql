-- For a server that serves Loan Desk alone. In these databases, every role that can connect may call the functions that
-- roles.sql revokes in the database loan_desk. Afterwards only superusers can connect to them.
\set ON_ERROR_STOP on
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
