"""Reads one table with PyIceberg's own REST catalog and, from the metadata file that the catalog names,
with DuckDB.

usage: rest.py URI TABLE

Prints one JSON object: per reader rows, the sum of their offsets, partitions and rejected rows; and the
tables and tags that PyIceberg sees.
"""

import json
import sys

import pyarrow.compute as pc
from compare import duckdb_connection
from pyiceberg.catalog.rest import RestCatalog


def by_pyiceberg(table):
    rows = table.scan().to_arrow()
    return {
        "n": rows.num_rows,
        "s": pc.sum(rows["_offset"]).as_py(),
        "p": len(pc.unique(rows["_kafka_partition"])),
        "rejected": rows.num_rows - rows["_error"].null_count,
    }


def by_duckdb(location):
    row = duckdb_connection().execute(
        "SELECT count(*), sum(_offset)::BIGINT, count(DISTINCT _kafka_partition), count(_error) "
        f"FROM iceberg_scan('{location}')"
    ).fetchone()
    return dict(zip(("n", "s", "p", "rejected"), row))


def main():
    uri, name = sys.argv[1:]
    catalog = RestCatalog("rest", uri=uri, credential="weir:hush")
    table = catalog.load_table(name)
    said = {
        "pyiceberg": by_pyiceberg(table),
        "duckdb": by_duckdb(table.metadata_location),
        "tables": [".".join(t) for t in catalog.list_tables(name.split(".")[0])],
        "refs": sorted(table.metadata.refs),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
