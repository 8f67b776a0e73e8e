"""databases: many tables, moved by one command each way."""

import os
import shutil
import statistics
from dataclasses import dataclass
from typing import Callable

import meter
import ways
from cluster import SETTINGS, Cluster, Failed, make_passwords
from pair import say, tell

JOBS = 2
TABLES_IN_ONE_STATEMENT = 200
# As servers come, but for the locks that pg_dump takes on all tables.
SERVER_SETTINGS = {**SETTINGS, "max_worker_processes": "8", "max_connections": "100", "max_locks_per_transaction": "256"}

# Of all tables; does not depend on the order of the rows, nor of the tables.
HASH_FUNCTION = """
CREATE FUNCTION content(OUT row_count bigint, OUT hash numeric) LANGUAGE plpgsql AS $$
DECLARE
  relation regclass;
  rows bigint;
  part numeric;
BEGIN
  row_count := 0;
  hash := 0;
  FOR relation IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
    EXECUTE format('SELECT count(*), coalesce(sum(hashtextextended($1 || t::text, 0)), 0) FROM %s AS t', relation)
      INTO rows, part USING relation::text;
    row_count := row_count + rows;
    hash := hash + part;
  END LOOP;
END $$"""


@dataclass(frozen=True)
class Table:
    """`name` as SQL needs it."""

    name: str
    rows: int
    kind: str = "plain"

    def create(self):
        columns = f"id {'uuid' if self.kind == 'uuid' else 'bigint'} NOT NULL, at timestamptz, note text"
        if self.kind == "generated":
            columns += ", twice bigint GENERATED ALWAYS AS (id * 2) STORED"
        if self.kind == "partitioned":
            bound = self.rows // 2 + 1
            return [f"CREATE TABLE {self.name} ({columns}) PARTITION BY RANGE (id)",
                    f"CREATE TABLE {self.name}_low PARTITION OF {self.name} FOR VALUES FROM (MINVALUE) TO ({bound})",
                    f"CREATE TABLE {self.name}_high PARTITION OF {self.name} FOR VALUES FROM ({bound}) TO (MAXVALUE)"]
        if self.kind == "inherited":
            return [f"CREATE TABLE {self.name} ({columns})", f"CREATE TABLE {self.name}_child () INHERITS ({self.name})"]
        return [f"CREATE TABLE {self.name} ({columns})"]

    def fill(self):
        key = "md5(id::text)::uuid" if self.kind == "uuid" else "id"
        select = (f"SELECT {key}, timestamptz '2024-01-01' + id * interval '1.7 seconds',"
                  f" left(md5(id::text) || md5(id::text), 20 + (id % 40)::int)"
                  f" FROM generate_series({{}}::bigint, {{}}::bigint) AS id")
        if self.kind == "inherited":
            return [f"INSERT INTO {self.name} " + select.format(1, self.rows // 2),
                    f"INSERT INTO {self.name}_child " + select.format(self.rows // 2 + 1, self.rows)]
        return [f"INSERT INTO {self.name} " + select.format(1, self.rows)]

    def add_key(self):
        names = [] if self.kind == "keyless" else [self.name]
        if self.kind == "inherited":
            names.append(f"{self.name}_child")
        return [f"ALTER TABLE {name} ADD PRIMARY KEY (id)" for name in names]


@dataclass(frozen=True)
class Database:
    """`tables(scale)` are its tables."""

    name: str
    what: str
    tables: Callable[[float], list]


def small(scale):
    return [Table(f"t{number:05}", 100) for number in range(max(1, int(10_000 * scale)))]


KINDS = ("partitioned", "inherited", "keyless", "uuid", "generated", "quoted")


def mixed(scale):
    """The biggest is the last one by name. A row takes about 110 bytes."""
    counts = [0] * 40 + [1] * 60 + [int(1_000 * scale)] * 60 + [int(90_000 * scale)] * 39
    tables = []
    for number, rows in enumerate(counts):
        # Of each size some are of every kind.
        kind = KINDS[number % 10] if rows > 1 and number % 10 < len(KINDS) else "plain"
        tables.append(Table(f'"A Table {number:05}"' if kind == "quoted" else f"t{number:05}", rows, kind))
    return tables + [Table(f"t{len(counts):05}", int(9_000_000 * scale))]


DATABASES = {database.name: database for database in (
    Database("small", "10 000 tables of 100 rows", small),
    Database("mixed", "200 tables: empty, of a row, of 100 kB, of 10 MB, and one of 1 GB", mixed))}


def in_parts(items):
    for begin in range(0, len(items), TABLES_IN_ONE_STATEMENT):
        yield items[begin:begin + TABLES_IN_ONE_STATEMENT]


def program(job):
    ways.run_all(job, [[[job.program, "copy", "--quiet", "--source", job.source.dsn(), "--target",
                         job.destination.dsn(), "--jobs", str(JOBS), "--all"]]])


def pgcopydb(job):
    binary = ["--use-copy-binary"] if ways.knows_binary(job.pgcopydb) else []
    ways.run_all(job, [[[job.pgcopydb, "copy", "table-data", "--source", job.source.uri(), "--target",
                         job.destination.uri(), "--dir", os.path.join(job.folder, "state"),
                         "--table-jobs", str(JOBS), *binary]]],
                 {"PGCOPYDB_SPLIT_TABLES_LARGER_THAN": "100MB", "TMPDIR": job.folder,
                  "XDG_RUNTIME_DIR": job.folder, "XDG_DATA_HOME": job.folder})


def dump_restore(job):
    dump = os.path.join(job.folder, "dump")
    options = ["--data-only", "-j", str(JOBS)]
    ways.run_all(job, [[["pg_dump", *options, "-Fd", "-Z0", "-n", "public", "-f", dump, "-d", job.source.dsn()]]])
    ways.run_all(job, [[["pg_restore", *options, "-d", job.destination.dsn(), dump]]])


WAYS = {"program": program, "pgcopydb": pgcopydb, "pg_dump": dump_restore}


class DatabaseBench:
    """Measures each way in turn, as often as the options say, and prints medians and their ratios."""

    def __init__(self, options):
        self.options = options
        self.tables = DATABASES[options.database].tables(options.scale)
        password_file = make_passwords(options.folder)
        self.source, self.destination = (
            Cluster(name, options.folder, SERVER_SETTINGS, password_file) for name in ("source", "destination"))
        self.expected = None
        self.records = {name: [] for name in WAYS}

    def prepare(self):
        say(f"filling {len(self.tables)} tables: {DATABASES[self.options.database].what}")
        both = (self.source, self.destination)
        for server in both:
            server.sql(HASH_FUNCTION)
        for servers, statements in ((both, Table.create), ([self.source], Table.fill), (both, Table.add_key)):
            for part in in_parts(self.tables):
                for server in servers:
                    server.sql("; ".join(statement for table in part for statement in statements(table)))
        self.source.sql("VACUUM (FREEZE, ANALYZE)")
        self.destination.sql("SET client_min_messages = warning; CREATE EXTENSION parallel_loader CASCADE")
        self.expected = self.source.sql("SELECT * FROM content()")

    def empty(self):
        for part in in_parts(self.tables):
            self.destination.sql("TRUNCATE " + ", ".join(table.name for table in part))
        for server in (self.source, self.destination):
            server.sql("CHECKPOINT")

    def run(self, name, repeat):
        folder = ways.empty_folder(self.options.folder)
        job = ways.Job(self.source, self.destination, "", 0, 0, folder, self.options.program, self.options.pgcopydb)
        record = {}
        try:
            self.empty()
            record.update(meter.measure(self.source, self.destination, lambda: WAYS[name](job)))
            if self.destination.sql("SELECT * FROM content()") != self.expected:
                record["error"] = "wrong: the content differs from the source"
        except Failed as failure:
            record["error"] = str(failure)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.records[name].append(record)
        tell(f"{name:10} {repeat}/{self.options.repeat}", record, int(self.expected.split("|")[0]))

    def show(self):
        count = len(self.tables)
        medians = {}
        for name, records in self.records.items():
            if any("error" in record for record in records):
                print(f"{name:10} failed: {next(record['error'] for record in records if 'error' in record)[:200]}")
                continue
            medians[name] = [statistics.median(record["seconds"] for record in records),
                             statistics.median(record["cpu"]["all"] for record in records)]
            seconds, cpu = medians[name]
            print(f"{name:10} {seconds:8.2f} s, CPU {cpu:8.2f} s; for each of {count} tables"
                  f" {seconds / count * 1000:6.2f} ms, CPU {cpu / count * 1000:6.2f} ms")
        for name in [name for name in medians if name != "program" and "program" in medians]:
            print(f"program is {medians[name][0] / medians['program'][0]:.2f} times as fast as {name},"
                  f" with {medians['program'][1] / medians[name][1]:.2f} of its CPU-seconds")

    def run_all(self):
        self.prepare()
        for repeat in range(1, self.options.repeat + 1):
            for name in WAYS:
                self.run(name, repeat)
        self.source.stop()
        self.destination.stop()
        self.show()
