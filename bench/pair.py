"""pair: a source and a destination, and what is done before and after a run between them."""

import shutil
import sys

import meter
import tables
import waits
import ways
from cluster import DESTINATION_SETTINGS, SETTINGS, SOURCE_SETTINGS, Cluster, Failed

WARM_UP_RUNS = 3  # of each table, before those that count


def say(text):
    print(text, file=sys.stderr, flush=True)


def source_cluster(folder, password_file):
    return Cluster("source", folder, {**SETTINGS, **SOURCE_SETTINGS}, password_file)


def destination_cluster(name, folder, password_file, bin_folder=""):
    return Cluster(name, folder, {**SETTINGS, **DESTINATION_SETTINGS}, password_file, bin_folder)


def fill_source(source, expected, options):
    """Fills the chosen tables; `expected` gets what every way of moving them must reach."""
    for name in options.table:
        table = tables.TABLES[name]
        rows = table.scaled(options.scale)
        say(f"filling {name}: {rows} rows, {table.what}")
        expected[name] = tables.fill_source(source, table, rows)
    ways.prepare_source(source, options.table)


def tell(head, record, rows):
    if "seconds" in record:
        cpu = record["cpu"]
        head += (f" {record['seconds']:7.2f} s  CPU {cpu['all']:6.2f} = source {cpu['source']:.2f}"
                 f" + destination {cpu['destination']:.2f} + clients {cpu['clients']:.2f}"
                 f"  WAL {record['wal'] / 1e6:.0f} MB  memory {record['memory']['all'] / 1e6:.0f} MB"
                 f"  {rows / record['seconds'] / 1e6:.2f} M rows/s")
    if "error" in record:
        head += "  " + " ".join(record["error"].split())[:300]
    say(head)


class Pair:
    def __init__(self, source, destination, expected, options):
        self.source, self.destination = source, destination
        self.expected, self.options = expected, options
        self.routes = []

    def prepare(self):
        for name in self.options.table:
            self.destination.sql(tables.TABLES[name].create())
        ways.prepare_destination(self.source, self.destination)
        self.routes = ways.offered_routes(self.destination)

    def empty_table(self, way, table):
        self.destination.sql(f"TRUNCATE {table}",
                             f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_pkey",
                             f"ALTER TABLE {table} ALTER id SET NOT NULL")
        if way.index == "present":
            self.destination.sql(ways.primary_key(table))
        if self.routes:
            database = self.destination.database
            self.destination.sql("LOAD 'parallel_loader'",
                                 f"ALTER DATABASE {database} SET parallel_loader.route = '{way.route or 'auto'}'")
        for server in (self.source, self.destination):
            server.sql("CHECKPOINT")

    def route_taken(self):
        """As the ledger has it, of versions that have routes."""
        if not self.routes:
            return None
        return self.destination.sql(
            "SELECT string_agg(DISTINCT route, '+') FROM parallel_pull_chunks"
            " WHERE pull_id = (SELECT max(pull_id) FROM parallel_pulls)") or None

    def measure(self, way, job):
        """Of a run for scaling also what sessions wait for; watching costs a little."""
        if not way.index:
            return meter.measure(self.source, self.destination, lambda: way.run(job))
        samplers = {server.name: waits.WaitSampler(server) for server in (self.source, self.destination)}
        try:
            costs = meter.measure(self.source, self.destination, lambda: way.run(job),
                                  [sampler.pid for sampler in samplers.values()])
        finally:
            seen = {name: sampler.stop() for name, sampler in samplers.items()}
        return {**costs, "waits": seen}

    def job(self, table):
        expected = self.expected[table]
        return ways.Job(self.source, self.destination, table, expected["rows"], expected["bytes"],
                        ways.empty_folder(self.options.folder), self.options.program, self.options.pgcopydb)

    def warm_up(self, way, table, runs=WARM_UP_RUNS):
        """The first runs of new servers pay for WAL files and memory that later ones find there."""
        for _ in range(runs):
            job = self.job(table)
            try:
                self.empty_table(way, table)
                way.run(job)
            except Failed:
                pass  # as its runs that count will tell
            finally:
                way.clean(job)

    def run(self, way, table, with_hash):
        """What it cost, and what was wrong; with_hash: the content is compared, too."""
        record = {}
        job = self.job(table)
        try:
            self.empty_table(way, table)
            record.update(self.measure(way, job))
            if way.group == "ours":
                record["route"] = self.route_taken()
            wrong = tables.wrong_content(self.destination, table, self.expected[table], with_hash)
            if wrong:
                record["error"] = "wrong: " + wrong
        except Failed as failure:
            record["error"] = str(failure).replace(self.options.folder, "")
        finally:
            way.clean(job)
            shutil.rmtree(job.folder, ignore_errors=True)
        return record
