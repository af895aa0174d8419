"""Reads a table with PyIceberg and DuckDB as it is, and as it was at a snapshot.

usage: evolve.py CATALOG_DB TABLE [SNAPSHOT]

Prints one JSON object: `now` and `then`, each with columns and rows, and where there are such columns
the sums of `count` and `price` and how many rows have a `colour`. Exit 1 if the two readers differ.
"""

import json
import sys

import pyarrow.compute as pc
from ask import Readers

WHAT = {
    "count": ("sum(count)", lambda column: pc.sum(column).as_py(), int),
    "price": ("sum(price)", lambda column: pc.sum(column).as_py(), str),
    "colour": ("count(colour)", lambda column: pc.count(column).as_py(), int),
}
NAMES = {"colour": "colours"}


def pyiceberg(table, snapshot):
    data = table.scan(snapshot_id=snapshot).to_arrow()
    said = {"columns": data.column_names, "rows": data.num_rows}
    for name, (_, ask, show) in WHAT.items():
        if name in data.column_names:
            said[NAMES.get(name, name)] = show(ask(data[name]))
    return said


def duckdb(readers, snapshot):
    source = readers.source(snapshot)
    described = readers.duckdb.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    columns = [row[0] for row in described]
    said = {"columns": columns, "rows": readers.duckdb.execute(f"SELECT count(*) FROM {source}").fetchone()[0]}
    for name, (sql, _, show) in WHAT.items():
        if name in columns:
            said[NAMES.get(name, name)] = show(readers.duckdb.execute(f"SELECT {sql} FROM {source}").fetchone()[0])
    return said


def main():
    database, name, *snapshot = sys.argv[1:]
    readers = Readers(None, None, database, name)
    said = {}
    for when, at in [("now", None)] + [("then", int(one)) for one in snapshot]:
        one, other = pyiceberg(readers.table, at), duckdb(readers, at)
        if one != other:
            sys.exit(f"{when}: PyIceberg reads {one}, DuckDB {other}")
        said[when] = one
    print(json.dumps(said))


if __name__ == "__main__":
    main()
