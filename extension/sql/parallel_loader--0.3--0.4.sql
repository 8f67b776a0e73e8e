/* parallel_loader 0.3 to 0.4 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION parallel_loader UPDATE TO '0.4'" to load this file. \quit

ALTER TABLE parallel_loader.pull
    ADD COLUMN snapshot_lock bigint,
    ADD COLUMN snapshot_state text,
    ADD COLUMN source_host text,
    ADD COLUMN source_hostaddr text,
    ADD COLUMN source_port text,
    ADD COLUMN source_path text[],
    ADD COLUMN source_shape text,
    ADD COLUMN local_shape text,
    ADD COLUMN hold_ended text;

ALTER TABLE parallel_loader.chunk
    ADD COLUMN relation_oid oid,
    ADD COLUMN local_relations text;

ALTER TABLE parallel_loader.mark
    ADD COLUMN source_path text[],
    ADD COLUMN local_relations text;

-- Done chunks whose rows went into unlogged tables: a crash empties both.  No configuration data.
CREATE UNLOGGED TABLE parallel_loader.unlogged_chunk (
    pull_id            bigint NOT NULL,
    chunk              integer NOT NULL,
    PRIMARY KEY (pull_id, chunk)
);

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
COMMENT ON COLUMN parallel_loader.chunk.relation_oid IS
    'OID of relation on the source';
COMMENT ON COLUMN parallel_loader.chunk.local_relations IS
    'table or partitions here that the rows went into, as oid:filenode';
COMMENT ON COLUMN parallel_loader.mark.source_path IS
    'schemas in which the names of the filter are found on the source';
COMMENT ON COLUMN parallel_loader.mark.local_relations IS
    'table or partitions here that hold the rows, as oid:filenode';
COMMENT ON TABLE parallel_loader.unlogged_chunk IS
    'done chunks whose rows went into unlogged tables';
