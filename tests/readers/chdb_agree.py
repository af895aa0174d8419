"""Compares a table as chdb (ClickHouse in the process) reads it with what PyIceberg reads: every value
of every row, and how many rows hold for filters on every column.

usage: chdb_agree.py CATALOG_DB TABLE

Prints one JSON object that counts what was compared; exit 1 with the first disagreement.
"""

import datetime
import decimal
import json
import os
import sys

import chdb
import pyarrow as pa
from dialects import Refused, plain
from pyiceberg.catalog.sql import SqlCatalog
from values import UTC, Literal

SIGNS = {
    "=": lambda one, other: one == other,
    "<": lambda one, other: one < other,
    ">=": lambda one, other: one >= other,
}
# ClickHouse holds times of these years only, as days and as µs; it reads others as the nearest.
FIRST, LAST = datetime.datetime(1900, 1, 1, tzinfo=UTC), datetime.datetime(2299, 12, 31, 23, 59, 59, 999999, UTC)


class Chdb:
    """The table by its metadata file: ClickHouse has no catalog in SQLite."""

    def __init__(self, table):
        folder = table.location().removeprefix("file://")
        # ClickHouse reads files only below where it runs.
        os.chdir(os.path.dirname(folder))
        metadata = table.metadata_location.removeprefix("file://").removeprefix(folder + "/")
        self.source = f"icebergLocal('{folder}', SETTINGS iceberg_metadata_file_path='{metadata}')"

    def ask(self, what, where="true"):
        settings = "session_timezone = 'UTC', output_format_arrow_string_as_string = 0"
        sql = f"SELECT {what} FROM {self.source} WHERE {where} SETTINGS {settings}"
        return pa.ipc.open_stream(chdb.query(sql, "ArrowStream").bytes()).read_all()


def literal(value, kind):
    if isinstance(value, datetime.datetime):
        return f"toDateTime64('{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"
    if isinstance(value, datetime.date):
        return f"toDate32('{value}')"
    if isinstance(value, decimal.Decimal):
        return f"CAST('{value:f}' AS Decimal({kind.precision}, {kind.scale}))"
    if isinstance(value, bytes):
        return f"unhex('{value.hex()}')"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0") + "'"
    return Literal(value, kind).weir


def shown(value, kind):
    """A value as ClickHouse can show it: times within its years, a null struct as one of nulls."""
    if pa.types.is_timestamp(kind) and value is not None:
        return plain(min(max(value, FIRST), LAST), kind)
    if pa.types.is_struct(kind):
        value = value or {field.name: None for field in kind}
        value = {name: member.decode() if isinstance(member, bytes) else member for name, member in value.items()}
    return plain(value, kind)


def values(table, field):
    column = table[field.name]
    if not pa.types.is_struct(field.type):
        column = column.cast(field.type)
    return [shown(value, field.type) for value in column.to_pylist()]


def conditions(field, held):
    """SQL, and the same of a value."""
    if pa.types.is_struct(field.type):
        # To ClickHouse a struct is never null, only its members are.
        yield f'"{field.name}"."{field.type[0].name}" IS NULL', lambda value: value is None
        return
    name = f'"{field.name}"'
    yield f"{name} IS NULL", lambda value: value is None
    for picked in dict.fromkeys(held[:1] + held[len(held) // 2 :][:1]):
        if isinstance(picked, datetime.datetime) and not FIRST <= picked <= LAST:
            continue
        for sign, holds in SIGNS.items():
            yield (
                f"{name} {sign} {literal(picked, field.type)}",
                lambda value, holds=holds, picked=picked: value is not None and holds(value, picked),
            )


def compare(table):
    reader, theirs = Chdb(table), table.scan().to_arrow()
    found = reader.ask("*")
    if found.column_names != theirs.column_names:
        raise Refused(f"columns {found.column_names}, not {theirs.column_names}")
    rows = [
        sorted(zip(*(values(data, field) for field in theirs.schema)), key=repr) for data in (found, theirs)
    ]
    if rows[0] != rows[1]:
        differ = {
            field.name: (one[at], other[at])
            for one, other in zip(*rows)
            for at, field in enumerate(theirs.schema)
            if one[at] != other[at]
        }
        raise Refused(f"{len(rows[0])} rows, {len(rows[1])} by PyIceberg; other values: {str(differ)[:600]}")
    filters = 0
    for field in theirs.schema:
        column = theirs[field.name].to_pylist()
        held = [] if pa.types.is_struct(field.type) else sorted({v for v in column if v is not None})
        for where, holds in conditions(field, held):
            count = reader.ask("count() AS n", where)["n"][0].as_py()
            expected = sum(map(holds, column))
            if count != expected:
                raise Refused(f"{where[:300]} holds for {count} rows, not {expected}")
            filters += 1
    return {"rows": len(theirs), "columns": len(theirs.schema), "filters": filters}


def main():
    database, name = sys.argv[1:]
    try:
        print(json.dumps(compare(SqlCatalog("weir", uri=f"sqlite:///{database}").load_table(name))))
    except Refused as refusal:
        sys.exit(str(refusal))


if __name__ == "__main__":
    main()
