/* parallel_loader 0.5 to 0.6 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION parallel_loader UPDATE TO '0.6'" to load this file. \quit

ALTER TABLE parallel_loader.pull
    ADD COLUMN coordinator bigint,
    ADD COLUMN began_empty boolean,
    ADD COLUMN search_path text,
    ADD COLUMN replication_role text,
    ADD COLUMN error_detail text,
    ADD COLUMN error_hint text,
    ADD COLUMN tables_to_come integer;
ALTER TABLE parallel_loader.chunk
    ADD COLUMN coordinator bigint,
    ADD COLUMN priority bigint NOT NULL DEFAULT 0,
    ADD COLUMN started timestamptz,
    ADD COLUMN copied_by integer;
CREATE INDEX pull_coordinator ON parallel_loader.pull (coordinator, state);
CREATE INDEX pull_run ON parallel_loader.pull (run_id);
CREATE INDEX pull_table ON parallel_loader.pull ("table");
CREATE INDEX chunk_next ON parallel_loader.chunk (coordinator, priority DESC, pull_id, chunk)
    WHERE state = 'planned';
COMMENT ON COLUMN parallel_loader.pull.coordinator IS
    'key of the lock that the coordinator has which works on the pull: the pull''s id, or less than 0 for the coordinator of a run; NULL: the pull''s id';
COMMENT ON COLUMN parallel_loader.pull.began_empty IS
    'true: "table" had no row when the pull was planned; NULL: unknown';
COMMENT ON COLUMN parallel_loader.pull.search_path IS
    'search_path of the session that created the pull';
COMMENT ON COLUMN parallel_loader.pull.replication_role IS
    'session_replication_role of the session that created the pull';
COMMENT ON COLUMN parallel_loader.pull.error_detail IS 'detail of the error that ended the pull';
COMMENT ON COLUMN parallel_loader.pull.error_hint IS 'hint of the error that ended the pull';
COMMENT ON COLUMN parallel_loader.pull.tables_to_come IS
    'how many more tables the client wanted to load in the run when it created the pull';
COMMENT ON COLUMN parallel_loader.chunk.coordinator IS
    'coordinator whose workers take the chunk; NULL: workers of the pull only, or nobody';
COMMENT ON COLUMN parallel_loader.chunk.priority IS
    'chunks of a run with the highest priority are copied first: the estimated bytes of their table';
COMMENT ON COLUMN parallel_loader.chunk.started IS
    'when the worker took the chunk that has copied it';
COMMENT ON COLUMN parallel_loader.chunk.copied_by IS
    'process ID of the worker that has copied it';

-- A function with other results is a new one, and views cannot be without it meanwhile: they get theirs
-- below.  parallel_pull_work keeps the rights that were granted on it.
ALTER FUNCTION parallel_loader.live_chunks() RENAME TO old_live_chunks;
CREATE FUNCTION parallel_loader.live_chunks(
    OUT pull_id bigint, OUT chunk integer, OUT pid integer, OUT rows bigint, OUT bytes bigint,
    OUT started timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'parallel_loader_live_chunks_0_4'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION parallel_loader.live_chunks() IS 'chunks that a worker is copying';

ALTER FUNCTION parallel_loader.current_pull(bigint) RENAME TO old_current_pull;
CREATE FUNCTION parallel_loader.current_pull(
    pull_id bigint, OUT state text, OUT rows bigint, OUT bytes bigint, OUT chunks_done integer,
    OUT retries integer, OUT finished timestamptz, OUT sqlstate text, OUT error text,
    OUT error_detail text, OUT error_hint text)
RETURNS record
AS 'MODULE_PATHNAME', 'parallel_loader_current_pull_0_4'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION parallel_loader.current_pull(bigint) IS
    'current state, totals and error of a pull, regardless of the snapshot of the query';

CREATE FUNCTION parallel_loader.live_coordinators(
    OUT coordinator bigint, OUT pid integer, OUT snapshot_taken timestamptz, OUT ends timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'parallel_loader_live_coordinators'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION parallel_loader.live_coordinators() IS
    'coordinators that are running, and until when they keep their snapshot';

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
       coalesce(n.finished, p.finished) AS finished,
       coalesce(n.sqlstate, p.sqlstate) AS sqlstate,
       coalesce(n.error, p.error) AS error,
       p.kind,
       p.max_rate,
       coalesce(t.name, p.table_name) AS table_name,
       CASE WHEN p.state = 'done' AND NOT p.source_flushed
            THEN 'leaves no mark for appends: the source was not seen to flush what it has read'
       END AS warning,
       p.columns,
       p.filter,
       p.chunk_bytes AS chunk_size,
       p.began_empty,
       o.pid AS coordinator_pid,
       o.snapshot_taken,
       o.ends AS coordinator_ends,
       p.hold_ended,
       l.waiting_for,
       coalesce(n.error_detail, p.error_detail) AS error_detail,
       coalesce(n.error_hint, p.error_hint) AS error_hint,
       p.range_start AS start,
       p.range_end AS "end",
       p.snapshot_state,
       p.tables_to_come,
       c.estimated_bytes
FROM parallel_loader.pull AS p
LEFT JOIN LATERAL (
    SELECT pg_catalog.quote_ident(s.nspname::text) || '.'::text
        || pg_catalog.quote_ident(c.relname::text) AS name
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
    WHERE c.oid = p."table"::oid) AS t ON true
-- Of chunks of a pull that has ended, what workers still have in hand will not count.
LEFT JOIN parallel_loader.live_progress() AS l
    ON l.pull_id = p.pull_id AND p.state IN ('planned', 'running', 'paused')
LEFT JOIN parallel_loader.live_coordinators() AS o ON o.coordinator = coalesce(p.coordinator, p.pull_id)
-- A pull that seems unfinished and is not alive has just ended, or was interrupted.
LEFT JOIN LATERAL parallel_loader.current_pull(
    CASE WHEN p.state IN ('planned', 'running', 'paused') AND l.pull_id IS NULL
         THEN p.pull_id END) AS n ON true
CROSS JOIN LATERAL (
    SELECT pg_catalog.count(*)::integer AS chunks,
           (pg_catalog.count(*) FILTER (WHERE state = 'done'))::integer AS chunks_done,
           coalesce(pg_catalog.sum(rows), 0)::bigint AS rows,
           coalesce(pg_catalog.sum(bytes), 0)::bigint AS bytes,
           pg_catalog.sum(estimated_bytes)::bigint AS estimated_bytes,
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
       c.route_reason,
       CASE WHEN c.state <> 'done' THEN l.started ELSE c.started END AS started,
       c.copied_by
FROM parallel_loader.chunk AS c
JOIN parallel_loader.pull AS p USING (pull_id)
LEFT JOIN parallel_loader.live_chunks() AS l ON l.pull_id = c.pull_id AND l.chunk = c.chunk
WHERE pg_catalog.pg_has_role(p.owner, 'USAGE');

-- 20556: see core/ledger/lock_class.hpp.
CREATE VIEW @extschema@.parallel_pull_loads WITH (security_barrier) AS
SELECT p.pull_id,
       p."table",
       p.state IN ('planned', 'running', 'paused') AND l.coordinator IS NOT NULL AS is_loading,
       p.finished,
       c.last_chunk,
       p.run_id,
       p.started,
       p.began_empty
FROM parallel_loader.pull AS p
LEFT JOIN (
    SELECT DISTINCT (k.classid::bigint << 32) | k.objid::bigint AS coordinator
    FROM pg_catalog.pg_locks AS k
    JOIN pg_catalog.pg_database AS d ON d.oid = k.database
    WHERE k.locktype = 'advisory'::text AND k.granted AND k.objsubid::integer = 20556::integer
      AND d.datname = pg_catalog.current_database()) AS l
    ON l.coordinator = coalesce(p.coordinator, p.pull_id)
CROSS JOIN LATERAL (
    SELECT pg_catalog.max(finished) AS last_chunk
    FROM parallel_loader.chunk WHERE chunk.pull_id = p.pull_id AND chunk.state = 'done') AS c
-- Rows of a table are rows of its partitions, and of what it is a partition of.
WHERE pg_catalog.has_table_privilege(p."table"::oid, 'TRUNCATE')
   OR pg_catalog.has_any_column_privilege(p."table"::oid, 'INSERT')
   OR EXISTS (
    SELECT FROM (
        SELECT relid::oid FROM pg_catalog.pg_partition_tree(p."table")
        UNION ALL SELECT relid::oid FROM pg_catalog.pg_partition_ancestors(p."table")) AS r(oid)
    WHERE pg_catalog.has_table_privilege(r.oid, 'TRUNCATE')
       OR pg_catalog.has_any_column_privilege(r.oid, 'INSERT'));
COMMENT ON VIEW @extschema@.parallel_pull_loads IS 'when pulls of any role have loaded the tables that you may write';

GRANT SELECT ON @extschema@.parallel_pull_loads TO PUBLIC;

DROP FUNCTION parallel_loader.old_live_chunks();
DROP FUNCTION parallel_loader.old_current_pull(bigint);

CREATE TEMPORARY TABLE pg_temp.parallel_loader_rights ON COMMIT DROP AS
SELECT p.proowner, a.grantee, a.is_grantable
FROM pg_catalog.pg_proc AS p
CROSS JOIN pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS a
WHERE p.oid = '@extschema@.parallel_pull_work(bigint, text, integer, integer)'::regprocedure
  AND a.grantee <> p.proowner;

DROP FUNCTION @extschema@.parallel_pull_work(bigint, text, integer, integer);
CREATE FUNCTION @extschema@.parallel_pull_work(
    pull_id bigint, src_dsn text = NULL, workers integer = 1, max_chunks integer = NULL,
    whole_run boolean = false,
    OUT chunks integer, OUT rows bigint, OUT bytes bigint, OUT remaining integer)
RETURNS record
AS 'MODULE_PATHNAME', 'parallel_pull_work_0_4'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.parallel_pull_work(bigint, text, integer, integer, boolean) IS
    'join a pull, or its whole run: copy the next chunks until none is left, or until max_chunks are done';
REVOKE EXECUTE ON FUNCTION @extschema@.parallel_pull_work(bigint, text, integer, integer, boolean)
FROM PUBLIC;

DO $do$
DECLARE
    granted record;
BEGIN
    FOR granted IN SELECT r.grantee, r.is_grantable FROM pg_temp.parallel_loader_rights AS r LOOP
        EXECUTE pg_catalog.format(
            'GRANT EXECUTE ON FUNCTION @extschema@.parallel_pull_work(bigint, text, integer, integer, boolean) TO %s%s'::text,
            CASE WHEN granted.grantee = 0::oid THEN 'PUBLIC'::text
                 ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(granted.grantee)::text) END,
            CASE WHEN granted.is_grantable THEN ' WITH GRANT OPTION'::text ELSE ''::text END);
    END LOOP;
END
$do$;
DROP TABLE pg_temp.parallel_loader_rights;

-- Processes of 0.5 look at the version of the objects, and end when they find a newer one.
DO $do$
DECLARE
    unfinished text;
BEGIN
    SELECT pg_catalog.string_agg(p.pull_id::text, ', '::text ORDER BY p.pull_id) INTO unfinished
    FROM parallel_loader.pull AS p
    WHERE p.state IN ('planned', 'running', 'paused', 'failed') AND p.snapshot_lock IS NOT NULL
      AND EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a
                  WHERE a.datname = pg_catalog.current_database()
                    AND a.backend_type = 'parallel_loader coordinator'::text);
    IF unfinished IS NOT NULL THEN
        RAISE WARNING USING
            MESSAGE = 'pulls that run or hold their snapshot end with this update',
            DETAIL = 'Their processes have loaded the library of version 0.5. Pulls that are not '
                     'finished: '::text || unfinished,
            HINT = 'If the rows that were copied have not changed on the source, call '
                   'parallel_pull_resume(pull_id, new_snapshot => true). Otherwise empty the table and '
                   'pull it again.'::text;
    END IF;
END
$do$;
