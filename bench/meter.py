"""meter: what a run costs: seconds, CPU-seconds of both servers and of the clients, WAL, memory.

All figures come from /proc. The processes of a server are the children of its postmaster; those that
have ended are in the postmaster's own account of reaped children. Work that the kernel does on its
own account (writing back dirty pages) is nobody's. `machine` is all that the machine's cores did
meanwhile: where it is much more than the sum, something else was running."""

import os
import resource
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
SAMPLE_SECONDS = 0.05


def read(path):
    """The content of a file of /proc; empty when its process has gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def stat(pid):
    """Parent, ticks of the process itself, ticks of its reaped children."""
    fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields:
        return 0, 0, 0
    return int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])


def server_ticks(postmaster, excluded):
    """A child that ends in between would be counted twice or not at all: then anew."""
    while True:
        _, own, reaped = stat(postmaster)
        total = own + reaped
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            if pid not in excluded:
                parent, ticks, below = stat(pid)
                total += ticks + below if parent == postmaster else 0
        if stat(postmaster)[2] == reaped:
            return total


def client_seconds():
    """Of the programs that have been run and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def machine_seconds():
    busy = read("/proc/stat").split("\n", 1)[0].split()
    # user, nice, system, irq, softirq
    return sum(int(busy[field]) for field in (1, 2, 3, 6, 7)) / TICKS


def children(pid):
    """Quick, and good enough for memory: a process that is about to end may be missed."""
    found = set()
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found.update(map(int, read(f"/proc/{pid}/task/{task}/children").split()))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def descendants(pid):
    found = children(pid)
    for child in list(found):
        found |= descendants(child)
    return found


def anonymous_bytes(pids):
    """Memory that is neither a file's nor shared: RssAnon."""
    total = 0
    for pid in pids:
        fields = read(f"/proc/{pid}/statm").split()
        if fields:
            total += (int(fields[1]) - int(fields[2])) * PAGE
    return total


class MemorySampler(threading.Thread):
    """Peaks of the processes that did not exist before, of each group and of all together."""

    def __init__(self, source, destination):
        super().__init__(daemon=True)
        self.groups = {"source": lambda: children(source.pid),
                       "destination": lambda: children(destination.pid),
                       "clients": lambda: descendants(os.getpid())}
        self.before = {name: pids() for name, pids in self.groups.items()}
        self.peaks = dict.fromkeys([*self.groups, "all"], 0)
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(SAMPLE_SECONDS):
            now = {name: anonymous_bytes(pids() - self.before[name])
                   for name, pids in self.groups.items()}
            now["all"] = sum(now.values())
            for name, size in now.items():
                self.peaks[name] = max(self.peaks[name], size)


def wal_position(cluster):
    return int(cluster.sql("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"))


def measure(source, destination, action, excluded=()):
    """Runs action() and returns its costs; `excluded` are backends that only watch."""
    wal = wal_position(destination)
    memory = MemorySampler(source, destination)
    servers = {"source": source.pid, "destination": destination.pid}
    before = {name: server_ticks(pid, excluded) for name, pid in servers.items()}
    clients, machine = client_seconds(), machine_seconds()
    memory.start()
    begin = time.monotonic()
    try:
        action()
        seconds = time.monotonic() - begin
    finally:
        memory.ended.set()
        memory.join()
    cpu = {name: (server_ticks(pid, excluded) - before[name]) / TICKS
           for name, pid in servers.items()}
    cpu["clients"] = client_seconds() - clients
    cpu["all"] = sum(cpu.values())
    return {"seconds": round(seconds, 3),
            "cpu": {name: round(value, 2) for name, value in cpu.items()},
            "machine": round(machine_seconds() - machine, 2),
            "memory": memory.peaks,
            "wal": wal_position(destination) - wal}
