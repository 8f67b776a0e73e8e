"""ways: the ways of moving a table that are compared: ours, others, and what the server needs alone."""

import fnmatch
import os
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from typing import Callable

from cluster import Failed, check

LIMIT_SECONDS = 1800  # a run that takes longer has failed
ROUTES = ("heap", "copy")  # of the setting parallel_loader.route, besides auto
PUBLICATION = "bench"
FETCH_SIZE = 10000  # rows of postgres_fdw at a time; its default of 100 is far slower


@dataclass
class Job:
    """What a run needs to know."""

    source: object
    destination: object
    table: str
    rows: int
    bytes: int
    folder: str  # empty, for its files, removed after the run
    program: str
    pgcopydb: str


@dataclass(frozen=True)
class Way:
    name: str
    group: str  # ours, other, or bound: what the server alone needs, no way to move a table
    what: str
    workers: int
    run: Callable[[Job], None]
    route: str = ""  # ours: setting parallel_loader.route
    clean: Callable[[Job], None] = lambda job: None  # after the run, timed no more
    tcp: bool = False  # the source is reached by TCP on the loopback instead of a socket
    index: str = ""  # of a run for scaling: none, present, or after
    needs: str = ""  # what must be there: binary pgcopydb


def run_all(job, pipelines, environment=None):
    """Runs the pipelines at the same time; a pipeline is a list of commands. Raises what the first
    one that failed has written."""
    started = []
    late = threading.Event()

    def end():
        late.set()
        for _, process, _ in started:
            process.kill()

    # Popen.wait with a time limit would look for the end every 50 ms only.
    limit = threading.Timer(LIMIT_SECONDS, end)
    limit.start()
    try:
        for pipeline in pipelines:
            start_pipeline(job, pipeline, environment, started)
        for name, process, errors in started:
            if process.wait() != 0:
                errors.seek(0)
                raise Failed(f"not done after {LIMIT_SECONDS} s" if late.is_set()
                             else f"{os.path.basename(name)}: {errors.read()[-1000:].strip()}")
    finally:
        limit.cancel()
        for _, process, errors in started:
            process.kill()
            process.wait()
            errors.close()


def start_pipeline(job, pipeline, environment, started):
    upstream = subprocess.DEVNULL
    for position, command in enumerate(pipeline):
        last = position == len(pipeline) - 1
        errors = tempfile.TemporaryFile("w+", dir=job.folder, errors="replace")
        process = subprocess.Popen(
            command, stdin=upstream, stdout=subprocess.DEVNULL if last else subprocess.PIPE,
            stderr=errors, cwd=job.folder, env={**os.environ, **(environment or {})})
        started.append((command[0], process, errors))
        if upstream != subprocess.DEVNULL:
            upstream.close()
        upstream = process.stdout


def cuts(rows, parts):
    """Even ranges of the ids 1 to `rows`, as conditions."""
    bounds = [1 + rows * part // parts for part in range(parts + 1)]
    return [f"id >= {begin} AND id < {end}" for begin, end in zip(bounds, bounds[1:])]


def pull(workers, form, tcp):
    def run(job):
        run_all(job, [[job.destination.psql(
            f"SELECT rows FROM parallel_pull_table('{job.source.dsn(tcp)}', '{job.table}',"
            f" workers => {workers}, format => '{form}')")]])
    return run


def program(workers):
    def run(job):
        run_all(job, [[[job.program, "copy", "--quiet", "--source", job.source.dsn(), "--target",
                        job.destination.dsn(), "--jobs", str(workers), job.table]]])
    return run


def pipes(count, options, tcp):
    def run(job):
        run_all(job, [[job.source.psql(f"COPY (SELECT * FROM {job.table} WHERE {cut}) TO STDOUT {options}",
                                       tcp=tcp),
                       job.destination.psql(f"COPY {job.table} FROM STDIN {options}")]
                      for cut in cuts(job.rows, count)])
    return run


def script(count):
    """Shells with \\copy | \\copy for even ranges of ids, text, each on its own. That script waited for
    the last one alone; here all are waited for."""
    def run(job):
        run_all(job, [[["sh", "-c",
                        f"psql '{job.source.dsn()}' -c \"\\copy (SELECT * FROM {job.table} WHERE {cut}) TO STDOUT\""
                        f" | psql '{job.destination.dsn()}' -c \"\\copy {job.table} FROM STDIN\""]]
                      for cut in cuts(job.rows, count)])
    return run


def dump_restore(jobs):
    def run(job):
        dump = os.path.join(job.folder, "dump")
        options = ["--data-only", "-j", str(jobs)]
        run_all(job, [[["pg_dump", *options, "-Fd", "-Z0", "-t", job.table, "-f", dump, "-d", job.source.dsn()]]])
        run_all(job, [[["pg_restore", *options, "-d", job.destination.dsn(), dump]]])
    return run


def pgcopydb(jobs, *options):
    """Parts of half of a job's share, so that jobs which are quicker take more of them."""
    def run(job):
        filters = os.path.join(job.folder, "filters")
        with open(filters, "w", encoding="utf-8") as file:
            file.write(f"[include-only-table]\npublic.{job.table}\n")
        run_all(job, [[[job.pgcopydb, "copy", "table-data", "--source", job.source.uri(),
                        "--target", job.destination.uri(), "--dir", os.path.join(job.folder, "state"),
                        "--filters", filters, "--table-jobs", str(jobs), *options]]],
                {"PGCOPYDB_SPLIT_TABLES_LARGER_THAN": str(job.bytes // (2 * jobs) + 1),
                 "TMPDIR": job.folder, "XDG_RUNTIME_DIR": job.folder, "XDG_DATA_HOME": job.folder})
    return run


def foreign_table(job):
    run_all(job, [[job.destination.psql(f"INSERT INTO {job.table} SELECT * FROM remote.{job.table}")]])


def subscribe(job):
    """Until the table's rows are committed: state s, or r."""
    run_all(job, [[job.destination.psql(
        f"CREATE SUBSCRIPTION bench CONNECTION '{job.source.dsn()}' PUBLICATION {PUBLICATION}_{job.table}",
        f"SET statement_timeout = '{LIMIT_SECONDS}s'",
        "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_subscription_rel WHERE srsubstate NOT IN ('s', 'r'))"
        " LOOP PERFORM pg_sleep(0.02); END LOOP; END $$")]])


def unsubscribe(job):
    job.destination.sql("DROP SUBSCRIPTION IF EXISTS bench")


def file_copy(job):
    """Both servers alone, one after the other: no transport, no client."""
    file = os.path.join(job.folder, "rows")
    run_all(job, [[job.source.psql(f"COPY {job.table} TO '{file}' (FORMAT binary)")]])
    run_all(job, [[job.destination.psql(f"COPY {job.table} FROM '{file}' (FORMAT binary)")]])


def our_ways():
    for workers in (1, 2, 4):
        for route in ROUTES:
            yield Way(f"{route}-{workers}", "ours", f"parallel_pull_table, route {route}, binary", workers,
                      pull(workers, "binary", False), route)
        yield Way(f"copy-text-{workers}", "ours", "parallel_pull_table, route copy, text", workers,
                  pull(workers, "text", False), "copy")
    for route in ROUTES:
        yield Way(f"{route}-2-tcp", "ours", f"parallel_pull_table, route {route}, binary, TCP", 2,
                  pull(2, "binary", True), route, tcp=True)
    yield Way("pull-4", "ours", "parallel_pull_table, all by default", 4, pull(4, "auto", False), "auto")
    yield Way("program-4", "ours", "parallel-loader copy, all by default", 4, program(4), "auto")


def other_ways():
    binary = "(FORMAT binary)"
    for count in (1, 2, 4):
        yield Way(f"pipe-{count}", "other", "psql COPY | psql COPY by ranges of id, binary", count,
                  pipes(count, binary, False))
        yield Way(f"pipe-text-{count}", "other", "psql COPY | psql COPY by ranges of id, text", count,
                  pipes(count, "", False))
    yield Way("pipe-2-tcp", "other", "psql COPY | psql COPY by ranges of id, binary, TCP", 2,
              pipes(2, binary, True), tcp=True)
    yield Way("script-8", "other", "parallel_migrate.py: \\copy | \\copy by ranges of id, text", 8, script(8))
    for jobs in (2, 4):
        yield Way(f"pgcopydb-{jobs}", "other", "pgcopydb copy table-data, split, text", jobs, pgcopydb(jobs))
        yield Way(f"pgcopydb-binary-{jobs}", "other", "pgcopydb copy table-data, split, binary", jobs,
                  pgcopydb(jobs, "--use-copy-binary"), needs="binary pgcopydb")
    yield Way("pg_dump-2", "other", "pg_dump -Fd -Z0, then pg_restore", 2, dump_restore(2))
    yield Way("fdw", "other", f"postgres_fdw INSERT ... SELECT, fetch_size {FETCH_SIZE}", 1, foreign_table)
    yield Way("subscription", "other", "logical replication: initial copy of the table", 1, subscribe,
              clean=unsubscribe)


def scaling_ways():
    indexes = {"none": "no index", "present": "primary key there from the start",
               "after": "primary key added after, within the time"}
    for route in ROUTES:
        for index, what in indexes.items():
            for workers in (1, 2, 4, 8):
                yield Way(f"scaling-{route}-{index}-{workers}", "ours",
                          f"parallel_pull_table, route {route}, {what}", workers,
                          with_index(pull(workers, "binary", False), index), route, index=index)


def with_index(run, index):
    def run_and_index(job):
        run(job)
        if index == "after":
            run_all(job, [[job.destination.psql(primary_key(job.table))]])
    return run_and_index


def primary_key(table):
    return f"ALTER TABLE {table} ADD PRIMARY KEY (id)"


def all_ways():
    return [*our_ways(), *other_ways(),
            Way("file", "bound", "COPY TO a file on the server, then COPY FROM it, binary", 1, file_copy),
            *scaling_ways()]


def chosen(ways, patterns):
    return [way for way in ways if any(fnmatch.fnmatch(way.name, pattern) for pattern in patterns)]


def prepare_source(source, tables):
    """What ways need besides the tables, and nobody's time."""
    for table in tables:
        source.sql(f"CREATE PUBLICATION {PUBLICATION}_{table} FOR TABLE {table}")


def prepare_destination(source, destination):
    destination.sql(
        "SET client_min_messages = warning; CREATE EXTENSION parallel_loader CASCADE",
        "CREATE EXTENSION postgres_fdw", "CREATE SCHEMA remote",
        f"CREATE SERVER source FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{source.host()}',"
        f" port '{source.port}', dbname 'bench', fetch_size '{FETCH_SIZE}')",
        "CREATE USER MAPPING FOR postgres SERVER source OPTIONS (user 'postgres')",
        "IMPORT FOREIGN SCHEMA public FROM SERVER source INTO remote")


def offered_routes(destination):
    """Values of the setting, which a version without routes does not have."""
    found = check(destination.psql(
        "LOAD 'parallel_loader'",
        "SELECT unnest(enumvals) FROM pg_settings WHERE name = 'parallel_loader.route'"))
    return found.split()


def knows_binary(program_name):
    done = subprocess.run([program_name, "copy", "table-data", "--help"], capture_output=True, text=True)
    return "--use-copy-binary" in done.stdout + done.stderr


def possible(way, routes, binary_pgcopydb):
    """Whether what is installed can do it. Without the setting, the only route is copy."""
    if way.needs and not binary_pgcopydb:
        return False
    return not way.route or way.route in (routes or ["auto", "copy"])


def empty_folder(parent):
    folder = os.path.join(parent, "run")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    return folder
