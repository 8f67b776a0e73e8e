-- Arguments that cannot be right, sources that cannot be reached.
SET client_min_messages = warning;
\set VERBOSITY sqlstate
SELECT format('host=%s port=%s dbname=%s user=%s',
              coalesce(nullif(split_part(current_setting('unix_socket_directories'), ',', 1), ''), 'localhost'),
              current_setting('port'), current_database(), current_user) AS source \gset
CREATE SCHEMA source;
CREATE TABLE source.t (id integer PRIMARY KEY);
INSERT INTO source.t VALUES (1);
CREATE TABLE t (id integer PRIMARY KEY);

-- What must be given.
SELECT parallel_pull(NULL, 't', NULL, NULL);
SELECT parallel_pull('', 't', NULL, NULL);
SELECT parallel_pull(:'source', NULL, NULL, NULL);
SELECT parallel_pull_start(NULL, 't');
SELECT parallel_pull_create(:'source', NULL);

-- Values out of range.
SELECT parallel_pull(:'source', 't', NULL, NULL, source_table => 'source.t', workers => 0);
SELECT parallel_pull(:'source', 't', NULL, NULL, source_table => 'source.t', workers => -1);
SELECT parallel_pull(:'source', 't', NULL, NULL, source_table => 'source.t', format => 'csv');
SELECT parallel_pull(:'source', 't', NULL, NULL, source_table => 'source.t', columns => ARRAY['id', 'id']);
SELECT parallel_pull_start(:'source', 't', source_table => 'source.t', chunk_size => '0');
SELECT parallel_pull_start(:'source', 't', source_table => 'source.t', chunk_size => '-1 MB');
SELECT parallel_pull_start(:'source', 't', source_table => 'source.t', chunk_size => 'large');
SELECT parallel_pull_start(:'source', 't', source_table => 'source.t', workers => 100000);

-- Connections.
SELECT parallel_pull('host=localhost port=1 connect_timeout=2', 't', NULL, NULL);
SELECT parallel_pull('postgresql://localhost:1/postgres?connect_timeout=2', 't', NULL, NULL);
SELECT parallel_pull('host=/nowhere dbname=postgres', 't', NULL, NULL);
SELECT parallel_pull(:'source' || ' dbname=regress_no_such_database', 't', NULL, NULL);
SELECT parallel_pull(:'source' || ' user=regress_no_such_role', 't', NULL, NULL);
SELECT parallel_pull('hots=localhost', 't', NULL, NULL);
SELECT parallel_pull('host=localhost port', 't', NULL, NULL);
SELECT parallel_pull('host=localhost port=''5432', 't', NULL, NULL);
SELECT parallel_pull('postgresql://[::1/postgres', 't', NULL, NULL);
-- A password never shows in what is said about a wrong conninfo.
SET client_min_messages = notice;
\set VERBOSITY terse
DO $$
DECLARE
    dsn text;
    told text := '';
    part text;
BEGIN
    FOREACH dsn IN ARRAY ARRAY[
        'host=localhost port=1 connect_timeout=2 password=secret',
        'postgresql://alice:secret@localhost:1/postgres?connect_timeout=2',
        'host=localhost password=''secret',
        'password=secret hots=localhost',
        'postgresql://alice:secret@localhost:1:2/postgres']
    LOOP
        BEGIN
            PERFORM parallel_pull(dsn, 't', NULL, NULL);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS part = MESSAGE_TEXT;
            told := told || part;
            GET STACKED DIAGNOSTICS part = PG_EXCEPTION_DETAIL;
            told := told || part;
            GET STACKED DIAGNOSTICS part = PG_EXCEPTION_HINT;
            told := told || part;
        END;
    END LOOP;
    RAISE NOTICE 'errors told something: %, the password: %', told <> '', told LIKE '%secret%';
END $$;
SET client_min_messages = warning;
\set VERBOSITY sqlstate
-- After all these errors the next pull works.
SELECT parallel_pull(:'source', 't', NULL, NULL, source_table => 'source.t');
-- Nothing is left running after 5 seconds.
DO $$
BEGIN
    FOR i IN 1..50 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE 'parallel_loader%');
        PERFORM pg_sleep(0.1), pg_stat_clear_snapshot();
    END LOOP;
END $$;
SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'parallel_loader%';

DROP TABLE t;
SET client_min_messages = error;
DROP SCHEMA source CASCADE;
