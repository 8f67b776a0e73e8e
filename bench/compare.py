"""compare: measures ways of moving tables between two servers that it starts. Called by bench/compare."""

import argparse
import os
import platform
import sys

import against
import databases
import meter
import results as result_file
import tables
import ways
from against import Against
from cluster import DESTINATION_SETTINGS, SETTINGS, SOURCE_SETTINGS, Failed, check, make_passwords
from pair import Pair, destination_cluster, fill_source, say, source_cluster, tell

# Runs for scaling: how more workers and an index do, on one table.
SCALING_TABLE = "signals"


def parse():
    parser = argparse.ArgumentParser(
        prog="bench/compare", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Compares ways of moving a table from one PostgreSQL server into another, on throwaway servers;\n"
        "with --against, two builds of the extension.",
        epilog="Environment: BENCH_SCALE, PGCOPYDB (another program than Debian's), PG_CONFIG.")
    add = parser.add_argument
    add("--table", metavar="NAME,...",
        help=f"default: {','.join(tables.TABLES)}; with --against: {against.TABLES}")
    add("--database", choices=databases.DATABASES,
        help="many tables by one command of each program instead; prints medians, writes no FILE")
    add("--way", metavar="PATTERN,...",
        help=f"shell patterns, for example 'heap*,pipe*'; default: all; with --against: {against.WAYS}")
    add("--repeat", type=int, metavar="N",
        help=f"runs of each way, in turn; default: 3; with --against: {against.REPEAT}")
    add("--scale", type=float, default=os.environ.get("BENCH_SCALE", "1"), metavar="X",
        help="of the tables' rows; default: $BENCH_SCALE or 1")
    add("--json", default="bench/results.json", metavar="FILE", help="of results; default: %(default)s")
    add("--keep", action="store_true", help="keep what FILE has of other tables and ways")
    add("--list", action="store_true", help="show tables and ways, and end")
    add("--against", metavar="COMMIT",
        help="builds COMMIT's extension and this tree's, each into a copy of the server's own tree, measures"
        " them in turns, and prints the medians, their ratio, and whether it is at most "
        + " and ".join(f"{bar.most:.2f} ({bar.what})" for bar in against.BARS)
        + "; status 1 if one is not. Writes no FILE")
    for internal in ("--folder", "--program", "--pgcopydb"):
        add(internal, help=argparse.SUPPRESS)
    add("--builds", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    is_against = options.against is not None
    options.table = (options.table or (against.TABLES if is_against else ",".join(tables.TABLES))).split(",")
    for table in options.table:
        if table not in tables.TABLES:
            parser.error(f"no table {table}; there are: {', '.join(tables.TABLES)}")
    patterns = options.way or (against.WAYS if is_against else "*")
    options.ways = [way for way in ways.chosen(ways.all_ways(), patterns.split(","))
                    if not is_against or against.usable(way)]
    if not options.ways:
        parser.error(f"no way is called {patterns}; see --list")
    if options.repeat is None:
        options.repeat = against.REPEAT if is_against else 3
    if options.repeat < 1 or options.scale <= 0:
        parser.error("--repeat and --scale must be greater than 0")
    return options


def show_list():
    for table in tables.TABLES.values():
        print(f"{table.name:24} {table.rows} rows, {table.what}")
    for database in databases.DATABASES.values():
        print(f"{database.name:24} {database.what}")
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
        password_file = make_passwords(options.folder)
        self.source = source_cluster(options.folder, password_file)
        self.destination = destination_cluster("destination", options.folder, password_file)
        self.pair = Pair(self.source, self.destination, self.expected, options)
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

    def prepare(self):
        fill_source(self.source, self.expected, self.options)
        self.pair.prepare()
        self.results["tables"] = self.expected
        version = self.destination.sql("SELECT split_part(current_setting('server_version'), ' ', 1)",
                                       "SELECT extversion FROM pg_extension WHERE extname = 'parallel_loader'")
        self.results["machine"]["postgresql"], self.results["machine"]["parallel_loader"] = version.splitlines()
        binary = ways.knows_binary(self.options.pgcopydb)
        possible = [way for way in self.options.ways if ways.possible(way, self.pair.routes, binary)]
        skipped = [way.name for way in self.options.ways if way not in possible]
        if skipped:
            say(f"not offered by what is installed: {' '.join(skipped)}")
        self.options.ways = possible
        self.results["ways"] = {way.name: {"group": way.group, "what": way.what, "workers": way.workers,
                                           "tcp": way.tcp, "index": way.index} for way in possible}

    def run(self, way, table, repeat):
        record = {"table": table, "way": way.name, "repeat": repeat, **self.pair.run(way, table, repeat == 1)}
        self.results["runs"].append(record)
        self.save()
        tell(f"{table:8} {way.name:24} {repeat}/{self.options.repeat}", record, self.expected[table]["rows"])

    def save(self):
        results = result_file.with_others(self.results, self.old) if self.old else self.results
        result_file.save(os.path.join(self.options.folder, "results.json"), results)

    def run_all(self):
        """Each repeat goes through all ways, so that what else the machine does hits all alike."""
        for table in self.options.table:
            chosen = [way for way in self.options.ways if not way.index or table == SCALING_TABLE]
            self.pair.warm_up(chosen[0], table)
            for repeat in range(1, self.options.repeat + 1):
                for way in chosen:
                    self.run(way, table, repeat)
        self.results["complete"] = True
        self.save()

    def show_headlines(self):
        for table in self.options.table:
            for line in result_file.headlines(self.results, table):
                print(f"{table:8} {line.what}: {line.ours.name} is {line.times_as_fast:.2f} times as fast as"
                      f" {line.other.name}, with {line.share_of_cpu:.2f} of its CPU-seconds")

    def stop(self):
        self.source.stop()
        self.destination.stop()


def main():
    options = parse()
    if options.list:
        show_list()
    if not options.folder:
        return
    if options.database:
        databases.DatabaseBench(options).run_all()
        return
    if options.against:
        sys.exit(0 if Against(options).run() else 1)
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
