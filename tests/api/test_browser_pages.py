from urllib.parse import parse_qs, urlsplit

import pytest

from api.neo4j import pages


def test_every_saved_query_has_a_title_and_is_about_the_run() -> None:
    queries = pages.saved_queries()
    assert len(queries) >= 6
    assert all(q.title and "$run" in q.cypher for q in queries)
    assert "$run" not in pages.guide("run_1") and "$run" not in pages.queries_file("run_1")


@pytest.mark.parametrize(
    ("bolt", "told"),
    [
        ("bolt://127.0.0.1:7777", "bolt://neo4j@127.0.0.1:7777"),
        ("neo4j+s://db.example.org", "neo4j+s://neo4j@db.example.org:7687"),
        ("bolt://neo4j:7687", "bolt://neo4j@graphs.example.org:7687"),  # a name that only containers know
    ],
)
def test_the_link_carries_user_database_and_query(bolt: str, told: str) -> None:
    link = urlsplit(pages.browser_link("http://graphs.example.org:7474/", bolt, "neo4j", "run_1"))
    query = parse_qs(link.query)
    assert link.path == "/browser/"
    assert query["dbms"] == [told] and query["cmd"] == ["edit"]
    assert "'run_1'" in query["arg"][0] and "+" not in link.query.replace("%2B", "")


@pytest.mark.parametrize("run", ["", "x' DETACH DELETE n //", "<script>", "a/b", "x" * 81])
def test_only_a_run_id_gets_into_cypher_or_html(run: str) -> None:
    with pytest.raises(ValueError, match="not a run id"):
        pages.for_run("MATCH (n {graph_id: $run}) RETURN n", run)
