-- What the extension consists of, who may use it, and its settings.
SET client_min_messages = warning;
\set VERBOSITY sqlstate

-- Functions and views go to the schema that the user chooses, the ledger to its own.
DROP EXTENSION parallel_loader;
CREATE SCHEMA tools;
CREATE EXTENSION parallel_loader SCHEMA tools;
SELECT extversion, extnamespace::regnamespace, extrelocatable
FROM pg_extension WHERE extname = 'parallel_loader';

-- Every object has a comment. Left out are row types, members from version 17 on only, and the
-- sequence of the identity column, which is part of that column.
SELECT pg_describe_object(classid, objid, 0) AS object,
       obj_description(objid, classid::regclass::text::name) IS NOT NULL AS has_comment
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'parallel_loader')
  AND deptype = 'e'
  AND classid <> 'pg_type'::regclass
  AND objid NOT IN (SELECT oid FROM pg_class WHERE relkind = 'S')
ORDER BY pg_describe_object(classid, objid, 0) COLLATE "C";

-- Whoever may call the functions that pull can make the server connect elsewhere: none is open to
-- all. Only the four functions that the views call are, in a schema that nobody else may use.
SELECT oid::regproc AS function,
       provolatile AS volatile,
       proparallel AS parallel,
       prosecdef AS security_definer,
       has_function_privilege('public', oid, 'EXECUTE') AS public_may_execute
FROM pg_proc
WHERE pronamespace IN ('tools'::regnamespace, 'parallel_loader'::regnamespace)
ORDER BY oid::regproc::text COLLATE "C";

-- The ledger is granted to nobody; the views show their own rows to everybody.
SELECT has_schema_privilege('public', 'parallel_loader', 'USAGE, CREATE') AS public_may_use_schema;
SELECT oid::regclass AS relation,
       relkind,
       has_table_privilege('public', oid, 'SELECT') AS public_may_read,
       has_table_privilege('public', oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
           AS public_may_write,
       coalesce('security_barrier=true' = ANY (reloptions), false) AS is_security_barrier
FROM pg_class
WHERE relnamespace IN ('tools'::regnamespace, 'parallel_loader'::regnamespace)
  AND relkind IN ('r', 'v')
ORDER BY oid::regclass::text COLLATE "C";

-- pg_dump takes the ledger along.
SELECT relation::regclass AS dumped
FROM pg_extension, unnest(extconfig) AS relation
WHERE extname = 'parallel_loader' ORDER BY relation::regclass::text COLLATE "C";

-- The schemas are chosen once and for all.
ALTER EXTENSION parallel_loader SET SCHEMA public;

-- An empty pull works from there.
CREATE TABLE nothing (id integer PRIMARY KEY);
CREATE TABLE nothing_there (LIKE nothing);
SELECT format('host=%s port=%s dbname=%s user=%s',
              coalesce(nullif(split_part(current_setting('unix_socket_directories'), ',', 1), ''), 'localhost'),
              current_setting('port'), current_database(), current_user) AS source \gset
SELECT tools.parallel_pull(:'source', 'nothing', NULL, NULL, source_table => 'nothing_there');
SELECT state, rows FROM tools.parallel_pulls;
DROP TABLE nothing, nothing_there;

-- Nothing is left of it in the end.
DROP EXTENSION parallel_loader;
DROP SCHEMA tools;
SELECT count(*) FROM pg_namespace WHERE nspname = 'parallel_loader';
CREATE EXTENSION parallel_loader;

-- Settings, and what they refuse.
LOAD 'parallel_loader';
SHOW parallel_loader.workers;
SHOW parallel_loader.chunk_size;
SHOW parallel_loader.snapshot_hold;
SHOW parallel_loader.retry_budget;
SELECT name, unit, context, vartype FROM pg_settings
WHERE name LIKE 'parallel\_loader.%' ORDER BY name COLLATE "C";
SET parallel_loader.workers = 0;
SET parallel_loader.workers = 'many';
SET parallel_loader.chunk_size = '1 kB';
SET parallel_loader.chunk_size = '2 hours';
SET parallel_loader.snapshot_hold = -1;
SET parallel_loader.retry_budget = -1;
SET parallel_loader.retry_budget = 'for ever';
-- Other names with that prefix are refused from version 15 on.
DO $$
BEGIN
  SET parallel_loader.workres = 8;
  IF current_setting('server_version_num')::integer >= 150000 THEN
    RAISE 'accepted';
  END IF;
EXCEPTION WHEN invalid_name THEN
  NULL;
END $$;
SET parallel_loader.workers = 2;
SET parallel_loader.chunk_size = '16MB';
SHOW parallel_loader.workers;
SHOW parallel_loader.chunk_size;
