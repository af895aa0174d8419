"""Reference tables through weir, DuckDB and PyIceberg: every row of every snapshot, and what counts.

usage: references.py WEIR CONFIG CATALOG_DB TABLE...

What counts is asked of weir by its view, of DuckDB by the query that docs/contracts.md shows.
Prints every disagreement and one JSON object with what was compared; exit 1 if there was one.
"""

import json
import sys

from ask import Readers
from values import exact, rows_of_text

COUNTS = """
  SELECT * EXCLUDE (newest)
  FROM (SELECT *, row_number() OVER (PARTITION BY {key}, valid_from ORDER BY _load DESC) AS newest
        FROM {table})
  WHERE newest = 1 AND (valid_to IS NULL OR valid_to > valid_from)"""


def rows(table):
    """Rows of an Arrow table in an order of their own, to the bit."""
    return sorted(repr([exact(row[name]) for name in table.column_names]) for row in table.to_pylist())


def weir(readers, name, schema, *arguments):
    found = rows_of_text(readers.ask_weir(f"SELECT * FROM {name}", *arguments), schema)
    return sorted(repr([exact(row.get(field.name)) for field in schema]) for row in found)


def main():
    binary, config, database, *tables = sys.argv[1:]
    wrong, compared = 0, {"tables": 0, "snapshots": 0, "rows": 0, "counting": 0}

    def check(what, answers):
        nonlocal wrong
        if any(answer != answers["pyiceberg"] for answer in answers.values()):
            wrong += 1
            print(what, {who: answer[:3] for who, answer in answers.items()})

    for name in tables:
        readers = Readers(binary, config, database, name)
        compared["tables"] += 1
        for snapshot in readers.table.metadata.snapshots:
            number = snapshot.snapshot_id
            theirs = readers.table.scan(snapshot_id=number).to_arrow()
            duckdb = readers.duckdb.execute(f"SELECT * FROM {readers.source(number)}").to_arrow_table()
            answers = {
                "pyiceberg": rows(theirs),
                "duckdb": rows(duckdb.select(theirs.column_names)),
                "weir": weir(readers, name, theirs.schema, "--snapshot", str(number)),
            }
            check(f"{name}, snapshot {number}", answers)
            compared["snapshots"] += 1
            compared["rows"] += len(theirs)
        key = ", ".join(json.loads(readers.table.properties["weir.reference-key"]))
        sql = COUNTS.format(key=key, table=readers.source())
        duckdb = readers.duckdb.execute(sql).to_arrow_table().select(theirs.column_names)
        found = weir(readers, f"{name}_history", theirs.schema)
        check(f"what counts in {name}", {"pyiceberg": rows(duckdb), "weir": found})
        compared["counting"] += len(found)
    print(json.dumps({"disagreements": wrong, **compared}))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
