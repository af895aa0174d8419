"""One table through three readers: how each is asked."""

import json
import subprocess

import pyarrow.compute as pc
from compare import duckdb_connection
from pyiceberg.catalog.sql import SqlCatalog

# Questions in one run of weir.
BATCH = 40


class Readers:
    """`weir query`, DuckDB and PyIceberg. A count is [rows, sum of their offsets]."""

    def __init__(self, weir, config, database, name):
        self.weir, self.config, self.name = weir, config, name
        self.table = SqlCatalog("weir", uri=f"sqlite:///{database}").load_table(name)
        self.duckdb = duckdb_connection()
        self.duckdb.execute("SET TimeZone = 'UTC'")

    # --- weir

    def run_weir(self, sql, *arguments):
        command = [self.weir, "--config", self.config, "--output", "json", "query", sql, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def ask_weir(self, sql, *arguments):
        done = self.run_weir(sql, *arguments)
        if done.returncode != 0:
            raise RuntimeError(f"{sql}: {done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def weir_counts(self, conditions, *arguments):
        counts = []
        for first in range(0, len(conditions), BATCH):
            queries = [
                f"SELECT {index} AS i, count(*) AS n, sum(_offset) AS s FROM {self.name} WHERE {where}"
                for index, where in enumerate(conditions[first : first + BATCH])
            ]
            rows = self.ask_weir(" UNION ALL ".join(queries), *arguments)
            rows.sort(key=lambda row: int(row["i"]))
            counts.extend([int(row["n"]), int(row.get("s") or 0)] for row in rows)
        return counts

    def weir_rows(self):
        return self.ask_weir(f"SELECT * FROM {self.name} ORDER BY _kafka_partition, _offset")

    def weir_one(self, queries):
        selected = ", ".join(f"{query.weir} AS c{index}" for index, query in enumerate(queries))
        (row,) = self.ask_weir(f"SELECT {selected} FROM {self.name}")
        return [row.get(f"c{index}") for index in range(len(queries))]

    def weir_refuses(self, *arguments):
        return self.run_weir(f"SELECT count(*) FROM {self.name}", *arguments).returncode == 1

    # --- DuckDB

    def source(self, snapshot=None, time=None):
        at = "" if snapshot is None else f", snapshot_from_id={snapshot}"
        if time is not None:
            at = f", snapshot_from_timestamp=TIMESTAMP '{time:%Y-%m-%d %H:%M:%S.%f}'"
        return f"iceberg_scan('{self.table.metadata_location}'{at})"

    def duckdb_counts(self, conditions, snapshot=None, time=None):
        counts = []
        for where in conditions:
            sql = f"SELECT count(*), sum(_offset) FROM {self.source(snapshot, time)} WHERE {where}"
            count, total = self.duckdb.execute(sql).fetchone()
            counts.append([count, int(total or 0)])
        return counts

    def duckdb_rows(self):
        sql = f"SELECT * FROM {self.source()} ORDER BY _kafka_partition, _offset"
        return self.duckdb.execute(sql).to_arrow_table()

    def duckdb_one(self, queries):
        selected = ", ".join(query.duckdb for query in queries)
        return self.duckdb.execute(f"SELECT {selected} FROM {self.source()}").fetchone()

    def duckdb_files(self):
        sql = f"""SELECT file_path, record_count FROM iceberg_metadata('{self.table.metadata_location}')
                  WHERE status <> 'DELETED' AND manifest_content = 'DATA'"""
        return dict(self.duckdb.execute(sql).fetchall())

    # --- PyIceberg

    def pyiceberg_count(self, row_filter=None, snapshot=None):
        scan = self.table.scan(
            selected_fields=("_offset",),
            snapshot_id=snapshot,
            **({} if row_filter is None else {"row_filter": row_filter}),
        )
        offsets = scan.to_arrow()["_offset"]
        return [len(offsets), int(pc.sum(offsets).as_py() or 0)]

    def pyiceberg_rows(self):
        data = self.table.scan().to_arrow()
        return data.sort_by([("_kafka_partition", "ascending"), ("_offset", "ascending")])
