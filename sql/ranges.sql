-- Which rows a range takes. The server under test is its own source.
SET client_min_messages = warning;
\set VERBOSITY sqlstate
SELECT format('host=%s port=%s dbname=%s user=%s',
              coalesce(nullif(split_part(current_setting('unix_socket_directories'), ',', 1), ''), 'localhost'),
              current_setting('port'), current_database(), current_user) AS source \gset

CREATE SCHEMA source;
CREATE TABLE source.reading (id integer, note text);
INSERT INTO source.reading SELECT i, 'note ' || i FROM generate_series(-5, 20) AS i;
INSERT INTO source.reading VALUES (NULL, 'without id'), (NULL, 'without id');
CREATE TABLE reading (id integer, note text);

-- Each pull is looked at once and the table emptied for the next.
\set look 'SELECT count(*), min(id), max(id), count(*) - count(id) AS nulls FROM reading; TRUNCATE reading;'

-- Half-open: the start belongs to the range, the end does not.
SELECT parallel_pull(:'source', 'reading', 1, 11, 'id', 'source.reading');
:look
-- One side open: all rows on that side, but none without a key.
SELECT parallel_pull(:'source', 'reading', 5, NULL, 'id', 'source.reading');
:look
SELECT parallel_pull(:'source', 'reading', NULL, 0, 'id', 'source.reading');
:look
-- Both sides open: every row, and no key is needed.
SELECT parallel_pull(:'source', 'reading', NULL, NULL, 'id', 'source.reading');
:look
SELECT parallel_pull(:'source', 'reading', NULL, NULL, source_table => 'source.reading');
:look
SELECT parallel_pull(:'source', 'reading', NULL::integer, NULL, source_table => 'source.reading');
:look
-- Nothing lies between equal bounds, and no range runs backwards.
SELECT parallel_pull(:'source', 'reading', 7, 7, 'id', 'source.reading');
SELECT parallel_pull(:'source', 'reading', 8, 7, 'id', 'source.reading');
SELECT parallel_pull(:'source', 'reading', 1000, 2000, 'id', 'source.reading');
:look

-- Bounds of any type that the key can be compared with.
SELECT parallel_pull(:'source', 'reading', -3, 0, 'id', 'source.reading');
SELECT parallel_pull(:'source', 'reading', 0::bigint, 3::smallint, 'id', 'source.reading');
SELECT parallel_pull(:'source', 'reading', '3', '5', 'id', 'source.reading');
SELECT parallel_pull(:'source', 'reading', '5'::text, '7'::text, 'id', 'source.reading');
SELECT parallel_pull(:'source', 'reading', 6.5, 9.5, 'id', 'source.reading');
SELECT parallel_pull(:'source', 'reading', 1e1, 1e6, 'id', 'source.reading');
SELECT count(DISTINCT id), min(id), max(id) FROM reading;
:look
-- Beyond what the key's type can hold lies nothing, but it is no error.
SELECT parallel_pull(:'source', 'reading', -5000000000, 5000000000, 'id', 'source.reading');
:look
SELECT parallel_pull(:'source', 'reading', 'one', 'two', 'id', 'source.reading');
SELECT parallel_pull(:'source', 'reading', now(), NULL, 'id', 'source.reading');
:look

-- A filter narrows the range whatever operators it holds.
SELECT parallel_pull(:'source', 'reading', 1, 11, 'id', 'source.reading',
                     filter => 'id = 2 OR id = 15');
SELECT parallel_pull(:'source', 'reading', 1, 11, 'id', 'source.reading',
                     filter => 'note LIKE ''%1'' -- ends with 1');
SELECT parallel_pull(:'source', 'reading', NULL, NULL, source_table => 'source.reading',
                     filter => 'id IS NULL');
:look
SELECT parallel_pull(:'source', 'reading', 1, 11, 'id', 'source.reading', filter => 'missing = 1');
SELECT parallel_pull(:'source', 'reading', 1, 11, 'id', 'source.reading', filter => 'true) TO STDOUT; --');
SELECT parallel_pull(:'source', 'reading', 1, 11, 'id', 'source.reading',
                     filter => 'true)) TO STDOUT; DROP TABLE source.reading; COPY (SELECT (1');
SELECT parallel_pull(:'source', 'reading', 1, 11, 'id', 'source.reading', filter => 'note');
:look

-- The key: a primary key, else a unique index over one column that is never null.
SELECT parallel_pull(:'source', 'reading', 1, 11, source_table => 'source.reading');
CREATE UNIQUE INDEX reading_id ON source.reading (id);
SELECT parallel_pull(:'source', 'reading', 1, 11, source_table => 'source.reading');
DELETE FROM source.reading WHERE id IS NULL;
ALTER TABLE source.reading ALTER COLUMN id SET NOT NULL;
SELECT parallel_pull(:'source', 'reading', 1, 11, source_table => 'source.reading');
:look
SELECT parallel_pull(:'source', 'reading', 1, 11, 'missing', 'source.reading');
SELECT parallel_pull(:'source', 'reading', 1, 11, '(id, id)', 'source.reading');
SELECT parallel_pull(:'source', 'reading', 1, 11, '(id', 'source.reading');
SELECT parallel_pull(:'source', 'reading', 1, 11, 'ID', 'source.reading');

-- Keys at the ends of bigint.
CREATE TABLE source.far (id bigint PRIMARY KEY);
CREATE TABLE far (id bigint PRIMARY KEY);
INSERT INTO source.far VALUES (-9223372036854775808), (-1), (0), (9223372036854775807);
SELECT parallel_pull(:'source', 'far', NULL, NULL, source_table => 'source.far');
SELECT * FROM far ORDER BY id;
TRUNCATE far;
SELECT parallel_pull(:'source', 'far', -9223372036854775808, 9223372036854775807, source_table => 'source.far');
SELECT * FROM far ORDER BY id;
TRUNCATE far;
SELECT parallel_pull(:'source', 'far', 1, NULL, source_table => 'source.far');
SELECT * FROM far;

-- Dates and times, in the caller's time zone and order of day and month.
CREATE TABLE source.event (at timestamptz PRIMARY KEY, day date NOT NULL);
CREATE TABLE event (at timestamptz PRIMARY KEY, day date NOT NULL);
INSERT INTO source.event
SELECT at, (at AT TIME ZONE 'UTC')::date
FROM generate_series(timestamptz '2024-01-01 00:00+00', '2024-03-31 23:00+00', '1 hour') AS at;
\set look 'SELECT count(*), min(at) AT TIME ZONE ''UTC'' AS min, max(at) AT TIME ZONE ''UTC'' AS max FROM event; TRUNCATE event;'
SET timezone = 'UTC';
SELECT parallel_pull(:'source', 'event', '2024-01-02', '2024-01-03', source_table => 'source.event');
:look
SET timezone = 'Asia/Tokyo';
SELECT parallel_pull(:'source', 'event', '2024-01-02', '2024-01-03', source_table => 'source.event');
:look
SELECT parallel_pull(:'source', 'event', date '2024-01-02', date '2024-01-03', source_table => 'source.event');
:look
SELECT parallel_pull(:'source', 'event', timestamptz '2024-01-02', timestamptz '2024-01-02' + interval '1 day',
                     source_table => 'source.event');
:look
SET datestyle = 'SQL, DMY';
SELECT parallel_pull(:'source', 'event', '01/02/2024', '02/02/2024', 'day', 'source.event');
:look
SET datestyle = 'SQL, MDY';
SELECT parallel_pull(:'source', 'event', '01/02/2024', '02/02/2024', 'day', 'source.event');
:look
RESET datestyle;
RESET timezone;
SELECT parallel_pull(:'source', 'event', now() - interval '1 day', now(), source_table => 'source.event');

-- Any other type that sorts.
CREATE TABLE source.thing (u uuid PRIMARY KEY, "Mixed Case" text NOT NULL, price numeric(8,2) NOT NULL);
CREATE TABLE thing (u uuid PRIMARY KEY, "Mixed Case" text NOT NULL, price numeric(8,2) NOT NULL);
INSERT INTO source.thing
SELECT (lpad(to_hex(i), 8, '0') || '-0000-0000-0000-000000000000')::uuid, 'name ' || chr(96 + i), i * 1.25
FROM generate_series(1, 20) AS i;
\set look 'SELECT string_agg(right("Mixed Case", 1), '''' ORDER BY u) AS things FROM thing; TRUNCATE thing;'
SELECT parallel_pull(:'source', 'thing', '00000002-0000-0000-0000-000000000000',
                     '00000005-0000-0000-0000-000000000000', source_table => 'source.thing');
:look
SELECT parallel_pull(:'source', 'thing', '0000000f-0000-0000-0000-000000000000'::uuid, NULL,
                     source_table => 'source.thing');
:look
SELECT parallel_pull(:'source', 'thing', 'name c', 'name f', 'Mixed Case', 'source.thing');
:look
SELECT parallel_pull(:'source', 'thing', 2.5, 3.751, 'price', 'source.thing');
:look
SELECT parallel_pull(:'source', 'thing', '(2.5,"name a")', '(5,"name d")', '(price, "Mixed Case")', 'source.thing');
:look
SELECT parallel_pull(:'source', 'thing', '(0,3)', '(0,6)', 'ctid', 'source.thing');
:look
SELECT parallel_pull(:'source', 'thing', '(1)', '(2)', '(price, "Mixed Case")', 'source.thing');
:look

DROP TABLE reading, far, event, thing;
SET client_min_messages = error;
DROP SCHEMA source CASCADE;
