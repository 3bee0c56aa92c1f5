"""What Neo4j Browser loads from this service: the style, a guide with runnable slides, saved queries."""
