"""cluster: a throwaway PostgreSQL server in a folder, reached by a socket there and, if wanted, by TCP."""

import copy
import os
import secrets
import socket
import subprocess

DATABASE = "bench"

# The same for both servers. Autovacuum is off, so that it does not run into one of the timings;
# what makes a commit durable is left on.
SETTINGS = {
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "30min",
    "autovacuum": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_worker_processes": "32",
    "timezone": "UTC",
}
# Both for native logical replication. Without the second a subscription that follows upon another
# waits up to 5 s before it begins.
SOURCE_SETTINGS = {"wal_level": "logical"}
DESTINATION_SETTINGS = {"wal_retrieve_retry_interval": "100ms"}


class Failed(Exception):
    """A program ended badly; the message is the end of what it wrote."""


def check(arguments, **options):
    """Runs a program and returns what it printed."""
    done = subprocess.run(arguments, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Failed(f"{arguments[0]}: {(done.stderr or done.stdout)[-2000:].strip()}")
    return done.stdout.strip()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_passwords(folder):
    """Writes the password of all servers; servers read the file that is returned, clients find it by
    PGPASSFILE."""
    password_file = os.path.join(folder, "password")
    password = secrets.token_hex(16)
    passwords = {password_file: password, password_file + "s": f"*:*:*:postgres:{password}"}
    for path, line in passwords.items():
        with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(line + "\n")
    os.environ["PGPASSFILE"] = password_file + "s"
    return password_file


class Cluster:
    """initdb gives sockets to this user alone, by the folder's rights; TCP asks for the password
    that the file named by PGPASSFILE has. The server's programs are those of PATH, or in `bin_folder`:
    a server takes its libraries and extensions from the tree that its programs lie in."""

    def __init__(self, name, folder, settings, password_file, bin_folder=""):
        self.name = name
        self.database = DATABASE
        self.folder = os.path.join(folder, name)
        self.data = os.path.join(self.folder, "data")
        self.pg_ctl = os.path.join(bin_folder, "pg_ctl")
        self.port = free_port()
        os.mkdir(self.folder, 0o700)
        check([os.path.join(bin_folder, "initdb"), "-D", self.data, "-U", "postgres", "--no-locale", "--encoding=UTF8",
               "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password_file}"])
        own = {"listen_addresses": "127.0.0.1", "port": self.port,
               "unix_socket_directories": self.folder}
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as conf:
            for key, value in {**own, **settings}.items():
                conf.write(f"{key} = '{value}'\n")
        self.start()
        self.create_database()

    def create_database(self):
        check(["createdb", "-h", self.folder, "-p", str(self.port), "-U", "postgres", self.database])

    def by_other_programs(self, bin_folder, database):
        """The same server as one that is started by other programs, and used in another database."""
        other = copy.copy(self)
        other.pg_ctl = os.path.join(bin_folder, "pg_ctl")
        other.database = database
        return other

    def start(self):
        check([self.pg_ctl, "start", "-s", "-w", "-D", self.data, "-l", os.path.join(self.folder, "log")],
              timeout=120)
        with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as pid_file:
            self.pid = int(pid_file.readline())

    def stop(self):
        check([self.pg_ctl, "stop", "-s", "-m", "fast", "-D", self.data])

    def host(self, tcp=False):
        return "127.0.0.1" if tcp else self.folder

    def dsn(self, tcp=False):
        return f"host={self.host(tcp)} port={self.port} user=postgres dbname={self.database}"

    def uri(self):
        return f"postgresql://postgres@/{self.database}?host={self.folder}&port={self.port}"

    def psql(self, *statements, tcp=False):
        """The command line that runs the statements, each in a transaction of its own."""
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.dsn(tcp)]
        for statement in statements:
            command += ["-c", statement]
        return command

    def sql(self, *statements):
        return check(self.psql(*statements))
