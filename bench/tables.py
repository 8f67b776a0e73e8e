"""tables: the tables that are moved. Every value follows from the id, so each run moves the same rows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """`columns` are pairs of a definition and of its value, an SQL expression over id and over h, a
    hash of the id from 0 to 2^63 - 1. The column id comes before them."""

    name: str
    rows: int
    what: str
    columns: list

    def definition(self):
        return ", ".join(["id bigint NOT NULL"] + [column for column, _ in self.columns])

    def create(self):
        return f"CREATE TABLE {self.name} ({self.definition()})"

    def fill(self, rows):
        values = ", ".join(["id"] + [value for _, value in self.columns])
        return (f"INSERT INTO {self.name} SELECT {values} FROM"
                " (SELECT id, hashint8extended(id, 7) & 9223372036854775807 AS h"
                f" FROM generate_series(1, {rows}::bigint) AS id) AS s")

    def scaled(self, scale):
        return max(1000, int(self.rows * scale))


def null_in(share, value):
    """The value, but NULL in one of `share` rows."""
    return f"CASE WHEN h / 64 % {share} > 0 THEN {value} END"


# Columns and values of scripts/demo.
SIGNALS = Table("signals", 5_000_000, "9 columns: numbers, timestamp, numeric, short text", [
    ("device_id integer", "1 + h % 5000"),
    ("ts timestamptz", "timestamptz '2024-01-01' + id * interval '1.7 seconds'"),
    ("lat double precision", "-90 + (h % 180000000) / 1e6"),
    ("lon double precision", "-180 + (h % 359999983) / 1e6"),
    ("value numeric(12,4)", "(h % 99999999) / 1e4"),
    ("status text", "(ARRAY['ok', 'ok', 'ok', 'ok', 'late', 'weak', 'lost'])[1 + h % 7]"),
    ("tag text", "'site-' || h % 300 || '/line-' || h % 17"),
    ("note text", "CASE WHEN h % 10 > 0 THEN"
     " left('reading ' || md5(id::text) || md5(h::text), (12 + h % 60)::int) END"),
])

INTS = Table("ints", 5_000_000, "8 integer columns", [
    ("a integer", "h % 2147483647"),
    ("b integer", "h % 1000"),
    ("c integer", "-(h % 65537)"),
    ("d bigint", "h"),
    ("e smallint", "h % 32767"),
    ("f smallint", "h % 12"),
    ("g integer", "id / 7"),
])

DOCS = Table("docs", 1_000_000, "jsonb, text[], timestamps", [
    ("body jsonb", "jsonb_build_object('user', h % 100000, 'name', 'customer ' || md5(h::text),"
     " 'active', h % 3 > 0, 'score', (h % 10000) / 100.0,"
     " 'address', jsonb_build_object('city', 'city ' || h % 900, 'zip', (10000 + h % 89999)::text),"
     " 'items', jsonb_build_array(h % 17, h % 19, 'item-' || h % 23, NULL))"),
    ("tags text[]", "(ARRAY['red', 'green', 'blue', 'very long tag', 'a,b', 'new'])[1 + h % 3:3 + h % 4]"),
    ("created timestamptz", "timestamptz '2020-01-01' + id * interval '11.3 seconds'"),
    ("updated timestamp", "timestamp '2024-01-01' + (h % 31536000) * interval '1 second'"),
    ("title text", "'document ' || id || ' of ' || md5((h % 5000)::text)"),
])


def wide_columns():
    """39 columns: each of 18 types twice, most of them with NULLs, and three long values."""
    kinds = [
        ("integer", "(h >> {n}) % 2000000000"),
        ("bigint", "h >> {n}"),
        ("smallint", "(h >> {n}) % 30000"),
        ("real", "((h >> {n}) % 1000000) / 64.0"),
        ("double precision", "((h >> {n}) % 1000000007) / 1e4"),
        ("numeric(14,3)", "((h >> {n}) % 10000000000) / 1e3"),
        ("numeric", "((h >> {n}) % 1000000007) / 7.0"),
        ("boolean", "(h >> {n}) % 2 = 0"),
        ("date", "date '1990-01-01' + ((h >> {n}) % 15000)::int"),
        ("time", "time '00:00' + ((h >> {n}) % 86400) * interval '1 second'"),
        ("timestamp", "timestamp '2000-01-01' + ((h >> {n}) % 800000000) * interval '1 second'"),
        ("timestamptz", "timestamptz '2000-01-01' + ((h >> {n}) % 800000000) * interval '1 second'"),
        ("interval", "((h >> {n}) % 100000) * interval '1 minute'"),
        ("uuid", "md5((h >> {n})::text)::uuid"),
        ("text", "'text ' || repeat('ab', ((h >> {n}) % 12)::int)"),
        ("varchar(40)", "left(md5((h >> {n})::text), ((h >> {n}) % 32)::int)"),
        ("char(8)", "'c' || (h >> {n}) % 10000"),
        ("inet", "inet '10.0.0.0' + (h >> {n}) % 16777216"),
    ]
    columns = []
    for n, (kind, value) in enumerate(kinds + kinds):
        value = value.replace("{n}", str(n % 24))
        columns.append((f"c{n + 1} {kind}", null_in(3 + n % 7, value) if n % 4 else value))
    # Compressed inline, out of line and compressed, out of line and not compressible.
    columns.append(("long_text text",
                    "CASE WHEN h % 8 = 0 THEN repeat('line ' || md5(h::text) || ' ', 90) END"))
    columns.append(("long_json jsonb",
                    "CASE WHEN h % 16 = 1 THEN (SELECT jsonb_object_agg('key ' || k, md5((h + k)::text))"
                    " FROM generate_series(1, 120) AS k) END"))
    columns.append(("long_bytes bytea",
                    "CASE WHEN h % 16 = 2 THEN (SELECT string_agg(sha256((h / 2 + k)::text::bytea), NULL ORDER BY k)"
                    " FROM generate_series(1, 200) AS k) END"))
    return columns


WIDE = Table("wide", 300_000, "40 columns of 21 types, with NULLs and long values out of line",
             wide_columns())

TABLES = {table.name: table for table in (SIGNALS, INTS, DOCS, WIDE)}

# Does not depend on the order of the rows.
HASH = "SELECT coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {table} AS t"


def fill_source(cluster, table, rows):
    """Creates and fills the table; returns what every way of moving it must reach."""
    cluster.sql(table.create(), table.fill(rows), f"ALTER TABLE {table.name} ADD PRIMARY KEY (id)",
                f"VACUUM (FREEZE, ANALYZE) {table.name}")
    heap, whole = cluster.sql(
        f"SELECT pg_relation_size('{table.name}'), pg_table_size('{table.name}')").split("|")
    return {"rows": rows, "what": table.what, "heap_bytes": int(heap), "bytes": int(whole),
            "hash": cluster.sql(HASH.format(table=table.name))}


def wrong_content(cluster, table, expected, with_hash):
    """What is wrong with the moved table, or None."""
    rows = int(cluster.sql(f"SELECT count(*) FROM {table}"))
    if rows != expected["rows"]:
        return f"{rows} rows instead of {expected['rows']}"
    if with_hash and cluster.sql(HASH.format(table=table)) != expected["hash"]:
        return "the content differs from the source"
    return None
