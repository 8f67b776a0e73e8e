"""compare: measures ways of moving tables between two servers that it starts. Called by bench/compare."""

import argparse
import os
import platform
import secrets
import shutil
import sys

import meter
import results as result_file
import tables
import waits
import ways
from cluster import DESTINATION_SETTINGS, SETTINGS, SOURCE_SETTINGS, Cluster, Failed, check

# Runs for scaling: how more workers and an index do, on one table.
SCALING_TABLE = "signals"
WARM_UP_RUNS = 3  # of each table, before those that count


def say(text):
    print(text, file=sys.stderr, flush=True)


def parse():
    parser = argparse.ArgumentParser(
        prog="bench/compare", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Compares ways of moving a table from one PostgreSQL server into another, on throwaway servers.",
        epilog="Environment: BENCH_SCALE, PGCOPYDB (another program than Debian's), PG_CONFIG.")
    add = parser.add_argument
    add("--table", default=",".join(tables.TABLES), metavar="NAME,...", help="default: %(default)s")
    add("--way", default="*", metavar="PATTERN,...", help="shell patterns, for example 'heap*,pipe*'; default: all")
    add("--repeat", type=int, default=3, metavar="N", help="runs of each way, in turn; default: %(default)s")
    add("--scale", type=float, default=os.environ.get("BENCH_SCALE", "1"), metavar="X",
        help="of the tables' rows; default: $BENCH_SCALE or 1")
    add("--json", default="bench/results.json", metavar="FILE", help="of results; default: %(default)s")
    add("--keep", action="store_true", help="keep what FILE has of other tables and ways")
    add("--list", action="store_true", help="show tables and ways, and end")
    for internal in ("--folder", "--program", "--pgcopydb"):
        add(internal, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.table = options.table.split(",")
    for table in options.table:
        if table not in tables.TABLES:
            parser.error(f"no table {table}; there are: {', '.join(tables.TABLES)}")
    options.ways = ways.chosen(ways.all_ways(), options.way.split(","))
    if not options.ways:
        parser.error(f"no way is called {options.way}; see --list")
    if options.repeat < 1 or options.scale <= 0:
        parser.error("--repeat and --scale must be greater than 0")
    return options


def show_list():
    for table in tables.TABLES.values():
        print(f"{table.name:24} {table.rows} rows, {table.what}")
    print()
    for way in ways.all_ways():
        print(f"{way.name:24} {way.workers} x {way.what}")


def machine(pgcopydb):
    cpu = [line.split(":", 1)[1].strip() for line in meter.read("/proc/cpuinfo").splitlines()
           if line.startswith("model name")]
    memory = os.sysconf("SC_PHYS_PAGES") * meter.PAGE
    version = check([pgcopydb, "--version"]).splitlines()[0].split()[-1]
    return {"cores": len(os.sched_getaffinity(0)), "cpu": cpu[0] if cpu else platform.machine(),
            "memory": memory, "kernel": platform.release().split("-")[0], "pgcopydb": version}


class Bench:
    def __init__(self, options):
        self.options = options
        self.expected = {}
        password_file = os.path.join(options.folder, "password")
        self.write_passwords(password_file)
        self.source = Cluster("source", options.folder, {**SETTINGS, **SOURCE_SETTINGS}, password_file)
        self.destination = Cluster("destination", options.folder, {**SETTINGS, **DESTINATION_SETTINGS}, password_file)
        self.results = {"complete": False, "scale": options.scale, "machine": machine(options.pgcopydb),
                        "settings": {"both servers": SETTINGS, "the source": SOURCE_SETTINGS,
                                     "the destination": DESTINATION_SETTINGS},
                        "tables": {}, "ways": {}, "runs": []}
        self.old = self.older_results()

    def older_results(self):
        """Of the file that --keep keeps."""
        path = os.path.join(self.options.folder, "old.json")
        if not self.options.keep or not os.path.exists(path):
            return None
        old = result_file.load(path)
        if old["scale"] != self.options.scale:
            raise Failed(f"the results to keep are of scale {old['scale']}")
        return old

    def write_passwords(self, password_file):
        """Servers and clients find the password by PGPASSFILE."""
        password = secrets.token_hex(16)
        passwords = {password_file: password, password_file + "s": f"*:*:*:postgres:{password}"}
        for path, line in passwords.items():
            with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(line + "\n")
        os.environ["PGPASSFILE"] = password_file + "s"

    def prepare(self):
        for name in self.options.table:
            table = tables.TABLES[name]
            rows = table.scaled(self.options.scale)
            say(f"filling {name}: {rows} rows, {table.what}")
            self.expected[name] = tables.fill_source(self.source, table, rows)
            self.destination.sql(table.create())
        ways.prepare_servers(self.source, self.destination, self.options.table)
        self.results["tables"] = self.expected
        version = self.destination.sql("SELECT split_part(current_setting('server_version'), ' ', 1)",
                                       "SELECT extversion FROM pg_extension WHERE extname = 'parallel_loader'")
        self.results["machine"]["postgresql"], self.results["machine"]["parallel_loader"] = version.splitlines()
        self.routes = ways.offered_routes(self.destination)
        binary = ways.knows_binary(self.options.pgcopydb)
        possible = [way for way in self.options.ways if ways.possible(way, self.routes, binary)]
        skipped = [way.name for way in self.options.ways if way not in possible]
        if skipped:
            say(f"not offered by what is installed: {' '.join(skipped)}")
        self.options.ways = possible
        self.results["ways"] = {way.name: {"group": way.group, "what": way.what, "workers": way.workers,
                                           "tcp": way.tcp, "index": way.index} for way in possible}

    def empty_table(self, way, table):
        self.destination.sql(f"TRUNCATE {table}",
                             f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_pkey",
                             f"ALTER TABLE {table} ALTER id SET NOT NULL")
        if way.index == "present":
            self.destination.sql(ways.primary_key(table))
        if self.routes:
            self.destination.sql("LOAD 'parallel_loader'",
                                 f"ALTER DATABASE bench SET parallel_loader.route = '{way.route or 'auto'}'")
        for server in (self.source, self.destination):
            server.sql("CHECKPOINT")

    def route_taken(self, table):
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

    def warm_up(self, way, table):
        """The first runs of new servers pay for WAL files and memory that later ones find there."""
        for _ in range(WARM_UP_RUNS):
            job = self.job(table)
            try:
                self.empty_table(way, table)
                way.run(job)
            except Failed:
                pass  # as its runs that count will tell
            finally:
                way.clean(job)

    def run(self, way, table, repeat):
        expected = self.expected[table]
        record = {"table": table, "way": way.name, "repeat": repeat}
        job = self.job(table)
        try:
            self.empty_table(way, table)
            record.update(self.measure(way, job))
            if way.group == "ours":
                record["route"] = self.route_taken(table)
            wrong = tables.wrong_content(self.destination, table, expected, repeat == 1)
            if wrong:
                record["error"] = "wrong: " + wrong
        except Failed as failure:
            record["error"] = str(failure).replace(self.options.folder, "")
        finally:
            way.clean(job)
            shutil.rmtree(job.folder, ignore_errors=True)
        self.results["runs"].append(record)
        self.save()
        self.tell(record, expected["rows"])

    def tell(self, record, rows):
        head = f"{record['table']:8} {record['way']:24} {record['repeat']}/{self.options.repeat}"
        if "seconds" in record:
            cpu = record["cpu"]
            head += (f" {record['seconds']:7.2f} s  CPU {cpu['all']:6.2f} = source {cpu['source']:.2f}"
                     f" + destination {cpu['destination']:.2f} + clients {cpu['clients']:.2f}"
                     f"  WAL {record['wal'] / 1e6:.0f} MB  memory {record['memory']['all'] / 1e6:.0f} MB"
                     f"  {rows / record['seconds'] / 1e6:.2f} M rows/s")
        if "error" in record:
            head += "  " + " ".join(record["error"].split())[:300]
        say(head)

    def save(self):
        results = result_file.with_others(self.results, self.old) if self.old else self.results
        result_file.save(os.path.join(self.options.folder, "results.json"), results)

    def run_all(self):
        """Each repeat goes through all ways, so that what else the machine does hits all alike."""
        for table in self.options.table:
            chosen = [way for way in self.options.ways if not way.index or table == SCALING_TABLE]
            self.warm_up(chosen[0], table)
            for repeat in range(1, self.options.repeat + 1):
                for way in chosen:
                    self.run(way, table, repeat)
        self.results["complete"] = True
        self.save()

    def show_headlines(self):
        for table in self.options.table:
            for line in result_file.headlines(self.results, table):
                print(f"{table:8} {line.what}: {line.ours.name} is {line.times_as_fast:.2f} times as fast as"
                      f" {line.peer.name}, with {line.share_of_cpu:.2f} of its CPU-seconds")

    def stop(self):
        self.source.stop()
        self.destination.stop()


def main():
    options = parse()
    if options.list:
        show_list()
    if not options.folder:
        return
    bench = Bench(options)
    bench.prepare()
    bench.run_all()
    bench.stop()
    bench.show_headlines()


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"bench/compare: {failure}")
