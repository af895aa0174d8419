"""Compares a raw table, as PyIceberg and DuckDB read it, with the producer's own list.

usage: compare.py CATALOG_DB TABLE LIST.csv     (LIST: partition,offset,accepted,required)
A record that is not required may be missing: a compacted topic drops what is superseded. Prints one
line per reader, then one JSON object; exit 1 with the differences if they do not agree.
"""

import csv
import glob
import json
import os
import sys
from collections import Counter

import duckdb
import duckdb_extension_avro
import duckdb_extension_iceberg
from pyiceberg.catalog.sql import SqlCatalog


def expected(path):
    """All records of the list, and those of them that must be there."""
    listed, required = Counter(), Counter()
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            record = (int(row["partition"]), int(row["offset"]), row["accepted"] == "true")
            listed[record] += 1
            required[record] += row["required"] == "true"
    return listed, +required


def pyiceberg_rows(table):
    columns = table.scan(selected_fields=("_partition", "_offset", "_error")).to_arrow()
    errors = columns["_error"].combine_chunks()
    accepted = errors.is_null().to_pylist()
    return Counter(
        zip(columns["_partition"].to_pylist(), columns["_offset"].to_pylist(), accepted)
    )


def duckdb_connection():
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for module in (duckdb_extension_avro, duckdb_extension_iceberg):
        folder = os.path.dirname(module.__file__)
        (extension,) = glob.glob(folder + "/**/*.duckdb_extension", recursive=True)
        connection.execute(f"LOAD '{extension}'")
    return connection


def duckdb_rows(table):
    query = "SELECT _partition, _offset, _error IS NULL FROM iceberg_scan(?)"
    rows = duckdb_connection().execute(query, [table.metadata_location]).fetchall()
    return Counter(rows)


def main():
    database, name, path = sys.argv[1:]
    catalog = SqlCatalog("weir", uri=f"sqlite:///{database}")
    table = catalog.load_table(name)
    listed, required = expected(path)
    found = {"pyiceberg": pyiceberg_rows(table), "duckdb": duckdb_rows(table)}
    agree = found["pyiceberg"] == found["duckdb"]
    for reader, rows in found.items():
        missing, extra = required - rows, rows - listed
        print(f"{reader}: {rows.total()} rows, {len(missing)} missing, {len(extra)} extra")
        for what, difference in (("missing", missing), ("extra", extra)):
            for row in sorted(difference)[:10]:
                print(f"  {what}: partition {row[0]} offset {row[1]} accepted {row[2]}")
        agree = agree and not missing and not extra
    rows = found["duckdb"].total()
    print(json.dumps({"rows": rows, "compacted_away": listed.total() - rows}))
    sys.exit(0 if agree else 1)


if __name__ == "__main__":
    main()
