-- Which columns travel, in what form, and which relations can be read. The server under test is its
-- own source.
SET client_min_messages = warning;
\set VERBOSITY sqlstate
SELECT format('host=%s port=%s dbname=%s user=%s',
              coalesce(nullif(split_part(current_setting('unix_socket_directories'), ',', 1), ''), 'localhost'),
              current_setting('port'), current_database(), current_user) AS source \gset
\set format 'SELECT format FROM parallel_pulls ORDER BY pull_id DESC LIMIT 1;'
CREATE SCHEMA source;

-- Columns find each other by name: another order, dropped columns, columns that only the
-- destination has.
CREATE TABLE source.account (gone integer, id integer PRIMARY KEY, owner text, "Balance in EUR" numeric);
ALTER TABLE source.account DROP COLUMN gone;
CREATE TABLE account (
    "Balance in EUR" numeric,
    opened date DEFAULT '2024-05-06',
    dropped text,
    owner text,
    id integer PRIMARY KEY,
    note text);
ALTER TABLE account DROP COLUMN dropped;
INSERT INTO source.account VALUES (1, 'ann', 1.50), (2, NULL, 'NaN'), (3, E'tab\there\nand \\ there', NULL);
SELECT parallel_pull(:'source', 'account', NULL, NULL, source_table => 'source.account');
:format
SELECT * FROM account ORDER BY id;
TRUNCATE account;

-- A column that the destination lacks is an error, unless the list of columns leaves it out.
ALTER TABLE source.account ADD COLUMN extra integer DEFAULT 7;
SELECT parallel_pull(:'source', 'account', NULL, NULL, source_table => 'source.account');
SELECT parallel_pull(:'source', 'account', NULL, NULL, source_table => 'source.account',
                     columns => '{owner,id}');
SELECT * FROM account ORDER BY id;
SELECT parallel_pull(:'source', 'account', NULL, NULL, source_table => 'source.account', columns => '{id,extra}');
SELECT parallel_pull(:'source', 'account', NULL, NULL, source_table => 'source.account', columns => '{id,note}');
SELECT parallel_pull(:'source', 'account', NULL, NULL, source_table => 'source.account', columns => '{id,nowhere}');
SELECT parallel_pull(:'source', 'account', NULL, NULL, source_table => 'source.account', columns => '{id,owner,id}');
SELECT parallel_pull(:'source', 'account', NULL, NULL, source_table => 'source.account', columns => '{ID}');
SELECT parallel_pull(:'source', 'account', NULL, NULL, source_table => 'source.account', columns => '{id,ctid}');
SELECT parallel_pull(:'source', 'account', NULL, NULL, source_table => 'source.account', columns => '{id,NULL}');
SELECT count(*) FROM account;

-- The key need not travel.
TRUNCATE account;
ALTER TABLE account DROP CONSTRAINT account_pkey, ALTER COLUMN id DROP NOT NULL;
SELECT parallel_pull(:'source', 'account', 2, 4, source_table => 'source.account', columns => '{owner}');
SELECT id, owner FROM account ORDER BY owner;

-- Generated columns are computed here, identity columns take the source's values.
CREATE TABLE source.item (
    id integer GENERATED ALWAYS AS IDENTITY (START 100) PRIMARY KEY,
    price integer,
    twice integer GENERATED ALWAYS AS (price * 2) STORED);
CREATE TABLE item (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    twice integer GENERATED ALWAYS AS (price * 2) STORED,
    price integer);
INSERT INTO source.item (price) VALUES (10), (20);
SELECT parallel_pull(:'source', 'item', NULL, NULL, source_table => 'source.item');
SELECT id, price, twice FROM item ORDER BY id;
TRUNCATE item;
SELECT parallel_pull(:'source', 'item', NULL, NULL, source_table => 'source.item', columns => '{id,twice}');
-- What the source generates may be a plain column here.
CREATE TABLE plain_item (id integer, price integer, twice integer);
SELECT parallel_pull(:'source', 'plain_item', NULL, NULL, source_table => 'source.item');
SELECT * FROM plain_item ORDER BY id;

-- Columns of different types go as text, and the destination's input decides.
CREATE TABLE source.loose (id integer PRIMARY KEY, amount text, flag integer);
CREATE TABLE strict (id bigint PRIMARY KEY, amount integer, flag boolean);
INSERT INTO source.loose VALUES (1, '100', 1), (2, ' -5 ', 0);
SELECT parallel_pull(:'source', 'strict', NULL, NULL, source_table => 'source.loose', format => 'binary');
SELECT parallel_pull(:'source', 'strict', NULL, NULL, source_table => 'source.loose');
:format
SELECT * FROM strict ORDER BY id;
TRUNCATE strict;
INSERT INTO source.loose VALUES (3, 'many', 1);
SELECT parallel_pull(:'source', 'strict', NULL, NULL, source_table => 'source.loose');
SELECT count(*) FROM strict;

-- The format: binary where it is safe, text where it is asked for.
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN positive AS integer CHECK (value > 0);
CREATE TABLE source.kind (
    id integer PRIMARY KEY, m mood, ms mood[], p pair, ps pair[], d positive, ds positive[], t text[],
    r int4range, j jsonb, b bytea, ts timestamptz, i interval, u uuid, f double precision);
CREATE TABLE kind (LIKE source.kind INCLUDING ALL);
INSERT INTO source.kind VALUES
    (1, 'low', '{low,high}', '(1,"a, b")', ARRAY[(2, NULL)::pair, NULL], 5, '{1,NULL,3}', '{"", NULL, "NULL"}',
     '[1,5)', '{"a": [1, null]}', '\x00ff', '2024-02-29 12:00:00.000001+00', '1 mon -3 days 04:05:06.7',
     '00000000-0000-0000-0000-000000000001', 0.1::float8 + 0.2::float8),
    (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (3, 'high', '{}', ROW(NULL, '')::pair, '{}', 1, '{}', '{}', 'empty', 'null', '', 'infinity', '0', NULL, 'NaN');
SELECT parallel_pull(:'source', 'kind', NULL, NULL, source_table => 'source.kind');
:format
SELECT count(*) AS equal_rows FROM (SELECT k::text FROM kind AS k INTERSECT SELECT k::text FROM source.kind AS k) AS k;
TRUNCATE kind;
SELECT parallel_pull(:'source', 'kind', NULL, NULL, source_table => 'source.kind', format => 'binary');
:format
SELECT count(*) AS equal_rows FROM (SELECT k::text FROM kind AS k INTERSECT SELECT k::text FROM source.kind AS k) AS k;
TRUNCATE kind;
SET datestyle = 'SQL, DMY';
SET intervalstyle = sql_standard;
SET extra_float_digits = -10;
SET bytea_output = escape;
SELECT parallel_pull(:'source', 'kind', NULL, NULL, source_table => 'source.kind', format => 'text');
RESET datestyle;
RESET intervalstyle;
RESET extra_float_digits;
RESET bytea_output;
:format
SELECT count(*) AS equal_rows FROM (SELECT k::text FROM kind AS k INTERSECT SELECT k::text FROM source.kind AS k) AS k;
SELECT f = 0.1::float8 + 0.2::float8 AS same_float FROM kind WHERE id = 1;
-- An object's number would mean nothing elsewhere: reg* types travel by name.
CREATE TABLE source.names (id integer PRIMARY KEY, c regclass, t regtype);
CREATE TABLE names (LIKE source.names);
INSERT INTO source.names VALUES (1, 'source.names', 'mood'), (2, NULL, 'integer');
SELECT parallel_pull(:'source', 'names', NULL, NULL, source_table => 'source.names', format => 'binary');
SELECT parallel_pull(:'source', 'names', NULL, NULL, source_table => 'source.names');
:format
SELECT * FROM names ORDER BY id;
SELECT parallel_pull(:'source', 'names', NULL, NULL, source_table => 'source.names', format => 'csv');

-- No column at all.
CREATE TABLE source.bare ();
CREATE TABLE bare ();
INSERT INTO source.bare DEFAULT VALUES;
INSERT INTO source.bare DEFAULT VALUES;
SELECT parallel_pull(:'source', 'bare', NULL, NULL, source_table => 'source.bare');
SELECT count(*) FROM bare;

-- Names of every sort.
CREATE TABLE source."sel""ect
 two" ("from" integer PRIMARY KEY, "a ""b""
c" text, "sixty-three bytes of a name, which is as long as a name can be." text);
CREATE TABLE "sel""ect
 two" (LIKE source."sel""ect
 two" INCLUDING ALL);
INSERT INTO source."sel""ect
 two" VALUES (1, 'x', 'y');
SELECT parallel_pull(:'source', E'"sel""ect\n two"', 0, 2, 'from', E'source."sel""ect\n two"');
SELECT "from" FROM "sel""ect
 two";

-- Relations that can be read.
CREATE TABLE source.parent (id integer PRIMARY KEY);
CREATE TABLE source.child (PRIMARY KEY (id)) INHERITS (source.parent);
INSERT INTO source.parent VALUES (1), (2);
INSERT INTO source.child VALUES (3);
CREATE TABLE source.parted (id integer) PARTITION BY RANGE (id);
CREATE TABLE source.parted_low PARTITION OF source.parted FOR VALUES FROM (0) TO (10);
CREATE TABLE source.parted_high PARTITION OF source.parted FOR VALUES FROM (10) TO (20);
INSERT INTO source.parted SELECT generate_series(5, 14);
CREATE VIEW source.some AS SELECT id FROM source.parted WHERE id % 2 = 0;
CREATE MATERIALIZED VIEW source.kept AS SELECT id FROM source.parted WHERE id > 11;
CREATE SEQUENCE source.counter;
CREATE TABLE number (id integer) PARTITION BY LIST (id);
CREATE TABLE number_7 PARTITION OF number FOR VALUES IN (7);
CREATE TABLE number_rest PARTITION OF number DEFAULT;
\set look 'SELECT string_agg(id::text, '' '' ORDER BY id) AS ids FROM number; TRUNCATE number;'
SELECT parallel_pull(:'source', 'number', NULL, NULL, source_table => 'source.parent');
:look
SELECT parallel_pull(:'source', 'number', NULL, NULL, source_table => 'source.child');
:look
SELECT parallel_pull(:'source', 'number', NULL, NULL, source_table => 'source.parted');
SELECT count(*) FROM number_7;
:look
SELECT parallel_pull(:'source', 'number', 6, 12, 'id', 'source.parted');
:look
SELECT parallel_pull(:'source', 'number', 6, 12, 'id', 'source.some');
:look
SELECT parallel_pull(:'source', 'number', NULL, NULL, source_table => 'source.kept');
:look
SELECT parallel_pull(:'source', 'number', NULL, NULL, source_table => 'source.counter');
SELECT parallel_pull(:'source', 'number', NULL, NULL, source_table => 'source.child_pkey');
SELECT parallel_pull(:'source', 'number', NULL, NULL, source_table => 'source.missing');
SELECT parallel_pull(:'source', 'number', NULL, NULL, source_table => 'missing.parent');
SELECT parallel_pull(:'source', 'number', NULL, NULL, source_table => 'a.b.c.d');
-- A name without a schema is looked up along the source's search path, not the caller's.
SET search_path = source, public;
SELECT parallel_pull(:'source', 'public.number', NULL, NULL, source_table => 'child');
RESET search_path;
:look

DROP TABLE account, item, plain_item, strict, kind, names, bare, number, "sel""ect
 two";
SET client_min_messages = error;
DROP SCHEMA source CASCADE;
DROP TYPE mood, pair, positive;
