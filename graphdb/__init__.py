"""The only package that speaks to Neo4j: schema, graphs, path sampling, programs, QRA data, jobs, and a server of one's own."""

import sys

if not {"neo4j", "pandas"} & set(sys.modules):
    # The driver imports pandas where it finds it, for data frames that are never asked for here: 2 s in every process.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    import neo4j as neo4j

    del sys.modules["pandas"]
