-- Who may pull what from where. The server under test is its own source; nobody but a superuser can
-- log in to it without a password, so what users are allowed to do ends at the connection here.
SET client_min_messages = warning;
\set VERBOSITY sqlstate
SELECT format('host=%s port=%s dbname=%s user=%s',
              coalesce(nullif(split_part(current_setting('unix_socket_directories'), ',', 1), ''), 'localhost'),
              current_setting('port'), current_database(), current_user) AS source \gset
\set nowhere 'host=localhost port=1 connect_timeout=2 password=secret'
CREATE ROLE regress_pull_alice;
CREATE ROLE regress_pull_bob;
CREATE SCHEMA source;
CREATE TABLE source.t (id integer PRIMARY KEY, v text);
INSERT INTO source.t SELECT i, 'v' || i FROM generate_series(1, 10) AS i;
CREATE TABLE t (id integer PRIMARY KEY, v text);
CREATE TABLE watched (id integer PRIMARY KEY, v text);
ALTER TABLE watched ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON watched USING (v = current_user);
GRANT SELECT, INSERT ON watched TO regress_pull_alice;

-- The functions are closed until they are granted.
SET ROLE regress_pull_alice;
SELECT parallel_pull(:'nowhere', 't', NULL, NULL);
SELECT parallel_pull_start(:'nowhere', 't');
SELECT parallel_pull_create(:'nowhere', 't');
SELECT parallel_pull_wait(1);
SELECT parallel_pull_cancel(1);
SELECT parallel_pull_work(1);
RESET ROLE;
SELECT format('GRANT EXECUTE ON FUNCTION %s TO regress_pull_alice, regress_pull_bob',
              string_agg(oid::regprocedure::text, ', ')) AS grant
FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'parallel\_pull%' \gset
:grant;

-- INSERT on the table, or on the columns that travel.
SET ROLE regress_pull_alice;
SELECT parallel_pull(:'nowhere', 't', NULL, NULL);
RESET ROLE;
GRANT SELECT, UPDATE, DELETE ON t TO regress_pull_alice;
SET ROLE regress_pull_alice;
SELECT parallel_pull(:'nowhere', 't', NULL, NULL);
RESET ROLE;
GRANT INSERT (id) ON t TO regress_pull_alice;
SET ROLE regress_pull_alice;
SELECT parallel_pull(:'nowhere', 't', NULL, NULL, columns => '{id}');
-- Row security that applies to the caller.
SELECT parallel_pull(:'nowhere', 'watched', NULL, NULL);
-- Catalogues, and the ledger itself.
SELECT parallel_pull(:'nowhere', 'pg_class', NULL, NULL);
SELECT parallel_pull(:'nowhere', 'parallel_loader.pull', NULL, NULL);

-- A user's conninfo must carry the password, and nothing that reads the server's own files.
SELECT parallel_pull('host=localhost port=1', 't', NULL, NULL, columns => '{id}');
SELECT parallel_pull('host=localhost port=1 password=''''', 't', NULL, NULL, columns => '{id}');
SELECT parallel_pull(:'nowhere' || ' passfile=/etc/passwd', 't', NULL, NULL, columns => '{id}');
SELECT parallel_pull(:'nowhere' || ' service=prod', 't', NULL, NULL, columns => '{id}');
SELECT parallel_pull(:'nowhere' || ' sslkey=/etc/passwd', 't', NULL, NULL, columns => '{id}');
SELECT parallel_pull(:'nowhere' || ' sslcert=/etc/passwd', 't', NULL, NULL, columns => '{id}');
SELECT parallel_pull(:'nowhere' || ' options=-cwork_mem=1MB', 't', NULL, NULL, columns => '{id}');
SELECT parallel_pull(:'nowhere' || ' replication=true', 't', NULL, NULL, columns => '{id}');
SELECT parallel_pull(:'nowhere' || ' client_encoding=LATIN1', 't', NULL, NULL, columns => '{id}');
SELECT parallel_pull('postgresql://alice:secret@localhost:1/db?passfile=/etc/passwd', 't', NULL, NULL, columns => '{id}');
SELECT parallel_pull('postgresql://alice:secret@localhost:1/db?connect_timeout=2', 't', NULL, NULL, columns => '{id}');
-- A server that lets anybody in as a superuser would be a way around all rights.
SELECT parallel_pull(:'source' || ' password=unused', 't', NULL, NULL, columns => '{id}', source_table => 'source.t');
RESET ROLE;

-- Foreign servers: USAGE, a user mapping, and the same rules for its options.
CREATE SERVER loopback FOREIGN DATA WRAPPER dblink_fdw;
CREATE SERVER nowhere FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host 'localhost', port '1', connect_timeout '2');
CREATE FOREIGN DATA WRAPPER other;
CREATE SERVER other FOREIGN DATA WRAPPER other;
DO $$
BEGIN
    EXECUTE format('ALTER SERVER loopback OPTIONS (ADD host %L, ADD port %L, ADD dbname %L)',
        coalesce(nullif(split_part(current_setting('unix_socket_directories'), ',', 1), ''), 'localhost'),
        current_setting('port'), current_database());
    EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER loopback OPTIONS (user %L)', current_user);
END $$;
CREATE USER MAPPING FOR regress_pull_alice SERVER nowhere OPTIONS (user 'alice', password 'secret');
CREATE USER MAPPING FOR PUBLIC SERVER loopback;
CREATE USER MAPPING FOR PUBLIC SERVER other;
SELECT parallel_pull('loopback', 't', NULL, NULL, source_table => 'source.t');
SELECT source, state FROM parallel_pulls ORDER BY pull_id DESC LIMIT 1;
TRUNCATE t;
SELECT parallel_pull('other', 't', NULL, NULL);
SELECT parallel_pull('no_such_server', 't', NULL, NULL);
SELECT parallel_pull('nowhere', 't', NULL, NULL);
SET ROLE regress_pull_alice;
SELECT parallel_pull('nowhere', 't', NULL, NULL, columns => '{id}');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER nowhere, loopback TO regress_pull_alice;
SET ROLE regress_pull_alice;
SELECT parallel_pull('nowhere', 't', NULL, NULL, columns => '{id}');
SELECT parallel_pull('loopback', 't', NULL, NULL, columns => '{id}');
RESET ROLE;
SELECT count(*) FROM t;

-- A user sees and cancels own pulls alone, a superuser all; nobody reads or writes the ledger.
SELECT parallel_pull_create(:'source', 't', source_table => 'source.t') AS pull \gset
SET ROLE regress_pull_bob;
SELECT count(*) FROM parallel_pulls;
SELECT count(*) FROM parallel_pull_chunks;
SELECT parallel_pull_cancel(:pull);
SELECT parallel_pull_wait(:pull);
SELECT parallel_pull_work(:pull);
SELECT count(*) FROM parallel_loader.pull;
UPDATE parallel_loader.chunk SET state = 'done';
DELETE FROM parallel_pulls;
RESET ROLE;
SET ROLE regress_pull_alice;
SELECT count(*) > 0 AS has_own, bool_and(owner::text = current_user) AS only_own FROM parallel_pulls;
RESET ROLE;
SELECT parallel_pull_cancel(:pull);
SELECT parallel_pull_wait(:pull);
SELECT count(*) FROM parallel_pulls WHERE source LIKE '%secret%' OR error LIKE '%secret%';

DROP USER MAPPING FOR PUBLIC SERVER loopback;
DROP USER MAPPING FOR PUBLIC SERVER other;
DROP USER MAPPING FOR CURRENT_USER SERVER loopback;
DROP USER MAPPING FOR regress_pull_alice SERVER nowhere;
DROP SERVER loopback;
DROP SERVER nowhere;
DROP SERVER other;
DROP FOREIGN DATA WRAPPER other;
DROP TABLE t, watched;
DROP OWNED BY regress_pull_alice, regress_pull_bob;
DROP ROLE regress_pull_alice, regress_pull_bob;
-- The pulls of a role that is gone stay readable, to superusers.
SELECT count(*) > 0 AS are_there FROM parallel_pulls WHERE source = 'nowhere';
SET client_min_messages = error;
DROP SCHEMA source CASCADE;
