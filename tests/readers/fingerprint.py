"""What all rows and columns of tables come to, as PyIceberg and DuckDB read them.

usage: fingerprint.py CATALOG_DB TABLE...

Prints the number of rows of each and the sum of their hashes; exit 1 if the two do not agree.
"""

import json
import sys

from compare import duckdb_connection
from pyiceberg.catalog.sql import SqlCatalog


def fingerprint(catalog, connection, name):
    """Rows and hash of a table; ends the process if the readers do not agree."""
    table = catalog.load_table(name)
    connection.register("by_pyiceberg", table.scan().to_arrow())
    columns = ", ".join(f'CAST("{field.name}" AS VARCHAR)' for field in table.schema().fields)
    query = f"SELECT count(*), sum(hash({columns}))::VARCHAR FROM"
    pyiceberg = connection.execute(f"{query} by_pyiceberg").fetchone()
    duckdb = connection.execute(f"{query} iceberg_scan(?)", [table.metadata_location]).fetchone()
    if pyiceberg != duckdb:
        sys.exit(f"{name}: PyIceberg reads {pyiceberg}, DuckDB {duckdb}")
    return {"table": name, "rows": pyiceberg[0], "hash": pyiceberg[1]}


def main():
    database, *names = sys.argv[1:]
    catalog = SqlCatalog("weir", uri=f"sqlite:///{database}")
    connection = duckdb_connection()
    connection.execute("SET TimeZone = 'UTC'")
    for name in names:
        print(json.dumps(fingerprint(catalog, connection, name)), flush=True)


if __name__ == "__main__":
    main()
