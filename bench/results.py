"""results: the file of measurements, and what it says: medians, and how ours compare with the others."""

import collections
import json
import statistics


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def save(path, results):
    """One run per line, so that a change of the file can be read."""
    head = {key: value for key, value in results.items() if key != "runs"}
    text = json.dumps(head, indent=1)[:-2] + ',\n "runs": [\n  '
    text += ",\n  ".join(json.dumps(run) for run in results["runs"]) + "\n ]\n}\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def with_others(results, old):
    """The results, with what older ones have of tables and ways that were not measured now."""
    measured = {(run["table"], run["way"]) for run in results["runs"]}
    kept = [run for run in old["runs"] if (run["table"], run["way"]) not in measured]
    together = {part: {**old[part], **results[part]} for part in ("tables", "ways")}
    return {**results, **together, "runs": kept + results["runs"]}


Figure = collections.namedtuple("Figure", "median low high")


def figure(values):
    return Figure(statistics.median(values), min(values), max(values))


class Summary:
    """All good runs of one way with one table; `error` is why one was not good."""

    def __init__(self, name, way, rows, runs):
        self.name, self.group, self.workers, self.tcp = name, way["group"], way["workers"], way["tcp"]
        self.error = next((run["error"] for run in runs if run.get("error")), None)
        self.runs = [run for run in runs if not run.get("error")]
        if self.error is None:
            self.seconds = figure([run["seconds"] for run in self.runs])
            self.cpu = {part: figure([run["cpu"][part] for run in self.runs])
                        for part in ("source", "destination", "clients", "all")}
            self.wal = statistics.median(run["wal"] for run in self.runs)
            self.memory = max(run["memory"]["all"] for run in self.runs)
            self.rate = rows / self.seconds.median
            self.routes = ", ".join(sorted({run["route"] for run in self.runs if run.get("route")}))


def summaries(results, table, scaling=False):
    """In the order of `ways`."""
    found = collections.defaultdict(list)
    for run in results["runs"]:
        if run["table"] == table:
            found[run["way"]].append(run)
    rows = results["tables"][table]["rows"]
    return [Summary(name, way, rows, found[name]) for name, way in results["ways"].items()
            if name in found and bool(way["index"]) == scaling]


def fastest(candidates):
    return min(candidates, key=lambda summary: summary.seconds.median, default=None)


Headline = collections.namedtuple("Headline", "what ours other times_as_fast share_of_cpu")


def headlines(results, table):
    """How many times as fast ours is, and with which share of the CPU-seconds of all processes.
    By socket on both sides."""
    good = [summary for summary in summaries(results, table) if summary.error is None and not summary.tcp]
    named = {summary.name: summary for summary in good}
    others = [summary for summary in good if summary.group == "other"]

    def best(prefix):
        return fastest([named[name] for name in (f"{prefix}-2", f"{prefix}-4") if name in named])

    pairs = [(f"{route}, 2 or 4 workers, and the fastest other way", best(route), fastest(others))
             for route in ("heap", "copy")]
    pairs += [("the fastest of ours, and pg_dump | pg_restore",
               fastest([summary for summary in good if summary.group == "ours"]), named.get("pg_dump-2"))]
    pairs += [(f"{route}, one worker, and one binary pipe", named.get(f"{route}-1"), named.get("pipe-1"))
              for route in ("heap", "copy")]
    return [Headline(what, ours, other, other.seconds.median / ours.seconds.median,
                     ours.cpu["all"].median / max(0.01, other.cpu["all"].median))
            for what, ours, other in pairs if ours and other]
