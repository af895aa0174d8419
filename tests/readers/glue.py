"""Reads one table of a Glue catalog with PyIceberg's own Glue catalog and, from the metadata file that
Glue names, with DuckDB.

usage: glue.py ENDPOINT DATABASE TABLE

Prints one JSON object: per reader rows, the sum of their offsets, partitions and rejected rows; and
the columns as Glue shows them.
"""

import json
import sys

import boto3
import duckdb_extension_httpfs
import pyarrow.compute as pc
from cloud import REGION, glue_catalog, use_s3
from compare import duckdb_connection


def by_pyiceberg(endpoint, database, table):
    table = glue_catalog(endpoint, endpoint).load_table(f"{database}.{table}")
    rows = table.scan().to_arrow()
    return {
        "n": rows.num_rows,
        "s": pc.sum(rows["_offset"]).as_py(),
        "p": len(pc.unique(rows["_kafka_partition"])),
        "rejected": rows.num_rows - rows["_error"].null_count,
    }


def by_duckdb(endpoint, location):
    duckdb = duckdb_connection(duckdb_extension_httpfs)
    use_s3(duckdb, endpoint)
    row = duckdb.execute(
        "SELECT count(*), sum(_offset)::BIGINT, count(DISTINCT _kafka_partition), count(_error) "
        f"FROM iceberg_scan('{location}')"
    ).fetchone()
    return dict(zip(("n", "s", "p", "rejected"), row))


def main():
    endpoint, database, table = sys.argv[1:]
    glue = boto3.client(
        "glue",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    entry = glue.get_table(DatabaseName=database, Name=table)["Table"]
    location = entry["Parameters"]["metadata_location"]
    columns = {c["Name"]: c["Type"] for c in entry["StorageDescriptor"]["Columns"]}
    said = {
        "pyiceberg": by_pyiceberg(endpoint, database, table),
        "duckdb": by_duckdb(endpoint, location),
        "columns": columns,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
