"""against: two builds of the extension, measured in turns on one destination server.

Of two servers side by side the same one was slower by a tenth in every round, also where both had the
same build: their folders lie on other parts of the disk. So each turn starts the server anew, by the
programs of its build, in the one folder."""

import statistics
from dataclasses import dataclass

import ways
from cluster import make_passwords
from pair import Pair, destination_cluster, fill_source, source_cluster, tell

TABLES = "signals,ints"
WAYS = "heap-2,copy-2"
REPEAT = 5
NOW = "this tree"


@dataclass(frozen=True)
class Bar:
    """How many times the other build's cost this one's may be."""

    what: str
    most: float
    cost: callable


BARS = (Bar("CPU", 1.05, lambda record: record["cpu"]["all"]),
        Bar("wall", 1.10, lambda record: record["seconds"]))


def usable(way):
    """The extension's own ways; the program of the other build is not built."""
    return way.group == "ours" and not way.name.startswith("program")


class Against:
    """`options.builds` has the programs of the server trees, that of the other commit first."""

    def __init__(self, options):
        self.options = options
        self.expected = {}
        password_file = make_passwords(options.folder)
        self.source = source_cluster(options.folder, password_file)
        destination = destination_cluster("destination", options.folder, password_file, options.builds[0])
        destination.stop()
        self.pairs = {
            name: Pair(self.source, destination.by_other_programs(folder, f"build_{number}"), self.expected, options)
            for number, (name, folder) in enumerate(zip((options.against, NOW), options.builds))}

    def run(self):
        fill_source(self.source, self.expected, self.options)
        for pair in self.pairs.values():
            pair.destination.start()
            pair.destination.create_database()
            pair.prepare()
            pair.destination.stop()
            self.options.ways = [way for way in self.options.ways if ways.possible(way, pair.routes, False)]
        met = [self.compare(table, way) for table in self.options.table for way in self.options.ways]
        self.source.stop()
        return all(met)

    def compare(self, table, way):
        """Prints one line for each bar; returns whether all are met."""
        records = {name: [] for name in self.pairs}
        for repeat in range(1, self.options.repeat + 1):
            # Each is first in every other round: what one has left to be written costs the next.
            for name, pair in list(self.pairs.items())[::1 if repeat % 2 else -1]:
                record = self.turn(pair, way, table, repeat == 1)
                records[name].append(record)
                tell(f"{table:8} {way.name:12} {name:12} {repeat}/{self.options.repeat}", record,
                     self.expected[table]["rows"])
        return all([self.judge(table, way, bar, records) for bar in BARS])

    @staticmethod
    def turn(pair, way, table, with_hash):
        pair.destination.start()
        pair.warm_up(way, table, 1)
        record = pair.run(way, table, with_hash)
        pair.destination.stop()
        return record

    def judge(self, table, way, bar, records):
        head = f"{table:8} {way.name:12} {bar.what:4}"
        failed = [name for name in records if any("error" in record for record in records[name])]
        if failed:
            print(f"{head} failed: {' and '.join(failed)}", flush=True)
            return False
        then, now = (statistics.median(map(bar.cost, records[name])) for name in records)
        ratio = now / max(then, 0.01)
        is_met = ratio <= bar.most
        print(f"{head} {self.options.against} {then:7.2f} s, {NOW} {now:7.2f} s: {ratio:5.3f} x,"
              f" at most {bar.most:.2f} x: {'met' if is_met else 'missed'}", flush=True)
        return is_met
