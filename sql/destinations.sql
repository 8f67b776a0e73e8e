-- What can be pulled into, and how rows are written: as COPY writes them, as the caller.
SET client_min_messages = warning;
\set VERBOSITY sqlstate
SELECT format('host=%s port=%s dbname=%s user=%s',
              coalesce(nullif(split_part(current_setting('unix_socket_directories'), ',', 1), ''), 'localhost'),
              current_setting('port'), current_database(), current_user) AS source \gset
CREATE SCHEMA source;
CREATE TABLE source.t (id integer PRIMARY KEY, v text);
INSERT INTO source.t SELECT i, 'v' || i FROM generate_series(1, 100) AS i;
CREATE TABLE t (id integer PRIMARY KEY, v text);

-- Refused before any connection is made: nothing listens at this address.
\set nowhere 'host=localhost port=1 connect_timeout=2'
CREATE VIEW a_view AS SELECT * FROM t;
CREATE MATERIALIZED VIEW a_matview AS SELECT * FROM t;
CREATE SEQUENCE a_sequence;
CREATE TEMPORARY TABLE a_temporary (LIKE t);
CREATE SERVER a_server FOREIGN DATA WRAPPER dblink_fdw;
CREATE FOREIGN TABLE a_foreign_table (id integer, v text) SERVER a_server;
SELECT parallel_pull(:'nowhere', 'a_view', NULL, NULL, source_table => 'source.t');
SELECT parallel_pull(:'nowhere', 'a_matview', NULL, NULL, source_table => 'source.t');
SELECT parallel_pull(:'nowhere', 'a_foreign_table', NULL, NULL, source_table => 'source.t');
SELECT parallel_pull(:'nowhere', 'a_sequence', NULL, NULL, source_table => 'source.t');
SELECT parallel_pull(:'nowhere', 't_pkey', NULL, NULL, source_table => 'source.t');
SELECT parallel_pull(:'nowhere', 'pg_class', NULL, NULL);
SELECT parallel_pull(:'nowhere', 'pg_catalog.pg_proc', NULL, NULL);
SELECT parallel_pull(:'nowhere', 'information_schema.tables', NULL, NULL);
SELECT parallel_pull(:'nowhere', 'a_temporary', NULL, NULL, source_table => 'source.t');
SELECT parallel_pull(:'nowhere', 'missing', NULL, NULL, source_table => 'source.t');
SELECT parallel_pull(:'nowhere', 2147483647::oid::regclass, NULL, NULL, source_table => 'source.t');
BEGIN READ ONLY;
SELECT parallel_pull(:'nowhere', 't', NULL, NULL, source_table => 'source.t');
ROLLBACK;
-- The same for a pull that is only started or planned.
SELECT parallel_pull_start(:'nowhere', 'a_view');
SELECT parallel_pull_create(:'nowhere', 'pg_class');
-- A sound table gets as far as the connection.
SELECT parallel_pull(:'nowhere', 't', NULL, NULL, source_table => 'source.t');

-- A table that the caller's own transaction has locked, created, emptied or altered would make the
-- workers wait for the caller, who waits for them.
BEGIN;
TRUNCATE t;
SELECT parallel_pull(:'source', 't', NULL, NULL, source_table => 'source.t');
ROLLBACK;
BEGIN;
LOCK TABLE t IN SHARE MODE;
SELECT parallel_pull(:'source', 't', NULL, NULL, source_table => 'source.t');
ROLLBACK;
BEGIN;
ALTER TABLE t ADD COLUMN w integer;
SELECT parallel_pull(:'source', 't', NULL, NULL, source_table => 'source.t');
ROLLBACK;
BEGIN;
CREATE TABLE fresh (id integer, v text);
SELECT parallel_pull(:'source', 'fresh', NULL, NULL, source_table => 'source.t');
ROLLBACK;
-- The same for what the workers need beside the table: its partitions, the tables that its foreign
-- keys point to.
CREATE TABLE split (id integer, v text) PARTITION BY RANGE (id);
CREATE TABLE split_all PARTITION OF split DEFAULT;
BEGIN;
TRUNCATE split_all;
SELECT parallel_pull(:'source', 'split', NULL, NULL, source_table => 'source.t');
ROLLBACK;
DROP TABLE split;
CREATE TABLE pointed (id integer PRIMARY KEY);
CREATE TABLE pointing (id integer REFERENCES pointed, v text);
BEGIN;
LOCK TABLE pointed;
SELECT parallel_pull(:'source', 'pointing', NULL, NULL, source_table => 'source.t');
ROLLBACK;
DROP TABLE pointing, pointed;
-- Reading and writing it do no harm.
BEGIN;
SELECT count(*) FROM t;
INSERT INTO t VALUES (1000, 'mine');
SELECT parallel_pull(:'source', 't', 1, 11, source_table => 'source.t');
-- The workers' transactions are their own: this ROLLBACK undoes the INSERT alone.
ROLLBACK;
SELECT count(*), max(id) FROM t;
TRUNCATE t;

-- Constraints hold, and a chunk that breaks one leaves no row.
INSERT INTO t VALUES (50, 'in the way');
SELECT parallel_pull(:'source', 't', 1, 101, source_table => 'source.t', workers => 1);
SELECT count(*) < 100 AS is_incomplete, count(DISTINCT id) = count(*) AS no_doubles FROM t;
SELECT state, sqlstate FROM parallel_pulls ORDER BY pull_id DESC LIMIT 1;
TRUNCATE t;
ALTER TABLE t ADD CHECK (id <> 77);
SELECT parallel_pull(:'source', 't', 77, 78, source_table => 'source.t');
ALTER TABLE t DROP CONSTRAINT t_id_check;
CREATE TABLE parent (id integer PRIMARY KEY);
INSERT INTO parent SELECT generate_series(1, 99);
ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES parent;
SELECT parallel_pull(:'source', 't', 100, NULL, source_table => 'source.t');
SELECT parallel_pull(:'source', 't', 99, 100, source_table => 'source.t');
ALTER TABLE t DROP CONSTRAINT t_id_fkey;
ALTER TABLE t ALTER COLUMN v SET NOT NULL;
SELECT parallel_pull(:'source', 't', 1, 11, source_table => 'source.t', columns => '{id}');
ALTER TABLE t ALTER COLUMN v DROP NOT NULL;
ALTER TABLE t ADD EXCLUDE (v WITH =);
INSERT INTO t VALUES (-1, 'v5');
SELECT parallel_pull(:'source', 't', 5, 6, source_table => 'source.t');
ALTER TABLE t DROP CONSTRAINT t_v_excl;
SELECT id FROM t ORDER BY id;
TRUNCATE t;

-- Triggers fire, as the caller. Rows that a trigger suppresses are not counted.
CREATE TABLE seen (id integer, who name);
CREATE FUNCTION on_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.id = 3 THEN
        RETURN NULL;
    ELSIF NEW.id = 30 THEN
        RAISE EXCEPTION 'no thirty';
    END IF;
    INSERT INTO public.seen VALUES (NEW.id, current_user);
    NEW.v := upper(NEW.v);
    RETURN NEW;
END $$;
CREATE TRIGGER on_row BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION on_row();
SELECT parallel_pull(:'source', 't', 1, 6, source_table => 'source.t');
SELECT * FROM t ORDER BY id;
SELECT count(*), bool_and(who = current_user) AS as_caller FROM seen;
SELECT parallel_pull(:'source', 't', 30, 31, source_table => 'source.t');
DROP TRIGGER on_row ON t;
TRUNCATE t, seen;
CREATE FUNCTION on_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.seen SELECT id, current_user FROM fresh;
    RETURN NULL;
END $$;
CREATE TRIGGER on_statement AFTER INSERT ON t REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION on_statement();
SELECT parallel_pull(:'source', 't', NULL, NULL, source_table => 'source.t');
SELECT count(*), count(DISTINCT id) FROM seen;
DROP TRIGGER on_statement ON t;
TRUNCATE t;

-- Indexes are kept.
CREATE INDEX t_v ON t (v);
SELECT parallel_pull(:'source', 't', NULL, NULL, source_table => 'source.t');
SET enable_seqscan = off;
SELECT id FROM t WHERE v = 'v42';
RESET enable_seqscan;

-- A partitioned table, by a partition, and rows that fit none.
CREATE TABLE parted (id integer, v text) PARTITION BY HASH (v);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
SELECT parallel_pull(:'source', 'parted', NULL, NULL, source_table => 'source.t');
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT parallel_pull(:'source', 'parted', NULL, NULL, source_table => 'source.t');
SELECT count(*), count(DISTINCT tableoid) FROM parted;
TRUNCATE parted;
SELECT parallel_pull(:'source', 'parted_0', NULL, NULL, source_table => 'source.t');
CREATE UNLOGGED TABLE unlogged (id integer, v text);
SELECT parallel_pull(:'source', 'unlogged', NULL, NULL, source_table => 'source.t');

DROP VIEW a_view;
DROP MATERIALIZED VIEW a_matview;
DROP SEQUENCE a_sequence;
DROP FOREIGN TABLE a_foreign_table;
DROP SERVER a_server;
DROP TABLE t, parent, seen, parted, unlogged, a_temporary;
DROP FUNCTION on_row, on_statement;
SET client_min_messages = error;
DROP SCHEMA source CASCADE;
