"""The jars of the embedded Neo4j: fetched by a committed list of coordinates and sha256, in parallel, and verified.

They lie in one cache for all checkouts. `python -m graphdb.jars` resolves the list anew.
"""

import hashlib
import os
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

LOCK = Path(__file__).with_name("jars.lock")
_WANTED = (
    "org.neo4j.app:neo4j-server:2026.09.0",
    "org.neo4j:neo4j:2026.09.0",
    "org.neo4j.client:neo4j-browser:5.24.0",
)
_TRIES = 4


class JarError(Exception):
    """A jar could not be had, or is not the one of the list; the text says what to do."""


def cache_folder() -> Path:
    """Where jars are kept: STSG_JARS, or stsg/jars in the user's cache folder."""
    if named := os.environ.get("STSG_JARS"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stsg" / "jars"


def fetch(folder: Path | None = None) -> list[Path]:
    """All jars of the list as files; what is missing is fetched.

    Raises:
        JarError: no connection, or a file whose hash is another.
    """
    folder = folder or cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    listed = [line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    jars = {folder / f"{sha256[:16]}-{name.split(':')[1]}.jar": (name, sha256) for name, sha256 in listed}
    missing = {target: row for target, row in jars.items() if not target.exists()}
    if missing:
        import httpx  # here, because a start that has all jars should not wait for it

        with httpx.Client(timeout=60, follow_redirects=True) as client, ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda item: _fetch(client, item[0], *item[1]), missing.items()))
    return list(jars)


def _fetch(client: "httpx.Client", target: Path, coordinates: str, sha256: str) -> None:
    content = _download(client, coordinates)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise JarError(f"{coordinates} is not the file of {LOCK.name}: its sha256 is another. Nothing was installed.")
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part:
        part.write(content)
    Path(part.name).replace(target)


def _download(client: "httpx.Client", coordinates: str) -> bytes:
    import httpx
    from jgo.constants import MAVEN_CENTRAL_URL

    group, artifact, version, *classifier = coordinates.split(":")
    name = "-".join([artifact, version, *classifier])
    address = f"{MAVEN_CENTRAL_URL}/{group.replace('.', '/')}/{artifact}/{version}/{name}.jar"
    error: Exception | None = None
    for _ in range(_TRIES):
        try:
            return client.get(address).raise_for_status().content
        except httpx.HTTPError as e:
            error = e
    raise JarError(
        f"Could not fetch {coordinates} ({error}). Check the connection, or use your own Neo4j: set STSG_NEO4J_URI."
    ) from error


def resolve() -> None:
    """Write the list anew from what the wanted artifacts need today."""
    from jgo.env import EnvironmentBuilder
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as scratch:
        context = MavenContext(repo_cache=Path(scratch) / "m2")
        builder = EnvironmentBuilder(context=context, cache_dir=Path(scratch) / "env")
        environment = builder.from_endpoint("+".join(_WANTED))
        lock = tomllib.loads((Path(environment.path) / "jgo.lock.toml").read_text())
    rows = [
        f"{':'.join(filter(None, (d['groupId'], d['artifactId'], d['version'], d.get('classifier'))))} {d['sha256']}"
        for d in lock["dependencies"]
    ]
    header = "# Neo4j Community and Neo4j Browser with all they need: coordinates and sha256. Made by `python -m graphdb.jars`."
    LOCK.write_text("\n".join([header, *sorted(rows)]) + "\n")


if __name__ == "__main__":
    resolve()
    sys.stdout.write(f"{LOCK}\n")
