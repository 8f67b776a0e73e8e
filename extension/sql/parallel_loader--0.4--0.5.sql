/* parallel_loader 0.4 to 0.5 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION parallel_loader UPDATE TO '0.5'" to load this file. \quit

COMMENT ON COLUMN parallel_loader.mark.updated IS
    'when the mark was made, for those who look; nothing is decided by it';

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
            HINT = 'If the rows that were pulled have not changed on the source, go on with '
                   'parallel_pull_resume(pull_id, new_snapshot => true); else empty the table and pull '
                   'it again.'::text;
    END IF;
END
$do$;
