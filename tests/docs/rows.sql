-- Their rows on the source: a million signals as those of scripts/demo, and some others; and the role
-- that reads them.
SET timezone = 'UTC';
INSERT INTO signals
SELECT id,
       1 + h % 5000,
       timestamptz '2024-01-01' + id * interval '1.7 seconds',
       -90 + (h % 180000000) / 1e6,
       -180 + (h % 359999983) / 1e6,
       (h % 99999999) / 1e4,
       (ARRAY['ok', 'ok', 'ok', 'ok', 'late', 'weak', 'lost'])[1 + h % 7],
       'site-' || h % 300 || '/line-' || h % 17,
       CASE WHEN h % 10 > 0 THEN left('reading ' || md5(id::text) || md5(h::text), (12 + h % 60)::int) END
FROM (SELECT id, hashint8extended(id, 7) & 9223372036854775807 AS h
      FROM generate_series(1, 1000000) AS id) AS s;
SELECT setval('signals_id_seq', 1000000);
INSERT INTO events
SELECT i, timestamptz '2024-01-01' + i * interval '1 minute', 'event ' || i FROM generate_series(1, 100000) AS i;
SELECT setval('events_id_seq', 100000);
INSERT INTO orders (note) SELECT 'order ' || i FROM generate_series(1, 300) AS i;
INSERT INTO order_lines SELECT id, line, 'article ' || (id * line) % 97 FROM orders, generate_series(1, 3) AS line;
VACUUM ANALYZE;
CREATE ROLE loader LOGIN PASSWORD 'secret';
GRANT SELECT ON ALL TABLES IN SCHEMA public TO loader;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO loader;
