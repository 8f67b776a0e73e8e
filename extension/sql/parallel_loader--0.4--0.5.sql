/* parallel_loader 0.4 to 0.5 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION parallel_loader UPDATE TO '0.5'" to load this file. \quit

COMMENT ON SCHEMA parallel_loader IS 'the ledger of Parallel Loader';
COMMENT ON TABLE parallel_loader.pull IS 'one row per pull: a request to copy a table, or a range of it';
COMMENT ON TABLE parallel_loader.chunk IS
    'one row per chunk: a range of a pull; its rows and its state are committed in one transaction';
COMMENT ON COLUMN parallel_loader.pull.segment IS
    'handle of the coordinator''s shared memory segment; meaningless once the coordinator has ended';
COMMENT ON COLUMN parallel_loader.pull.max_rate IS 'limit in kB per second; NULL: none';
COMMENT ON COLUMN parallel_loader.pull.snapshot_xmin IS
    'pg_snapshot_xmin of the snapshot: all older transactions of the source have ended';
COMMENT ON COLUMN parallel_loader.pull.snapshot_xmax IS
    'pg_snapshot_xmax of the snapshot: it shows no transaction from this one on';
COMMENT ON COLUMN parallel_loader.pull.source_relations IS
    'table or partitions of the source, as oid:filenode';
COMMENT ON TABLE parallel_loader.mark IS
    'one row per mark: up to which transaction of the source a table was copied';
COMMENT ON COLUMN parallel_loader.mark.horizon IS
    'the rows of all earlier transactions of the source were copied';
COMMENT ON COLUMN parallel_loader.mark.compare_to IS
    'rows of transactions from horizon up to this one may have been copied';
COMMENT ON COLUMN parallel_loader.mark.highest_key IS
    'highest value of key that was copied; NULL without a window';
COMMENT ON COLUMN parallel_loader.mark.updated IS
    'time of the last append; informational';
COMMENT ON COLUMN parallel_loader.chunk.relation IS
    'partition of the source that the chunk is read from; NULL: the table itself';
COMMENT ON COLUMN parallel_loader.chunk.route IS 'how the rows were inserted: copy or heap';
COMMENT ON COLUMN parallel_loader.chunk.route_reason IS 'why the route is not heap';
COMMENT ON COLUMN parallel_loader.pull.snapshot_lock IS
    'key of the advisory lock that the holders of the snapshot have on the source';
COMMENT ON COLUMN parallel_loader.pull.snapshot_state IS
    'pg_current_snapshot() on the source under the snapshot';
COMMENT ON COLUMN parallel_loader.pull.source_host IS
    'host, address and port of the server that has the snapshot';
COMMENT ON COLUMN parallel_loader.pull.source_path IS
    'search path of the filter on the source';
COMMENT ON COLUMN parallel_loader.pull.source_shape IS
    'types of the copied columns on the source, when the pull was planned';
COMMENT ON COLUMN parallel_loader.pull.local_shape IS
    'types of the copied columns on the destination, when the pull was planned';
COMMENT ON COLUMN parallel_loader.pull.hold_ended IS
    'why the snapshot of the failed pull was released';
COMMENT ON COLUMN parallel_loader.pull.asked_key IS
    'key, columns, format and type of the bounds as the caller gave them, to plan the pull anew';
COMMENT ON COLUMN parallel_loader.pull.table_name IS
    'name of "table" when the pull was started';
COMMENT ON COLUMN parallel_loader.pull.source_flushed IS
    'true: the source has flushed all that the snapshot shows; false: this was not confirmed, and no append can continue from this pull';
COMMENT ON COLUMN parallel_loader.chunk.local_relations IS
    'table or partitions on the destination that the rows went into, as oid:filenode';
COMMENT ON COLUMN parallel_loader.mark.source_path IS
    'search path of the filter on the source';
COMMENT ON COLUMN parallel_loader.mark.local_relations IS
    'table or partitions on the destination that have the rows, as oid:filenode';
COMMENT ON COLUMN parallel_loader.mark.source_lsn IS
    'WAL location of the source at the last append';
COMMENT ON COLUMN parallel_loader.mark.owner IS
    'role that the mark belongs to; NULL: unknown';
COMMENT ON TABLE parallel_loader.unlogged_chunk IS
    'done chunks whose rows went into unlogged tables; a crash empties this table, too';
COMMENT ON FUNCTION parallel_loader.live_progress() IS
    'progress of the pulls whose coordinator is running';
COMMENT ON FUNCTION parallel_loader.live_chunks() IS 'chunks that a worker is copying';
COMMENT ON FUNCTION parallel_loader.current_pull(bigint) IS
    'current state and totals of a pull, regardless of the snapshot of the query';
COMMENT ON VIEW @extschema@.parallel_pulls IS 'your pulls; for superusers, all pulls';
COMMENT ON VIEW @extschema@.parallel_pull_chunks IS 'the chunks of your pulls; for superusers, of all pulls';
COMMENT ON VIEW @extschema@.parallel_pull_progress IS 'the progress of your pulls that have not ended; for superusers, of all such pulls';
COMMENT ON FUNCTION @extschema@.parallel_pull(text, regclass, anycompatible, anycompatible, text,
    text, text[], text, integer, text, text) IS
    'copy the rows with start <= key < end from another server, and wait; returns the number of rows';
COMMENT ON FUNCTION @extschema@.parallel_pull_start(text, regclass, text, text, text[], text,
    integer, text, text, text) IS
    'start to copy a whole table in the background; returns the pull''s id';
COMMENT ON FUNCTION @extschema@.parallel_pull_create(text, regclass, text, text, text[], text,
    integer, text, text, text, bigint) IS
    'plan and record a pull of a whole table for parallel_pull_work; returns the pull''s id';
COMMENT ON FUNCTION @extschema@.parallel_pull_work(bigint, text, integer, integer) IS
    'join a pull: copy its next chunks until none is left, or until max_chunks are done';
COMMENT ON FUNCTION @extschema@.parallel_pull_wait(bigint, interval) IS
    'wait until a pull has ended, or until timeout has passed; returns the pull''s state';
COMMENT ON FUNCTION @extschema@.parallel_pull_cancel(bigint) IS
    'cancel a pull; chunks that are done stay; returns false if the pull has ended already';
COMMENT ON FUNCTION @extschema@.parallel_pull_table(text, regclass, text, text, text[], text,
    integer, text, text, text) IS
    'copy a whole table from another server, and wait';
COMMENT ON FUNCTION @extschema@.parallel_pull_resume(bigint, text, boolean) IS
    'continue a pull that is failed, cancelled or interrupted, and wait';
COMMENT ON FUNCTION @extschema@.parallel_pull_alter(bigint, integer, integer) IS
    'change a running pull: number of workers (0 pauses it), limit in kB per second (0 removes it)';
COMMENT ON FUNCTION @extschema@.parallel_pull_append(text, regclass, text, text, text[], text,
    integer, text) IS
    'copy the rows that were inserted into the source''s table since the last time; returns the number of rows';
COMMENT ON FUNCTION @extschema@.parallel_pull_plan(text, regclass, text, text, text[], text,
    integer, text, text, text) IS
    'show the chunks that a pull of a whole table would have; changes nothing';
COMMENT ON FUNCTION @extschema@.parallel_pull_verify(text, regclass, text, text, text[], text,
    integer, text, text, text) IS
    'compare the rows of a table with those of its source, range by range; changes nothing';
COMMENT ON FUNCTION @extschema@.parallel_pull_check(text, regclass, text, text, text[], text,
    integer, text, text, text) IS
    'report what would prevent a pull, or slow it down; changes nothing';
COMMENT ON FUNCTION @extschema@.parallel_pull_sequences(text, regclass) IS
    'set the sequences of a table''s columns, or of all tables, to the values of the source''s sequences';
COMMENT ON FUNCTION @extschema@.parallel_pull_forget(regclass, text, text) IS
    'remove the marks of a table, so that the next append copies all rows; returns the number of marks and pulls';
COMMENT ON FUNCTION @extschema@.parallel_pull_keep(regclass, text, text) IS
    'confirm that a table, as it is now, has all rows that it should have, for appends and resumes; returns the number of marks and pulls';

-- Processes of 0.4 look at the version of the objects, and end when they find a newer one.  Pulls of 0.3
-- (without snapshot_lock), whose processes do not, were told of by the update to 0.4.
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
            DETAIL = 'Their processes have loaded the library of version 0.4. Pulls that are not '
                     'finished: '::text || unfinished,
            HINT = 'If the rows that were copied have not changed on the source, call '
                   'parallel_pull_resume(pull_id, new_snapshot => true). Otherwise empty the table and '
                   'pull it again.'::text;
    END IF;
END
$do$;
