/* parallel_loader 0.3 to 0.4 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION parallel_loader UPDATE TO '0.4'" to load this file. \quit

-- All locks at once, in the order in which those who read the views take them: views, then pull,
-- chunk and mark.  Chunks that are being moved are waited for, others wait for this transaction.  An
-- append goes from its chunk to its pull: where it meets us between the two, the locks are given back
-- and taken anew before it would find the deadlock.
DO $do$
DECLARE
    patience text := pg_catalog.current_setting('deadlock_timeout'::text);
    attempt integer := 0;
BEGIN
    PERFORM pg_catalog.set_config('deadlock_timeout'::text, '50ms'::text, true);
    LOOP
        attempt := attempt + 1;
        BEGIN
            ALTER VIEW @extschema@.parallel_pull_progress SET (security_barrier);
            ALTER VIEW @extschema@.parallel_pull_chunks SET (security_barrier);
            ALTER VIEW @extschema@.parallel_pulls SET (security_barrier);
            LOCK TABLE parallel_loader.pull IN ACCESS EXCLUSIVE MODE;
            LOCK TABLE parallel_loader.chunk IN ACCESS EXCLUSIVE MODE;
            LOCK TABLE parallel_loader.mark IN ACCESS EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN deadlock_detected THEN
            IF attempt = 100 THEN
                RAISE;
            END IF;
            PERFORM pg_catalog.pg_sleep(0.05::double precision);
        END;
    END LOOP;
    PERFORM pg_catalog.set_config('deadlock_timeout'::text, patience, true);
END
$do$;

ALTER TABLE parallel_loader.pull
    ADD COLUMN snapshot_lock bigint,
    ADD COLUMN snapshot_state text,
    ADD COLUMN source_host text,
    ADD COLUMN source_hostaddr text,
    ADD COLUMN source_port text,
    ADD COLUMN source_path text[],
    ADD COLUMN source_shape text,
    ADD COLUMN local_shape text,
    ADD COLUMN hold_ended text,
    ADD COLUMN asked_key text,
    ADD COLUMN asked_columns text[],
    ADD COLUMN asked_format text,
    ADD COLUMN asked_bound_type text,
    ADD COLUMN table_name text,
    ADD COLUMN source_flushed boolean;

UPDATE parallel_loader.pull AS p
SET table_name = pg_catalog.quote_ident(n.nspname::text) || '.'::text
    || pg_catalog.quote_ident(c.relname::text)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = p."table"::oid;

ALTER TABLE parallel_loader.chunk
    ADD COLUMN relation_oid oid,
    ADD COLUMN local_relations text;

ALTER TABLE parallel_loader.mark
    ADD COLUMN source_path text[],
    ADD COLUMN local_relations text,
    ADD COLUMN source_lsn pg_lsn,
    ADD COLUMN owner regrole;

UPDATE parallel_loader.mark AS m SET owner = p.owner
FROM parallel_loader.pull AS p WHERE p.pull_id = m.pull_id;

-- Done chunks whose rows went into unlogged tables: a crash empties both.  No configuration data.
CREATE UNLOGGED TABLE parallel_loader.unlogged_chunk (
    pull_id            bigint NOT NULL,
    chunk              integer NOT NULL,
    PRIMARY KEY (pull_id, chunk)
);

-- Marks, and done chunks of pulls, hold for the tables as they are today: the table with all of its
-- partitions.
CREATE TEMPORARY TABLE pg_temp.parallel_loader_relations ON COMMIT DROP AS
WITH RECURSIVE tree ("table", oid) AS (
    SELECT "table"::oid, "table"::oid FROM parallel_loader.mark
    UNION
    SELECT "table"::oid, "table"::oid FROM parallel_loader.pull WHERE kind = 'pull'
    UNION
    SELECT t."table", i.inhrelid
    FROM pg_catalog.pg_inherits AS i JOIN tree AS t ON i.inhparent = t.oid)
SELECT t."table",
       '@'::text || (SELECT s.system_identifier::text FROM pg_catalog.pg_control_system() AS s)
       || pg_catalog.string_agg(' '::text || c.oid::text || ':'::text || c.relfilenode::text
           || CASE WHEN c.relpersistence = 'u' THEN ':u'::text ELSE ''::text END
           || CASE WHEN t."table" = c.oid THEN ''::text
              ELSE ' ='::text || c.oid::text || '='::text || pg_catalog.replace(pg_catalog.replace(
                pg_catalog.replace(pg_catalog.quote_ident(n.nspname::text) || '.'::text
                    || pg_catalog.quote_ident(c.relname::text), '%'::text, '%25'::text),
                ' '::text, '%20'::text), ':'::text, '%3A'::text) END, ''::text)
           AS relations
FROM tree AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind <> 'p'
GROUP BY t."table";

UPDATE parallel_loader.mark AS m SET local_relations = r.relations
FROM pg_temp.parallel_loader_relations AS r WHERE r."table" = m."table"::oid;

-- Once a pull.
UPDATE parallel_loader.chunk AS c
SET local_relations = CASE WHEN c.chunk = f.chunk THEN r.relations ELSE '' END
FROM parallel_loader.pull AS p
JOIN pg_temp.parallel_loader_relations AS r ON r."table" = p."table"::oid
CROSS JOIN LATERAL (
    SELECT pg_catalog.min(d.chunk) AS chunk FROM parallel_loader.chunk AS d
    WHERE d.pull_id = p.pull_id AND d.state = 'done') AS f
WHERE c.pull_id = p.pull_id AND c.state = 'done' AND p.kind = 'pull';

INSERT INTO parallel_loader.unlogged_chunk (pull_id, chunk)
SELECT pull_id, chunk FROM parallel_loader.chunk WHERE local_relations LIKE '%:u%'
UNION
SELECT pull_id, 1 FROM parallel_loader.mark WHERE local_relations LIKE '%:u%';

DROP TABLE pg_temp.parallel_loader_relations;

COMMENT ON COLUMN parallel_loader.pull.snapshot_lock IS
    'key of the advisory lock that every holder of the snapshot has on the source';
COMMENT ON COLUMN parallel_loader.pull.snapshot_state IS
    'pg_current_snapshot() of the source under the snapshot';
COMMENT ON COLUMN parallel_loader.pull.source_host IS
    'host, address and port of the server that the snapshot is on';
COMMENT ON COLUMN parallel_loader.pull.source_path IS
    'schemas in which the names of the filter are found on the source';
COMMENT ON COLUMN parallel_loader.pull.source_shape IS
    'types of the columns that travel, on the source, as the plan found them';
COMMENT ON COLUMN parallel_loader.pull.local_shape IS
    'types of the columns that travel, here, as the plan found them';
COMMENT ON COLUMN parallel_loader.pull.hold_ended IS
    'why the snapshot of a pull that has failed was let go';
COMMENT ON COLUMN parallel_loader.pull.asked_key IS
    'key, columns, format and type of the bounds as the caller named them, to plan the pull anew';
COMMENT ON COLUMN parallel_loader.pull.table_name IS
    'name of "table" when the pull was begun';
COMMENT ON COLUMN parallel_loader.pull.source_flushed IS
    'the source was seen to flush all that the snapshot showed; false: it was not, so that no append can begin there';
COMMENT ON COLUMN parallel_loader.chunk.relation_oid IS
    'OID of relation on the source';
COMMENT ON COLUMN parallel_loader.chunk.local_relations IS
    'table or partitions here that the rows went into, as oid:filenode';
COMMENT ON COLUMN parallel_loader.mark.source_path IS
    'schemas in which the names of the filter are found on the source';
COMMENT ON COLUMN parallel_loader.mark.local_relations IS
    'table or partitions here that hold the rows, as oid:filenode';
COMMENT ON COLUMN parallel_loader.mark.source_lsn IS
    'WAL location that the source had reached';
COMMENT ON COLUMN parallel_loader.mark.owner IS
    'role whose append or pull has made the mark; NULL: not known';
COMMENT ON TABLE parallel_loader.unlogged_chunk IS
    'done chunks whose rows went into unlogged tables';

-- The views anew.  Operators in them stand between operands of one type each: for those pg_catalog
-- has an exact match, which comes before any operator of the extension's schema.  Of other pairs,
-- such as double precision * bigint, whoever may create in that schema could have made a closer one.
CREATE OR REPLACE VIEW @extschema@.parallel_pulls WITH (security_barrier) AS
SELECT p.pull_id,
       p.run_id,
       p.owner,
       p."table",
       p.source,
       p.source_table,
       CASE WHEN l.pull_id IS NULL THEN coalesce(n.state, p.state) ELSE p.state END AS state,
       coalesce(l.rows, n.rows, c.rows) AS rows,
       coalesce(l.bytes, n.bytes, c.bytes) AS bytes,
       c.chunks,
       coalesce(l.chunks_done, n.chunks_done, c.chunks_done) AS chunks_done,
       coalesce(l.retries, n.retries, c.retries) AS retries,
       coalesce(l.workers, 0) AS workers,
       p.key,
       p.format,
       p.snapshot,
       p.started,
       p.finished,
       p.sqlstate,
       p.error,
       p.kind,
       p.max_rate,
       coalesce(t.name, p.table_name) AS table_name,
       CASE WHEN p.state = 'done' AND NOT p.source_flushed
            THEN 'leaves no mark for appends: the source was not seen to flush what it has read'
       END AS warning
FROM parallel_loader.pull AS p
LEFT JOIN LATERAL (
    SELECT pg_catalog.quote_ident(s.nspname::text) || '.'::text
        || pg_catalog.quote_ident(c.relname::text) AS name
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
    WHERE c.oid = p."table"::oid) AS t ON true
LEFT JOIN parallel_loader.live_progress() AS l USING (pull_id)
-- A pull that seems unfinished and is not alive has just ended, or was interrupted.
LEFT JOIN LATERAL parallel_loader.current_pull(
    CASE WHEN p.state IN ('planned', 'running', 'paused') AND l.pull_id IS NULL
         THEN p.pull_id END) AS n ON true
CROSS JOIN LATERAL (
    SELECT pg_catalog.count(*)::integer AS chunks,
           (pg_catalog.count(*) FILTER (WHERE state = 'done'))::integer AS chunks_done,
           coalesce(pg_catalog.sum(rows), 0)::bigint AS rows,
           coalesce(pg_catalog.sum(bytes), 0)::bigint AS bytes,
           coalesce(pg_catalog.sum(CASE WHEN state = 'planned' THEN attempts
                                        ELSE greatest(attempts - 1, 0) END), 0)::integer AS retries
    FROM parallel_loader.chunk WHERE chunk.pull_id = p.pull_id) AS c
WHERE pg_catalog.pg_has_role(p.owner, 'USAGE');

CREATE OR REPLACE VIEW @extschema@.parallel_pull_chunks WITH (security_barrier) AS
SELECT c.pull_id,
       c.chunk,
       c.range_start AS start,
       c.range_end AS "end",
       c.nulls,
       CASE WHEN c.state <> 'done' AND l.pull_id IS NOT NULL THEN 'running' ELSE c.state END AS state,
       CASE WHEN c.state <> 'done' THEN coalesce(l.rows, 0) ELSE c.rows END AS rows,
       CASE WHEN c.state <> 'done' THEN coalesce(l.bytes, 0) ELSE c.bytes END AS bytes,
       c.attempts,
       c.route,
       l.pid,
       c.finished,
       c.sqlstate,
       c.error,
       c.relation,
       c.estimated_rows,
       c.estimated_bytes,
       c.route_reason
FROM parallel_loader.chunk AS c
JOIN parallel_loader.pull AS p USING (pull_id)
LEFT JOIN parallel_loader.live_chunks() AS l ON l.pull_id = c.pull_id AND l.chunk = c.chunk
WHERE pg_catalog.pg_has_role(p.owner, 'USAGE');

CREATE OR REPLACE VIEW @extschema@.parallel_pull_progress WITH (security_barrier) AS
SELECT p.pull_id,
       p."table",
       p.state,
       l.rows,
       l.bytes,
       l.chunks,
       l.chunks_done,
       l.workers,
       t.seconds,
       l.bytes_per_second * l.rows::double precision / nullif(l.bytes, 0::bigint)::double precision
           AS rows_per_second,
       l.bytes_per_second,
       pg_catalog.floor(l.fraction * 1000::double precision) / 10::double precision AS percent,
       CASE WHEN l.fraction > 0::double precision AND l.bytes_per_second > 0::double precision
            THEN pg_catalog.make_interval(secs =>
                pg_catalog.round((l.bytes::double precision * (1::double precision - l.fraction)
                    / l.fraction / l.bytes_per_second)::numeric)::double precision)
       END AS eta,
       l.retries,
       pg_catalog.clock_timestamp() - l.snapshot_taken AS snapshot_age,
       l.max_rate,
       l.waiting_for
FROM parallel_loader.live_progress() AS l
JOIN parallel_loader.pull AS p USING (pull_id)
CROSS JOIN LATERAL (
    SELECT EXTRACT(epoch FROM pg_catalog.clock_timestamp() - p.started)::double precision
        AS seconds) AS t
WHERE p.state IN ('planned', 'running', 'paused') AND pg_catalog.pg_has_role(p.owner, 'USAGE');

-- The C functions bear a version in their names, so that the library of 0.3, which a session may have
-- loaded before the update, has none of them.  From 0.4 on the library looks itself.
CREATE OR REPLACE FUNCTION parallel_loader.live_progress(
    OUT pull_id bigint, OUT rows bigint, OUT bytes bigint, OUT chunks integer,
    OUT chunks_done integer, OUT retries integer, OUT workers integer, OUT fraction double precision,
    OUT bytes_per_second double precision, OUT snapshot_taken timestamptz, OUT max_rate integer,
    OUT waiting_for text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'parallel_loader_live_progress_0_4'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION parallel_loader.live_chunks(
    OUT pull_id bigint, OUT chunk integer, OUT pid integer, OUT rows bigint, OUT bytes bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'parallel_loader_live_chunks_0_4'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION parallel_loader.current_pull(
    pull_id bigint, OUT state text, OUT rows bigint, OUT bytes bigint, OUT chunks_done integer,
    OUT retries integer)
RETURNS record
AS 'MODULE_PATHNAME', 'parallel_loader_current_pull_0_4'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION @extschema@.parallel_pull(
    src_dsn text, "table" regclass, start anycompatible, "end" anycompatible,
    key text = NULL, source_table text = NULL, columns text[] = NULL, filter text = NULL,
    workers integer = NULL, format text = 'auto', snapshot text = NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'parallel_pull_0_4'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION @extschema@.parallel_pull_start(
    src_dsn text, "table" regclass,
    key text = NULL, source_table text = NULL, columns text[] = NULL, filter text = NULL,
    workers integer = NULL, format text = 'auto', snapshot text = NULL, chunk_size text = NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'parallel_pull_start_0_4'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION @extschema@.parallel_pull_create(
    src_dsn text, "table" regclass,
    key text = NULL, source_table text = NULL, columns text[] = NULL, filter text = NULL,
    workers integer = NULL, format text = 'auto', snapshot text = NULL, chunk_size text = NULL,
    run_id bigint = NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'parallel_pull_create_0_4'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION @extschema@.parallel_pull_work(
    pull_id bigint, src_dsn text = NULL, workers integer = 1, max_chunks integer = NULL,
    OUT chunks integer, OUT rows bigint, OUT bytes bigint, OUT remaining integer)
RETURNS record
AS 'MODULE_PATHNAME', 'parallel_pull_work_0_4'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION @extschema@.parallel_pull_wait(pull_id bigint, timeout interval = NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'parallel_pull_wait_0_4'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION @extschema@.parallel_pull_cancel(pull_id bigint)
RETURNS boolean
AS 'MODULE_PATHNAME', 'parallel_pull_cancel_0_4'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION @extschema@.parallel_pull_table(
    src_dsn text, "table" regclass,
    key text = NULL, source_table text = NULL, columns text[] = NULL, filter text = NULL,
    workers integer = NULL, format text = 'auto', snapshot text = NULL, chunk_size text = NULL,
    OUT pull_id bigint, OUT rows bigint, OUT bytes bigint, OUT chunks integer,
    OUT seconds double precision)
RETURNS record
AS 'MODULE_PATHNAME', 'parallel_pull_table_0_4'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION @extschema@.parallel_pull_resume(
    INOUT pull_id bigint, src_dsn text = NULL, new_snapshot boolean = false,
    OUT rows bigint, OUT bytes bigint, OUT chunks integer,
    OUT seconds double precision)
RETURNS record
AS 'MODULE_PATHNAME', 'parallel_pull_resume_0_4'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION @extschema@.parallel_pull_alter(
    pull_id bigint, workers integer = NULL, max_rate integer = NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'parallel_pull_alter_0_4'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION @extschema@.parallel_pull_append(
    src_dsn text, "table" regclass,
    key text = NULL, source_table text = NULL, columns text[] = NULL, filter text = NULL,
    workers integer = NULL, "window" text = NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'parallel_pull_append_0_4'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION @extschema@.parallel_pull_plan(
    src_dsn text, "table" regclass,
    key text = NULL, source_table text = NULL, columns text[] = NULL, filter text = NULL,
    workers integer = NULL, format text = 'auto', snapshot text = NULL, chunk_size text = NULL,
    OUT chunk integer, OUT start text, OUT "end" text, OUT nulls boolean,
    OUT estimated_rows bigint, OUT estimated_bytes bigint, OUT relation text,
    OUT route text, OUT route_reason text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'parallel_pull_plan_0_4'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION @extschema@.parallel_pull_verify(
    src_dsn text, "table" regclass,
    key text = NULL, source_table text = NULL, columns text[] = NULL, filter text = NULL,
    workers integer = NULL, format text = 'auto', snapshot text = NULL, chunk_size text = NULL,
    OUT chunk integer, OUT start text, OUT "end" text, OUT nulls boolean,
    OUT source_rows bigint, OUT local_rows bigint, OUT matches boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'parallel_pull_verify_0_4'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION @extschema@.parallel_pull_check(
    src_dsn text, "table" regclass,
    key text = NULL, source_table text = NULL, columns text[] = NULL, filter text = NULL,
    workers integer = NULL, format text = 'auto', snapshot text = NULL, chunk_size text = NULL,
    OUT level text, OUT item text, OUT message text, OUT hint text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'parallel_pull_check_0_4'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION @extschema@.parallel_pull_sequences(
    src_dsn text, "table" regclass = NULL,
    OUT sequence regclass, OUT value bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'parallel_pull_sequences_0_4'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
CREATE FUNCTION @extschema@.parallel_pull_forget(
    "table" regclass, source_table text = NULL, filter text = NULL)
RETURNS integer
AS 'MODULE_PATHNAME', 'parallel_pull_forget'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.parallel_pull_forget(regclass, text, text) IS
    'forget what appends to a table go on from, so that all rows come again; returns how many marks and append bounds';

CREATE FUNCTION @extschema@.parallel_pull_keep(
    "table" regclass, source_table text = NULL, filter text = NULL)
RETURNS integer
AS 'MODULE_PATHNAME', 'parallel_pull_keep'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.parallel_pull_keep(regclass, text, text) IS
    'vouch for a table as it is now: appends and resumes go on from it; returns how many marks, append bounds and unfinished pulls';

REVOKE EXECUTE ON FUNCTION
    @extschema@.parallel_pull_forget(regclass, text, text),
    @extschema@.parallel_pull_keep(regclass, text, text)
FROM PUBLIC;

-- What of the pulls so far is another thing from now on.
DO $do$
DECLARE
    open_pulls text;
    filters text;
BEGIN
    SELECT pg_catalog.string_agg(p.pull_id::text, ', '::text ORDER BY p.pull_id) INTO open_pulls
    FROM parallel_loader.pull AS p
    WHERE p.kind = 'pull' AND p.state <> 'done' AND EXISTS (
        SELECT FROM parallel_loader.chunk AS c WHERE c.pull_id = p.pull_id AND c.state = 'done');
    IF open_pulls IS NOT NULL THEN
        RAISE WARNING USING
            MESSAGE = 'pulls that are not finished were begun by an earlier version: '::text || open_pulls,
            DETAIL = 'One that runs goes on. One that has failed can be resumed while its coordinator '
                     'holds its snapshot, and not after that.'::text,
            HINT = 'Those that cannot be resumed: empty the table and pull it again.'::text;
    END IF;
    SELECT pg_catalog.string_agg(DISTINCT f.name, ', '::text) INTO filters
    FROM (SELECT m."table"::text FROM parallel_loader.mark AS m WHERE m.filter <> ''
          UNION ALL
          SELECT p."table"::text FROM parallel_loader.pull AS p
          WHERE p.kind = 'pull' AND p.filter IS NOT NULL AND p.range_start IS NULL
            AND p.range_end IS NULL AND p.snapshot_xmin IS NOT NULL) AS f(name);
    IF filters IS NOT NULL THEN
        RAISE WARNING USING
            MESSAGE = 'rows of some tables were chosen by filters that were read under an empty '
                      'search path: '::text || filters,
            DETAIL = 'Appends to them, and resumes of their pulls, go on reading those filters so; '
                     'new pulls read filters along the path of the source''s role.'::text,
            HINT = 'To have an append read its filter along that path, empty the table and pull it '
                   'again.'::text;
    END IF;
END
$do$;
