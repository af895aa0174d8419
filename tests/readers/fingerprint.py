"""What all rows and columns of a table come to, as PyIceberg and DuckDB read them.

usage: fingerprint.py CATALOG_DB TABLE

Prints the number of rows and the sum of their hashes; exit 1 if the two do not agree.
"""

import json
import sys

from compare import duckdb_connection
from pyiceberg.catalog.sql import SqlCatalog


def main():
    database, name = sys.argv[1:]
    table = SqlCatalog("weir", uri=f"sqlite:///{database}").load_table(name)
    by_pyiceberg = table.scan().to_arrow()
    connection = duckdb_connection()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("by_pyiceberg", by_pyiceberg)
    columns = ", ".join(f'CAST("{field.name}" AS VARCHAR)' for field in table.schema().fields)
    query = f"SELECT count(*), sum(hash({columns}))::VARCHAR FROM"
    pyiceberg = connection.execute(f"{query} by_pyiceberg").fetchone()
    duckdb = connection.execute(f"{query} iceberg_scan(?)", [table.metadata_location]).fetchone()
    print(json.dumps({"rows": pyiceberg[0], "hash": pyiceberg[1]}))
    if pyiceberg != duckdb:
        sys.exit(f"PyIceberg reads {pyiceberg}, DuckDB {duckdb}")


if __name__ == "__main__":
    main()
