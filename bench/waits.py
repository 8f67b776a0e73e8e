"""waits: what the busy sessions of a server wait for, looked at every 20 ms by a session of psql."""

import collections
import subprocess
import tempfile
import time

from cluster import Failed

LOOK = r"""
SELECT 'session|' || pg_backend_pid();
SELECT 'wait|' || backend_type || '|' || coalesce(wait_event_type || ':' || wait_event, 'CPU') || '|' || count(*)
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND {condition}
GROUP BY backend_type, wait_event_type, wait_event
\watch 0.02
"""
CONDITIONS = {
    "destination": "backend_type = 'parallel_loader worker'",
    "source": "backend_type = 'client backend' AND state = 'active'",
}


class WaitSampler:
    """Its backend is in `pid`; stop() gives the count of each wait, CPU being no wait."""

    def __init__(self, cluster):
        self.printed = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(cluster.psql(), stdin=subprocess.PIPE, text=True,
                                        stdout=self.printed, stderr=subprocess.DEVNULL)
        self.process.stdin.write(LOOK.format(condition=CONDITIONS[cluster.name]))
        self.process.stdin.flush()
        while "\n" not in self.text():
            if self.process.poll() is not None:
                raise Failed("the session that samples waits has ended")
            time.sleep(0.01)
        self.pid = int(self.text().splitlines()[0].split("|")[1])

    def text(self):
        self.printed.seek(0)
        return self.printed.read()

    def stop(self):
        self.process.terminate()
        self.process.wait()
        counts = collections.Counter()
        for line in self.text().splitlines():
            fields = line.split("|")
            if fields[0] == "wait":
                counts[fields[2]] += int(fields[3])
        self.printed.close()
        return dict(counts.most_common())
