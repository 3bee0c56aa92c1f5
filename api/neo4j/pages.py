"""The texts that Neo4j Browser loads, and the links that open it on one run's graph or on one path in it."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

_HERE = Path(__file__).parent
RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_EDGE_ID = re.compile(rf"{RUN_ID.pattern}/(attribute|relation|motion|reference|event)/[0-9a-f]{{16}}")


@dataclass(frozen=True)
class SavedQuery:
    """One query of queries.cypher with the comment above it as its title."""

    title: str
    cypher: str


def style() -> str:
    """The GraSS sheet: a colour per kind of node and edge, captions that read well."""
    return (_HERE / "style.grass").read_text()


@cache
def saved_queries() -> tuple[SavedQuery, ...]:
    """The queries of queries.cypher in file order; the first one shows the whole graph."""
    blocks = re.split(r"\n{2,}", (_HERE / "queries.cypher").read_text().strip())
    found = []
    for block in blocks:
        lines = block.splitlines()
        code = [line for line in lines if not line.startswith("//")]
        if code:
            title = " ".join(line.removeprefix("//").strip() for line in lines if line.startswith("//"))
            found.append(SavedQuery(title, "\n".join(code)))
    return tuple(found)


def for_run(cypher: str, run_id: str) -> str:
    """The query with the run's id in the place of $run; the id holds nothing that Cypher could misread."""
    if not RUN_ID.fullmatch(run_id):
        raise ValueError(f"not a run id: {run_id!r}")
    return cypher.replace("$run", f"'{run_id}'")


def queries_file(run_id: str | None) -> str:
    """queries.cypher, about `run_id` where one is given."""
    text = (_HERE / "queries.cypher").read_text()
    return for_run(text, run_id) if run_id else text


def guide(run_id: str) -> str:
    """A Browser guide: one slide per saved query, each runnable with a click."""
    slides = "".join(
        f'<slide class="row-fluid"><div class="col-sm-12"><h3>{html.escape(_head(q.title))}</h3>'
        f"<p>{html.escape(_rest(q.title))}</p>"
        f'<pre class="pre-scrollable code runnable">{html.escape(for_run(q.cypher, run_id))}</pre></div></slide>'
        for q in saved_queries()
    )
    return (
        '<article class="guide"><title>Spatio-temporal scene graph</title>'
        f'<carousel class="deck container-fluid">{slides}</carousel></article>'
    )


def browser_link(http: str, bolt: str, user: str, run_id: str) -> str:
    """The address that opens Neo4j Browser with the query of the run's whole graph in its editor.

    No database is named: Browser would switch to it before it knows which there are, and complain.
    """
    return _link(http, bolt, user, for_run(saved_queries()[0].cypher, run_id))


def path_link(http: str, bolt: str, user: str, edges: Sequence[str]) -> str:
    """The address that opens Neo4j Browser with the query of a reasoning path: the edges of these ids and their ends.

    Ids of edges are hashes, so no word of a model gets into the query, which ids of nodes would bring along.
    """
    by_kind: dict[str, list[str]] = {}
    for id in edges:
        if not (found := _EDGE_ID.fullmatch(id)):
            raise ValueError(f"not the id of a path's edge: {id!r}")
        by_kind.setdefault(found[1].upper(), []).append(id)
    # a part for each kind: Neo4j has its index of ids by kind
    parts = [f"MATCH p = ()-[r:{kind}]->() WHERE r.id IN {ids}\nRETURN p" for kind, ids in by_kind.items()]
    return _link(http, bolt, user, "\nUNION\n".join(parts))


def _link(http: str, bolt: str, user: str, cypher: str) -> str:
    query = {"dbms": _reachable(bolt, user, http), "cmd": "edit", "arg": cypher}
    return f"{http.rstrip('/')}/browser/?{urlencode(query, quote_via=quote)}"


def _reachable(bolt: str, user: str, http: str) -> str:
    """The database as a user's Browser reaches it: a name without a dot is known only among the service's containers."""
    parts = urlsplit(bolt)
    host = parts.hostname or "localhost"
    if "." not in host and ":" not in host:
        host = urlsplit(http).hostname or host
    return f"{parts.scheme}://{user}@{f'[{host}]' if ':' in host else host}:{parts.port or 7687}"


def _head(title: str) -> str:
    return re.split(r"[:,.]", title, maxsplit=1)[0]


def _rest(title: str) -> str:
    return title[len(_head(title)) :].lstrip(":,. ").capitalize()
