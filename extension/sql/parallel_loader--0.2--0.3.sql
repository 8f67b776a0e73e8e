/* parallel_loader 0.2 to 0.3 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION parallel_loader UPDATE TO '0.3'" to load this file. \quit

ALTER TABLE parallel_loader.chunk ADD COLUMN route_reason text;

COMMENT ON COLUMN parallel_loader.chunk.route IS 'how the rows went into the table: copy or heap';
COMMENT ON COLUMN parallel_loader.chunk.route_reason IS 'why the heap route could not be taken';

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

-- A function cannot get result columns in place.
DROP FUNCTION @extschema@.parallel_pull_plan(text, regclass, text, text, text[], text, integer, text,
    text, text);

CREATE FUNCTION @extschema@.parallel_pull_plan(
    src_dsn text, "table" regclass,
    key text = NULL, source_table text = NULL, columns text[] = NULL, filter text = NULL,
    workers integer = NULL, format text = 'auto', snapshot text = NULL, chunk_size text = NULL,
    OUT chunk integer, OUT start text, OUT "end" text, OUT nulls boolean,
    OUT estimated_rows bigint, OUT estimated_bytes bigint, OUT relation text,
    OUT route text, OUT route_reason text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'parallel_pull_plan'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.parallel_pull_plan(text, regclass, text, text, text[], text,
    integer, text, text, text) IS
    'the chunks that a pull of a whole table would have; changes nothing';

REVOKE EXECUTE ON FUNCTION
    @extschema@.parallel_pull_plan(text, regclass, text, text, text[], text, integer, text, text, text)
FROM PUBLIC;
