-- Pulls that are started, planned, joined, awaited and cancelled, and what the ledger says of them.
-- The server under test is its own source.
SET client_min_messages = warning;
\set VERBOSITY sqlstate
SELECT format('host=%s port=%s dbname=%s user=%s',
              coalesce(nullif(split_part(current_setting('unix_socket_directories'), ',', 1), ''), 'localhost'),
              current_setting('port'), current_database(), current_user) AS source \gset
CREATE SCHEMA source;
CREATE TABLE source.t (id integer PRIMARY KEY, v text);
-- Some megabytes, so that it is cut into several chunks.
INSERT INTO source.t SELECT i, repeat('v', 1000) FROM generate_series(1, 10000) AS i;
ANALYZE source.t;
CREATE TABLE t (id integer PRIMARY KEY, v text);

-- A pull in the foreground stands in the ledger like any other.
SELECT parallel_pull(:'source', 't', 1, 5001, source_table => 'source.t', workers => 2);
SELECT pull_id AS pull FROM parallel_pulls ORDER BY pull_id DESC LIMIT 1 \gset
SELECT owner::text = current_user AS is_mine, "table", source_table, key, format, state, rows,
       bytes > 5000000 AS has_bytes, chunks = chunks_done AS all_done, chunks > 2 AS is_cut, retries, workers,
       started <= finished AS has_ended, sqlstate, error
FROM parallel_pulls WHERE pull_id = :pull;
-- No password and no secret, but where the rows came from.
SELECT source = :'source' OR source LIKE '%dbname%' AS names_source, source LIKE '%password%' AS has_password
FROM parallel_pulls WHERE pull_id = :pull;
-- The chunks follow each other without gap and overlap, and cover the range.
SELECT bool_and(state = 'done') AS all_done, sum(rows) AS rows, bool_or(nulls) AS nulls,
       bool_and(route = 'heap') AS by_heap, max(attempts) AS attempts, bool_and(pid IS NULL) AS nobody_works,
       (array_agg(start ORDER BY chunk))[1] AS first_start,
       (array_agg("end" ORDER BY chunk DESC))[1] AS last_end
FROM parallel_pull_chunks WHERE pull_id = :pull;
SELECT count(*) AS gaps
FROM (SELECT start, lag("end") OVER (ORDER BY chunk) AS last_end, chunk
      FROM parallel_pull_chunks WHERE pull_id = :pull) AS c
WHERE chunk > 1 AND start IS DISTINCT FROM last_end;
TRUNCATE t;

-- In the background.
SELECT parallel_pull_start(:'source', 't', source_table => 'source.t') AS pull \gset
SELECT parallel_pull_wait(:pull);
SELECT parallel_pull_wait(:pull, '1 second');
SELECT state, rows, chunks = chunks_done AS all_done FROM parallel_pulls WHERE pull_id = :pull;
SELECT count(*), count(DISTINCT id) FROM t;
SELECT parallel_pull_cancel(:pull);
TRUNCATE t;

-- What fails in the background is told by the view, and by whoever waits.
SELECT parallel_pull_start(:'source', 't', source_table => 'source.missing') AS pull \gset
SELECT parallel_pull_wait(:pull);
SELECT state, sqlstate, error IS NOT NULL AS has_error, rows FROM parallel_pulls WHERE pull_id = :pull;

-- Planned first, then moved by any session that joins.
SELECT parallel_pull_create(:'source', 't', source_table => 'source.t', workers => 2) AS pull \gset
SELECT state, rows, chunks > 2 AS is_cut, chunks_done FROM parallel_pulls WHERE pull_id = :pull;
SELECT count(*) FROM t;
SELECT parallel_pull_wait(:pull, '100 milliseconds');
SELECT chunks, rows > 0 AS has_rows, remaining > 0 AS some_remain FROM parallel_pull_work(:pull, max_chunks => 1);
-- Its coordinator notes within a turn that the first worker has joined.
DO $$
BEGIN
    FOR i IN 1..50 LOOP
        EXIT WHEN (SELECT state FROM parallel_pulls ORDER BY pull_id DESC LIMIT 1) = 'running';
        PERFORM pg_sleep(0.1);
    END LOOP;
END $$;
SELECT state, chunks_done, rows = (SELECT count(*) FROM t) AS rows_are_there FROM parallel_pulls WHERE pull_id = :pull;
SELECT "table", state, chunks_done, chunks > 2 AS is_cut, rows = (SELECT count(*) FROM t) AS rows_are_there,
       seconds >= 0 AS has_time, rows_per_second >= 0 AS has_rate, percent > 0 AND percent < 100 AS is_under_way,
       retries, snapshot_age > '0' AS has_age, max_rate, waiting_for LIKE '%parallel_pull_work(%' AS is_left
FROM parallel_pull_progress WHERE pull_id = :pull;
SELECT chunks > 0 AS has_chunks, remaining FROM parallel_pull_work(:pull, :'source', workers => 2);
SELECT parallel_pull_wait(:pull);
SELECT state, rows, chunks = chunks_done AS all_done FROM parallel_pulls WHERE pull_id = :pull;
SELECT count(*), count(DISTINCT id) FROM t;
SELECT count(*) FROM parallel_pull_progress WHERE pull_id = :pull;
-- Nothing is left to do for who comes late.
SELECT * FROM parallel_pull_work(:pull);
TRUNCATE t;

-- The whole table at once, with its totals.
SELECT rows, bytes > 10000000 AS has_bytes, chunks > 2 AS is_cut, seconds > 0 AS has_time
FROM parallel_pull_table(:'source', 't', source_table => 'source.t', chunk_size => '2MB');
SELECT count(*), count(DISTINCT id) FROM t;
TRUNCATE t;

-- A pull that is paused moves nothing; with workers of its own it needs no session that joins.
SELECT parallel_pull_create(:'source', 't', source_table => 'source.t', workers => 2) AS pull \gset
SELECT parallel_pull_alter(:pull, workers => 0, max_rate => 1000000);
DO $$
BEGIN
    FOR i IN 1..50 LOOP
        EXIT WHEN (SELECT state FROM parallel_pulls ORDER BY pull_id DESC LIMIT 1) = 'paused';
        PERFORM pg_sleep(0.1);
    END LOOP;
END $$;
SELECT state, chunks_done, max_rate FROM parallel_pulls WHERE pull_id = :pull;
SELECT parallel_pull_alter(:pull, workers => 2, max_rate => 0);
SELECT parallel_pull_wait(:pull);
SELECT state, rows, max_rate FROM parallel_pulls WHERE pull_id = :pull;
-- Nothing can be changed any more, and nothing is left to resume.
SELECT parallel_pull_alter(:pull, workers => 3);
SELECT parallel_pull_alter(:pull, workers => -1);
SELECT parallel_pull_alter(:pull, max_rate => -1);
SELECT rows, chunks > 2 AS is_cut FROM parallel_pull_resume(:pull, :'source');
SELECT count(*), count(DISTINCT id) FROM t;
TRUNCATE t;

-- A pull that is cancelled keeps the chunks that are done.
SELECT parallel_pull_create(:'source', 't', source_table => 'source.t', workers => 2) AS pull \gset
SELECT chunks FROM parallel_pull_work(:pull, max_chunks => 2);
SELECT parallel_pull_cancel(:pull);
SELECT parallel_pull_wait(:pull);
SELECT parallel_pull_cancel(:pull);
SELECT state, rows > 0 AS has_rows, rows = (SELECT count(*) FROM t) AS rows_are_there
FROM parallel_pulls WHERE pull_id = :pull;
SELECT * FROM parallel_pull_work(:pull);
-- Its snapshot is lost, and only part of its rows is there; the source has not changed.
SELECT * FROM parallel_pull_resume(:pull, :'source');
SELECT rows, chunks > 2 AS is_cut FROM parallel_pull_resume(:pull, :'source', new_snapshot => true);
SELECT state, rows, retries, sqlstate, error FROM parallel_pulls WHERE pull_id = :pull;
SELECT count(*), count(DISTINCT id) FROM t;
TRUNCATE t;

-- Pulls of one run read one snapshot, as long as the run has it.
CREATE TABLE other (LIKE t);
SELECT parallel_pull_create(:'source', 't', source_table => 'source.t') AS first \gset
INSERT INTO source.t VALUES (10001, 'too late for this run');
SELECT parallel_pull_create(:'source', 'other', source_table => 'source.t', run_id => :first) AS second \gset
SELECT count(DISTINCT run_id) AS runs FROM parallel_pulls WHERE pull_id IN (:first, :second);
SELECT remaining FROM parallel_pull_work(:second);
SELECT remaining FROM parallel_pull_work(:first);
SELECT parallel_pull_wait(:first), parallel_pull_wait(:second);
SELECT count(*), max(id) FROM (TABLE t INTERSECT TABLE other) AS shared;
-- Another one may come, for a moment.
DO $$
BEGIN
  WHILE EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'parallel_loader coordinator') LOOP
    PERFORM pg_sleep(0.05), pg_stat_clear_snapshot();
  END LOOP;
END $$;
SELECT parallel_pull_create(:'source', 't', source_table => 'source.t', run_id => :first);

-- No such pull.
SELECT parallel_pull_wait(0);
SELECT parallel_pull_cancel(0);
SELECT * FROM parallel_pull_work(0);
SELECT * FROM parallel_pull_resume(0);
SELECT parallel_pull_alter(0, 1);
SELECT * FROM parallel_pull_resume(NULL);
SELECT parallel_pull_cancel(NULL);

-- A caller's snapshot is what is read, as long as it lives.
CREATE TABLE source.grows (id integer PRIMARY KEY);
CREATE TABLE grows (id integer PRIMARY KEY);
INSERT INTO source.grows SELECT generate_series(1, 10);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_export_snapshot() AS snapshot \gset
-- From another session, so that the pull could see it.
CREATE EXTENSION IF NOT EXISTS dblink;
SELECT dblink_exec(:'source', 'INSERT INTO source.grows SELECT generate_series(11, 20)');
SELECT parallel_pull(:'source', 'grows', NULL, NULL, source_table => 'source.grows', snapshot => :'snapshot');
COMMIT;
SELECT max(id) FROM grows;
SELECT parallel_pull(:'source', 'grows', 11, NULL, source_table => 'source.grows');
SELECT count(*) FROM grows;
SELECT parallel_pull(:'source', 'grows', NULL, NULL, source_table => 'source.grows', snapshot => 'no snapshot');

-- Nothing is left running after 5 seconds.
DO $$
BEGIN
    FOR i IN 1..50 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE 'parallel_loader%');
        PERFORM pg_sleep(0.1), pg_stat_clear_snapshot();
    END LOOP;
END $$;
SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'parallel_loader%';
SELECT count(*) FROM parallel_pulls WHERE state IN ('planned', 'running', 'interrupted');

DROP TABLE t, other, grows;
SET client_min_messages = error;
DROP SCHEMA source CASCADE;
