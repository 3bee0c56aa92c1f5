"""Tables in replies, in markdown."""

from collections.abc import Collection

from model.replies.json_like import normal

_MAX_ROWS = 256


def table_rows(text: str) -> list[list[str]]:
    """The rows of a table, its header first; nothing where there is no table.

    "| Object |\n|---|\n| man |" -> [["Object"], ["man"]]
    """
    rows, ruled = list[list[str]](), False
    for line in text.splitlines()[:_MAX_ROWS]:
        bare = line.strip()
        if "|" not in bare:
            continue
        if set(bare) <= set("|-: +"):
            ruled = True
        else:
            rows.append([cell.strip() for cell in bare.strip("|").split("|")])
    return rows if ruled or len(rows) > 1 else []


def column(rows: list[list[str]], keys: Collection[str]) -> list[str]:
    """The cells under the header that is one of the keys; of the first column that has words where none is."""
    header = [normal(cell) for cell in rows[0]]
    at = next((n for n, cell in enumerate(header) if cell in keys), None)
    if at is not None:
        return [row[at] for row in rows[1:] if at < len(row)]
    words = next((n for n in range(len(header)) if any(c.isalpha() for cell in rows[-1][n : n + 1] for c in cell)), 0)
    return [row[words] for row in rows[1:] if words < len(row)]
