"""Asks weir, PyIceberg and DuckDB the same questions of one table, and compares the answers.

usage: agree.py WEIR CONFIG CATALOG_DB TABLE

Counts and sums, a filter on every column (its least, its greatest and a middle value, null and not
null), every snapshot of the table by id, the newest by time; and that the bounds and counts in the
manifests hold for what the files hold. Exit 1 with every disagreement.
"""

import datetime
import decimal
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from compare import duckdb_connection
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import (
    EqualTo,
    GreaterThan,
    IsNull,
    LessThanOrEqual,
    NotNull,
)

DISAGREE = []


def check(what, answers):
    if len({json.dumps(answer, sort_keys=True, default=str) for answer in answers.values()}) != 1:
        DISAGREE.append(f"{what}: {answers}")


class Readers:
    def __init__(self, weir, config, database, name):
        self.weir, self.config, self.name = weir, config, name
        self.table = SqlCatalog("weir", uri=f"sqlite:///{database}").load_table(name)
        self.duckdb = duckdb_connection()
        self.duckdb.execute("SET TimeZone = 'UTC'")

    def ask_weir(self, sql, *arguments):
        command = [self.weir, "--config", self.config, "--output", "json", "query", sql, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{sql}: {done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def weir_count(self, where, *arguments):
        sql = f"SELECT count(*) AS n, sum(_offset) AS s FROM {self.name} WHERE {where}"
        row = self.ask_weir(sql, *arguments)[0]
        return [int(row["n"]), int(row.get("s") or 0)]

    def duckdb_count(self, where, snapshot=None):
        at = "" if snapshot is None else f", snapshot_from_id={snapshot}"
        source = f"iceberg_scan('{self.table.metadata_location}'{at})"
        sql = f"SELECT count(*), sum(_offset) FROM {source} WHERE {where}"
        count, total = self.duckdb.execute(sql).fetchone()
        return [count, int(total or 0)]

    def pyiceberg_count(self, row_filter=None, snapshot=None):
        scan = self.table.scan(
            selected_fields=("_offset",),
            snapshot_id=snapshot,
            **({} if row_filter is None else {"row_filter": row_filter}),
        )
        offsets = scan.to_arrow()["_offset"]
        return [len(offsets), int(pc.sum(offsets).as_py() or 0)]


def literal(value):
    """A value as SQL that both weir and DuckDB read."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.datetime):
        return f"TIMESTAMP '{value.astimezone(datetime.timezone.utc):%Y-%m-%d %H:%M:%S.%f}+00:00'"
    if isinstance(value, datetime.date):
        return f"DATE '{value}'"
    if isinstance(value, decimal.Decimal):
        return f"CAST('{value}' AS DECIMAL(18,4))"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


def duckdb_literal(value):
    if isinstance(value, datetime.datetime):
        return literal(value).replace("TIMESTAMP ", "TIMESTAMPTZ ")
    return literal(value)


def filters(readers):
    """Every column: null, not null, and comparisons with its own least, middle and greatest."""
    data = readers.table.scan().to_arrow()
    for field in data.schema:
        if pa.types.is_struct(field.type):
            continue
        name = f'"{field.name}"'
        check_filter(readers, f"{name} IS NULL", f"{name} IS NULL", IsNull(field.name))
        check_filter(readers, f"{name} IS NOT NULL", f"{name} IS NOT NULL", NotNull(field.name))
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            continue
        column = data[field.name].drop_null()
        if len(column) == 0:
            continue
        ordered = column.cast(pa.int8()) if pa.types.is_boolean(field.type) else column
        order = pc.sort_indices(ordered)
        for at in (0, len(column) // 2, len(column) - 1):
            value = column[order[at].as_py()].as_py()
            ours, theirs = literal(value), duckdb_literal(value)
            check_filter(readers, f"{name} = {ours}", f"{name} = {theirs}", EqualTo(field.name, value))
            if not isinstance(value, bool):
                check_filter(
                    readers, f"{name} > {ours}", f"{name} > {theirs}", GreaterThan(field.name, value)
                )
                check_filter(
                    readers,
                    f"{name} <= {ours}",
                    f"{name} <= {theirs}",
                    LessThanOrEqual(field.name, value),
                )


def check_filter(readers, ours, theirs, row_filter):
    check(
        ours[:200],
        {
            "weir": readers.weir_count(ours),
            "duckdb": readers.duckdb_count(theirs),
            "pyiceberg": readers.pyiceberg_count(row_filter),
        },
    )


def time_travel(readers):
    for snapshot in readers.table.metadata.snapshots:
        number = snapshot.snapshot_id
        check(
            f"snapshot {number}",
            {
                "weir": readers.weir_count("true", "--snapshot", str(number)),
                "duckdb": readers.duckdb_count("true", number),
                "pyiceberg": readers.pyiceberg_count(snapshot=number),
            },
        )
    last = readers.table.metadata.snapshots[-1]
    time = datetime.datetime.fromtimestamp(last.timestamp_ms / 1000, datetime.timezone.utc)
    check(
        f"as of {time}",
        {
            "weir": readers.weir_count("true", "--as-of", time.isoformat(timespec="milliseconds")),
            "pyiceberg": readers.pyiceberg_count(snapshot=last.snapshot_id),
        },
    )


def manifests(readers):
    """Counts and bounds of every file, against what the file holds."""
    schema = readers.table.schema()
    for task in readers.table.scan().plan_files():
        file = task.file
        data = pq.read_table(file.file_path.removeprefix("file://"))
        check(f"{file.file_path} rows", {"manifest": file.record_count, "file": data.num_rows})
        for field in schema.fields:
            if not field.field_type.is_primitive or field.name not in data.column_names:
                continue
            column = data[field.name]
            nulls = (file.null_value_counts or {}).get(field.field_id)
            if nulls is not None:
                check(f"{file.file_path} {field.name} nulls", {"m": nulls, "f": column.null_count})
            values = [value for value in column.to_pylist() if value is not None]
            if not values:
                continue
            bounds = ((file.lower_bounds or {}), (file.upper_bounds or {}))
            lower, upper = (
                from_bytes(field.field_type, b[field.field_id]) if field.field_id in b else None
                for b in bounds
            )
            least, greatest = comparable(min(values)), comparable(max(values))
            if lower is not None and lower > least:
                DISAGREE.append(f"{file.file_path} {field.name}: lower {lower} > {least}")
            if upper is not None and upper < greatest:
                DISAGREE.append(f"{file.file_path} {field.name}: upper {upper} < {greatest}")


def comparable(value):
    """The value in the form in which PyIceberg reads bounds."""
    if isinstance(value, datetime.datetime):
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return (value - epoch) // datetime.timedelta(microseconds=1)
    if isinstance(value, datetime.date):
        return (value - datetime.date(1970, 1, 1)).days
    return value


def main():
    readers = Readers(*sys.argv[1:5])
    check(
        "all rows",
        {
            "weir": readers.weir_count("true"),
            "duckdb": readers.duckdb_count("true"),
            "pyiceberg": readers.pyiceberg_count(),
        },
    )
    filters(readers)
    time_travel(readers)
    manifests(readers)
    for line in DISAGREE:
        print(line)
    print(f"{len(DISAGREE)} disagreements, {len(readers.table.metadata.snapshots)} snapshots")
    sys.exit(1 if DISAGREE else 0)


if __name__ == "__main__":
    main()
