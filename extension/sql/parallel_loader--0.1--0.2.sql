/* parallel_loader 0.1 to 0.2 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION parallel_loader UPDATE TO '0.2'" to load this file. \quit

ALTER TABLE parallel_loader.pull
    ADD COLUMN kind text NOT NULL DEFAULT 'pull' CHECK (kind IN ('pull', 'append')),
    ADD COLUMN max_rate integer CHECK (max_rate > 0),
    ADD COLUMN snapshot_xmin bigint,
    ADD COLUMN snapshot_xmax bigint;

ALTER TABLE parallel_loader.chunk
    ADD COLUMN relation text,
    ADD COLUMN estimated_rows bigint,
    ADD COLUMN estimated_bytes bigint;

COMMENT ON COLUMN parallel_loader.pull.max_rate IS 'limit in kB/s, NULL for none';
COMMENT ON COLUMN parallel_loader.pull.snapshot_xmin IS
    'oldest transaction of the source that the snapshot may not show (pg_snapshot_xmin)';
COMMENT ON COLUMN parallel_loader.pull.snapshot_xmax IS
    'first transaction of the source that the snapshot does not show (pg_snapshot_xmax)';
COMMENT ON COLUMN parallel_loader.chunk.relation IS
    'partition of the source that the chunk is read from, NULL for the table itself';
