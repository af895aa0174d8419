"""Compares a raw table, as PyIceberg and DuckDB read it, with the producer's own list.

usage: compare.py CATALOG TABLE LIST.csv     (LIST: partition,offset,accepted,required)
CATALOG is an SQLite file, or the endpoints of Glue and S3 with a comma between them.
A record that is not required may be missing: a compacted topic drops what is superseded. Prints one
line per reader, then one JSON object; exit 1 with the differences if they do not agree.
"""

import glob
import json
import os
import sys

import duckdb
import duckdb_extension_avro
import duckdb_extension_httpfs
import duckdb_extension_iceberg
from cloud import glue_catalog, use_s3
from pyiceberg.catalog.sql import SqlCatalog

COLUMNS = '_kafka_partition AS "partition", _offset AS "offset", _error IS NULL AS accepted'


def duckdb_connection(*more):
    """A connection that reads Iceberg; `more` are modules of further extensions."""
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for module in (duckdb_extension_avro, duckdb_extension_iceberg, *more):
        folder = os.path.dirname(module.__file__)
        (extension,) = glob.glob(folder + "/**/*.duckdb_extension", recursive=True)
        connection.execute(f"LOAD '{extension}'")
    return connection


def differences(connection, these, those):
    """How many records are in `these` more often than in `those`, and the first ten of them."""
    query = f"SELECT * FROM ({these}) EXCEPT ALL SELECT * FROM ({those})"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE difference AS {query}")
    count = connection.execute("SELECT count(*) FROM difference").fetchone()[0]
    return count, connection.execute("SELECT * FROM difference ORDER BY ALL LIMIT 10").fetchall()


def main():
    catalog, name, path = sys.argv[1:]
    if catalog.startswith("http"):
        glue, s3 = catalog.split(",")
        connection = duckdb_connection(duckdb_extension_httpfs)
        use_s3(connection, s3)
        table = glue_catalog(glue, s3).load_table(name)
    else:
        connection = duckdb_connection()
        table = SqlCatalog("weir", uri=f"sqlite:///{catalog}").load_table(name)
    by_pyiceberg = table.scan(selected_fields=("_kafka_partition", "_offset", "_error")).to_arrow()
    connection.register("by_pyiceberg", by_pyiceberg)
    connection.execute(f"CREATE TABLE pyiceberg AS SELECT {COLUMNS} FROM by_pyiceberg")
    scan = f"SELECT {COLUMNS} FROM iceberg_scan(?)"
    connection.execute(f"CREATE TABLE duckdb AS {scan}", [table.metadata_location])
    types = {"partition": "INT", "offset": "BIGINT", "accepted": "BOOL", "required": "BOOL"}
    connection.execute("CREATE TABLE list AS SELECT * FROM read_csv(?, columns = ?)", [path, types])
    listed = 'SELECT "partition", "offset", accepted FROM list'
    agree = True
    for reader in ("pyiceberg", "duckdb"):
        rows = connection.execute(f"SELECT count(*) FROM {reader}").fetchone()[0]
        missing = differences(connection, f"{listed} WHERE required", f"FROM {reader}")
        extra = differences(connection, f"FROM {reader}", listed)
        print(f"{reader}: {rows} rows, {missing[0]} missing, {extra[0]} extra")
        for what, (_, some) in (("missing", missing), ("extra", extra)):
            for partition, offset, accepted in some:
                print(f"  {what}: partition {partition} offset {offset} accepted {accepted}")
        agree = agree and not missing[0] and not extra[0]
    for these, those in (("pyiceberg", "duckdb"), ("duckdb", "pyiceberg")):
        agree = agree and differences(connection, f"FROM {these}", f"FROM {those}")[0] == 0
    away = connection.execute("SELECT count(*) FROM list").fetchone()[0] - rows
    print(json.dumps({"rows": rows, "compacted_away": away}))
    sys.exit(0 if agree else 1)


if __name__ == "__main__":
    main()
