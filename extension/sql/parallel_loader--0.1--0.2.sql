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
