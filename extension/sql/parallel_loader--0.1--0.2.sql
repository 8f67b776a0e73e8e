/* parallel_loader 0.1 to 0.2 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION parallel_loader UPDATE TO '0.2'" to load this file. \quit

ALTER TABLE parallel_loader.pull
    ADD COLUMN kind text NOT NULL DEFAULT 'pull' CHECK (kind IN ('pull', 'append')),
    ADD COLUMN max_rate integer CHECK (max_rate > 0),
    ADD COLUMN snapshot_xmin bigint,
    ADD COLUMN snapshot_xmax bigint,
    ADD COLUMN source_relations text;

ALTER TABLE parallel_loader.chunk
    ADD COLUMN relation text,
    ADD COLUMN estimated_rows bigint,
    ADD COLUMN estimated_bytes bigint;

-- Up to where growing tables were copied by parallel_pull_append.
CREATE TABLE parallel_loader.mark (
    "table"            regclass NOT NULL,
    source_database    text NOT NULL,
    source_table       text NOT NULL,
    filter             text NOT NULL,
    horizon            bigint NOT NULL,
    compare_to         bigint NOT NULL,
    source_relations   text NOT NULL,
    source_system      text,
    source_timeline    text,
    key                text,
    highest_key        text,
    pull_id            bigint NOT NULL,
    updated            timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX mark_table ON parallel_loader.mark ("table");

SELECT pg_catalog.pg_extension_config_dump('parallel_loader.mark', '');

COMMENT ON COLUMN parallel_loader.pull.max_rate IS 'limit in kB/s, NULL for none';
COMMENT ON COLUMN parallel_loader.pull.snapshot_xmin IS
    'oldest transaction of the source that the snapshot may not show (pg_snapshot_xmin)';
COMMENT ON COLUMN parallel_loader.pull.snapshot_xmax IS
    'first transaction of the source that the snapshot does not show (pg_snapshot_xmax)';
COMMENT ON COLUMN parallel_loader.pull.source_relations IS
    'table or partitions of the source as oid:filenode';
COMMENT ON TABLE parallel_loader.mark IS
    'marks: up to which transactions of the source a growing table is here';
COMMENT ON COLUMN parallel_loader.mark.horizon IS
    'rows of all transactions of the source below it are here';
COMMENT ON COLUMN parallel_loader.mark.compare_to IS
    'rows of transactions between horizon and this may be here already';
COMMENT ON COLUMN parallel_loader.mark.highest_key IS
    'highest value of key among those rows, where a window asked for it';
COMMENT ON COLUMN parallel_loader.chunk.relation IS
    'partition of the source that the chunk is read from, NULL for the table itself';

CREATE FUNCTION parallel_loader.live_progress(
    OUT pull_id bigint, OUT rows bigint, OUT bytes bigint, OUT chunks integer,
    OUT chunks_done integer, OUT retries integer, OUT workers integer, OUT fraction double precision,
    OUT bytes_per_second double precision, OUT snapshot_taken timestamptz, OUT max_rate integer,
    OUT waiting_for text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'parallel_loader_live_progress'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION parallel_loader.live_progress() IS
    'how far the pulls are whose coordinator is alive';

CREATE FUNCTION parallel_loader.current_pull(
    pull_id bigint, OUT state text, OUT rows bigint, OUT bytes bigint, OUT chunks_done integer,
    OUT retries integer)
RETURNS record
AS 'MODULE_PATHNAME', 'parallel_loader_current_pull'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION parallel_loader.current_pull(bigint) IS
    'state and totals of a pull as of now, whatever the snapshot of the query that asks';

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
       p.max_rate
FROM parallel_loader.pull AS p
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
       c.estimated_bytes
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
       l.bytes_per_second * l.rows / nullif(l.bytes, 0) AS rows_per_second,
       l.bytes_per_second,
       pg_catalog.floor(l.fraction * 1000) / 10 AS percent,
       CASE WHEN l.fraction > 0 AND l.bytes_per_second > 0
            THEN pg_catalog.make_interval(secs =>
                pg_catalog.round((l.bytes * (1 - l.fraction) / l.fraction / l.bytes_per_second)::numeric)
                ::double precision)
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

DROP FUNCTION parallel_loader.live_pulls();
DROP FUNCTION parallel_loader.current_state(bigint);

CREATE FUNCTION @extschema@.parallel_pull_table(
    src_dsn text, "table" regclass,
    key text = NULL, source_table text = NULL, columns text[] = NULL, filter text = NULL,
    workers integer = NULL, format text = 'auto', snapshot text = NULL, chunk_size text = NULL,
    OUT pull_id bigint, OUT rows bigint, OUT bytes bigint, OUT chunks integer,
    OUT seconds double precision)
RETURNS record
AS 'MODULE_PATHNAME', 'parallel_pull_table'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.parallel_pull_table(text, regclass, text, text, text[], text,
    integer, text, text, text) IS
    'pull a whole table and wait for it';

CREATE FUNCTION @extschema@.parallel_pull_resume(
    INOUT pull_id bigint, src_dsn text = NULL, new_snapshot boolean = false,
    OUT rows bigint, OUT bytes bigint, OUT chunks integer,
    OUT seconds double precision)
RETURNS record
AS 'MODULE_PATHNAME', 'parallel_pull_resume'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.parallel_pull_resume(bigint, text, boolean) IS
    'go on with a pull that has failed, was cancelled or interrupted, and wait for it';

CREATE FUNCTION @extschema@.parallel_pull_alter(
    pull_id bigint, workers integer = NULL, max_rate integer = NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'parallel_pull_alter'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.parallel_pull_alter(bigint, integer, integer) IS
    'change a pull while it runs: workers (0 pauses it), rate in kB/s (0 for no limit)';

CREATE FUNCTION @extschema@.parallel_pull_append(
    src_dsn text, "table" regclass,
    key text = NULL, source_table text = NULL, columns text[] = NULL, filter text = NULL,
    workers integer = NULL, "window" text = NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'parallel_pull_append'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.parallel_pull_append(text, regclass, text, text, text[], text,
    integer, text) IS
    'copy the rows that were added to a growing table since the last time; returns how many';

REVOKE EXECUTE ON FUNCTION
    @extschema@.parallel_pull_append(text, regclass, text, text, text[], text, integer, text),
    @extschema@.parallel_pull_table(text, regclass, text, text, text[], text, integer, text, text,
        text),
    @extschema@.parallel_pull_resume(bigint, text, boolean),
    @extschema@.parallel_pull_alter(bigint, integer, integer)
FROM PUBLIC;

-- These work in the caller's session, with sessions of their own on the source and no worker.
CREATE FUNCTION @extschema@.parallel_pull_plan(
    src_dsn text, "table" regclass,
    key text = NULL, source_table text = NULL, columns text[] = NULL, filter text = NULL,
    workers integer = NULL, format text = 'auto', snapshot text = NULL, chunk_size text = NULL,
    OUT chunk integer, OUT start text, OUT "end" text, OUT nulls boolean,
    OUT estimated_rows bigint, OUT estimated_bytes bigint, OUT relation text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'parallel_pull_plan'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.parallel_pull_plan(text, regclass, text, text, text[], text,
    integer, text, text, text) IS
    'the chunks that a pull of a whole table would have; changes nothing';

CREATE FUNCTION @extschema@.parallel_pull_verify(
    src_dsn text, "table" regclass,
    key text = NULL, source_table text = NULL, columns text[] = NULL, filter text = NULL,
    workers integer = NULL, format text = 'auto', snapshot text = NULL, chunk_size text = NULL,
    OUT chunk integer, OUT start text, OUT "end" text, OUT nulls boolean,
    OUT source_rows bigint, OUT local_rows bigint, OUT matches boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'parallel_pull_verify'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.parallel_pull_verify(text, regclass, text, text, text[], text,
    integer, text, text, text) IS
    'compare the rows of a table with those of its source, range by range';

CREATE FUNCTION @extschema@.parallel_pull_check(
    src_dsn text, "table" regclass,
    key text = NULL, source_table text = NULL, columns text[] = NULL, filter text = NULL,
    workers integer = NULL, format text = 'auto', snapshot text = NULL, chunk_size text = NULL,
    OUT level text, OUT item text, OUT message text, OUT hint text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'parallel_pull_check'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.parallel_pull_check(text, regclass, text, text, text[], text,
    integer, text, text, text) IS
    'what would keep a pull from running, or from running well; changes nothing';

CREATE FUNCTION @extschema@.parallel_pull_sequences(
    src_dsn text, "table" regclass = NULL,
    OUT sequence regclass, OUT value bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'parallel_pull_sequences'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.parallel_pull_sequences(text, regclass) IS
    'set the sequences of a table''s columns, or of all tables, to where they stand on the source';

REVOKE EXECUTE ON FUNCTION
    @extschema@.parallel_pull_plan(text, regclass, text, text, text[], text, integer, text, text, text),
    @extschema@.parallel_pull_verify(text, regclass, text, text, text[], text, integer, text, text,
        text),
    @extschema@.parallel_pull_check(text, regclass, text, text, text[], text, integer, text, text,
        text),
    @extschema@.parallel_pull_sequences(text, regclass)
FROM PUBLIC;
