"""Asks weir, PyIceberg and DuckDB the same questions of one table, and compares the answers.

usage: agree.py WEIR CONFIG CATALOG_DB TABLE

First whether what the manifests say of the files (rows, sizes, row groups, partitions, counts,
bounds) is what the files hold: every reader trusts it. Then counts, every value of every row, sums,
filters on every column, every snapshot by id, and by time where snapshots stand.

Prints every disagreement, and at the end one JSON object that counts what was compared; exit 1 if
there was a disagreement.
"""

import datetime
import json
import os
import sys

import pyarrow.parquet as pq
from ask import Readers
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import (
    And,
    EqualTo,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNull,
    LessThan,
    LessThanOrEqual,
    NotEqualTo,
    NotNull,
    StartsWith,
)
from pyiceberg.types import BinaryType, StringType
from values import Literal, exact, rows_of_text, sums

# Bounds keep so many characters of a string.
BOUND_CHARS = 16
# Columns as long as a record: they have no bounds.
UNBOUNDED = {"_extra"}


class Report:
    """Disagreements, and how much was compared."""

    def __init__(self):
        self.disagreements = []
        self.counts = {}

    def check(self, what, answers):
        first, *others = answers.values()
        if any(other != first for other in others):
            shown = {who: repr(answer)[:300] for who, answer in answers.items()}
            self.disagreements.append(f"{what[:300]}: {shown}")

    def count(self, what, number):
        self.counts[what] = number

    def end(self):
        for line in self.disagreements:
            print(line)
        print(json.dumps({"disagreements": len(self.disagreements), **self.counts}))
        sys.exit(1 if self.disagreements else 0)


# --- What manifests say of files ------------------------------------------------------------------


def leaves(fields, data, prefix=""):
    """The columns with values of their own: (name, field, array), members of structs included."""
    for field in fields:
        name = prefix + field.name
        if field.field_type.is_primitive:
            yield name, field, data[field.name]
        else:
            members = data[field.name].combine_chunks().flatten()
            members = dict(zip((f.name for f in data[field.name].type), members))
            yield from leaves(field.field_type.fields, members, name + ".")


def manifests(readers, report):
    """Counts and bounds of every file, against what the file holds."""
    schema, spec = readers.table.schema(), readers.table.spec()
    groups, days, files = 0, set(), {}
    for task in readers.table.scan().plan_files():
        file = task.file
        path = file.file_path.removeprefix("file://")
        short = os.path.basename(path)[:24]
        data, footer = pq.read_table(path, partitioning=None), pq.read_metadata(path)
        starts = [footer.row_group(g).column(0) for g in range(footer.num_row_groups)]
        starts = [c.dictionary_page_offset or c.data_page_offset for c in starts]
        said = (file.record_count, file.file_size_in_bytes, list(file.split_offsets or ()))
        found = (data.num_rows, os.path.getsize(path), starts)
        for what, m, f in zip(("rows", "size", "row groups"), said, found):
            report.check(f"manifest {what} of {short}", {"manifest": m, "file": f})
        in_file = {None if t is None else t.date() for t in data["event_time"].to_pylist()}
        day = file.partition[0]
        day = None if day is None else datetime.date(1970, 1, 1) + datetime.timedelta(day)
        report.check(f"manifest partition of {short}", {"manifest": {day}, "file": in_file})
        for name, field, column in leaves(schema.fields, data):
            columns_of_file(report, f"of {short} {name}", file, name, field, column)
        groups = max(groups, footer.num_row_groups)
        days.add(day)
        files[file.file_path] = file.record_count
    theirs = readers.duckdb_files()
    report.check("files and their rows", {"pyiceberg": files, "duckdb": theirs})
    report.check("partitioning", {"table": len(spec.fields), "expected": 1})
    report.count("files", len(files))
    report.count("row_groups", groups)
    report.count("days", len(days))


def columns_of_file(report, place, file, name, field, column):
    """One column: values, nulls, and bounds that are as narrow as they may be."""
    number, kind = field.field_id, field.field_type
    values = (file.value_counts or {}).get(number)
    nulls = (file.null_value_counts or {}).get(number)
    report.check(f"manifest values {place}", {"manifest": values, "file": len(column)})
    report.check(f"manifest nulls {place}", {"manifest": nulls, "file": column.null_count})
    bounds = [(b or {}).get(number) for b in (file.lower_bounds, file.upper_bounds)]
    lower, upper = (None if b is None else from_bytes(kind, b) for b in bounds)
    held = [value for value in column.to_pylist() if value is not None]
    if not held or isinstance(kind, BinaryType) or name in UNBOUNDED:
        report.check(f"manifest bounds {place}", {"manifest": (lower, upper), "file": (None, None)})
        return
    least, greatest = comparable(min(held)), comparable(max(held))
    if not isinstance(kind, StringType):
        report.check(f"manifest lower {place}", {"manifest": lower, "file": least})
        report.check(f"manifest upper {place}", {"manifest": upper, "file": greatest})
        return
    report.check(f"manifest lower {place}", {"manifest": lower, "file": least[:BOUND_CHARS]})
    if len(greatest) <= BOUND_CHARS:
        report.check(f"manifest upper {place}", {"manifest": upper, "file": greatest})
    elif upper is None:
        # Only where nothing is greater than what is kept.
        kept = set(greatest[:BOUND_CHARS])
        report.check(f"manifest upper {place}", {"manifest": kept, "file": {"\U0010ffff"}})
    else:
        narrow = greatest < upper and len(upper) <= BOUND_CHARS and upper[:-1] <= greatest
        report.check(f"manifest upper {place} {upper!r}", {"holds": narrow, "expected": True})


def comparable(value):
    """The value in the form in which PyIceberg reads bounds."""
    if isinstance(value, datetime.datetime):
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return (value - epoch) // datetime.timedelta(microseconds=1)
    if isinstance(value, datetime.date):
        return (value - datetime.date(1970, 1, 1)).days
    return value


# --- What the rows are ----------------------------------------------------------------------------


def rows(readers, report):
    """All of them, value by value, and sums made by the engines themselves."""
    theirs, duckdb = readers.pyiceberg_rows(), readers.duckdb_rows()
    weir = rows_of_text(readers.weir_rows(), theirs.schema)
    for name in theirs.column_names:
        answers = {"pyiceberg": theirs[name], "duckdb": duckdb[name]}
        answers = {who: [exact(v) for v in a.to_pylist()] for who, a in answers.items()}
        answers["weir"] = [exact(row.get(name)) for row in weir]
        report.check(f"values of {name}", answers)
    queries = sums(theirs.schema)
    if queries:
        weir, duckdb = readers.weir_one(queries), readers.duckdb_one(queries)
        for index, query in enumerate(queries):
            answers = {"weir": query.read(weir[index]), "duckdb": query.read(duckdb[index])}
            report.check(query.weir, {**answers, "pyiceberg": query.of(theirs)})
    report.count("rows", len(theirs))
    report.count("rejected", len(theirs) - theirs["_error"].null_count)
    report.count("sums", len(queries))
    return theirs


# --- Filters --------------------------------------------------------------------------------------

COMPARISONS = [
    ("=", EqualTo),
    ("<>", lambda name, value: And(NotEqualTo(name, value), NotNull(name))),
    (">", GreaterThan),
    (">=", GreaterThanOrEqual),
    ("<", LessThan),
    ("<=", LessThanOrEqual),
]


def filters_of(name, field_type, column):
    """(weir, duckdb, pyiceberg) of one column, `name` as PyIceberg writes it."""
    outer, *members = name.split(".")
    ours = theirs = '"' + outer + '"' + "".join(f"['{member}']" for member in members)
    yield f"{ours} IS NULL", f"{theirs} IS NULL", IsNull(name)
    yield f"{ours} IS NOT NULL", f"{theirs} IS NOT NULL", NotNull(name)
    held = sorted({value for value in column.to_pylist() if value is not None})
    if not held:
        return
    picked = [held[0], held[len(held) // 2], held[-1]]
    if isinstance(held[0], float):
        picked.append(0.0)
    values = [Literal(value, field_type) for value in dict.fromkeys(picked)]
    for value in values:
        if not value.writable:
            continue
        for sign, expression in COMPARISONS:
            if isinstance(value.value, bool) and sign not in ("=", "<>"):
                continue
            yield (
                f"{ours} {sign} {value.weir}",
                f"{theirs} {sign} {value.duckdb}",
                expression(name, value.value),
            )
        if isinstance(value.value, str) and value.value:
            start = value.value[: max(1, len(value.value) // 2)]
            if not set(start) & set("%_\\"):
                like = "LIKE " + Literal(start + "%", field_type).weir
                yield f"{ours} {like}", f"{theirs} {like}", StartsWith(name, start)
    several = [value for value in values if value.writable]
    if len(several) > 1 and not isinstance(several[0].value, bool):
        yield (
            f"{ours} IN ({', '.join(v.weir for v in several)})",
            f"{theirs} IN ({', '.join(v.duckdb for v in several)})",
            In(name, [v.value for v in several]),
        )


def filters(readers, report, data):
    """Every column: null, not null, and comparisons with its own least, middle and greatest."""
    asked = []
    for name, _, column in leaves(readers.table.schema().fields, data):
        asked.extend(filters_of(name, column.type, column))
    asked.extend(combined(data))
    weir = readers.weir_counts([ours for ours, _, _ in asked])
    duckdb = readers.duckdb_counts([theirs for _, theirs, _ in asked])
    for index, (ours, _, row_filter) in enumerate(asked):
        pyiceberg = readers.pyiceberg_count(row_filter)
        answers = {"weir": weir[index], "duckdb": duckdb[index], "pyiceberg": pyiceberg}
        report.check(ours, answers)
    report.count("filters", len(asked))


def combined(data):
    """A day of the partitioned column together with an offset: what queries mostly are."""
    times = sorted(time for time in data["event_time"].to_pylist() if time is not None)
    middle = data["_offset"].to_pylist()[len(data) // 2]
    for time in dict.fromkeys((times[0], times[len(times) // 2], times[-1])):
        day = time.replace(hour=0, minute=0, second=0, microsecond=0)
        first, last = (Literal(t, None) for t in (day, day + datetime.timedelta(days=1)))
        text = "event_time >= {} AND event_time < {} AND _offset >= {}"
        yield (
            text.format(first.weir, last.weir, middle),
            text.format(first.duckdb, last.duckdb, middle),
            And(
                And(
                    GreaterThanOrEqual("event_time", first.value),
                    LessThan("event_time", last.value),
                ),
                GreaterThanOrEqual("_offset", middle),
            ),
        )


# --- Time travel ----------------------------------------------------------------------------------


def time_travel(readers, report):
    """Every standing snapshot by id; by time at its own, a little later, and before the first."""
    snapshots = sorted(readers.table.metadata.snapshots, key=lambda s: s.timestamp_ms)
    for snapshot, following in zip(snapshots, [*snapshots[1:], None]):
        number, at = snapshot.snapshot_id, snapshot.timestamp_ms
        expected = readers.pyiceberg_count(snapshot=number)
        answers = {
            "pyiceberg": expected,
            "weir": weir_at(readers, "--snapshot", str(number)),
            "duckdb": readers.duckdb_counts(["true"], snapshot=number)[0],
            "summary": [int(snapshot.summary["total-records"]), expected[1]],
        }
        report.check(f"snapshot {number}", answers)
        until = at + 1000 if following is None else following.timestamp_ms
        for time in sorted({at, (at + until) // 2, until - 1}):
            moment = datetime.datetime.fromtimestamp(time / 1000, datetime.timezone.utc)
            named = readers.table.snapshot_as_of_timestamp(time)
            answers = {
                "by id": expected,
                "weir": weir_at(readers, "--as-of", iso(moment)),
                "duckdb": readers.duckdb_counts(["true"], time=moment)[0],
                "pyiceberg": readers.pyiceberg_count(snapshot=named.snapshot_id),
            }
            report.check(f"as of {iso(moment)} for snapshot {number}", answers)
    before = snapshots[0].timestamp_ms - 1
    moment = datetime.datetime.fromtimestamp(before / 1000, datetime.timezone.utc)
    answers = {
        "weir": readers.weir_refuses("--as-of", iso(moment)),
        "duckdb": readers.duckdb_counts(["true"], time=moment)[0] == [0, 0],
        "pyiceberg": readers.table.snapshot_as_of_timestamp(before) is None,
    }
    report.check(f"before the first snapshot, {iso(moment)}, has no rows", answers)
    report.count("snapshots", len(snapshots))


def weir_at(readers, *arguments):
    try:
        return readers.weir_counts(["true"], *arguments)[0]
    except RuntimeError as error:
        return str(error)


def iso(moment):
    return moment.isoformat(timespec="milliseconds")


def main():
    readers, report = Readers(*sys.argv[1:5]), Report()
    manifests(readers, report)
    if any(line.startswith("manifest") for line in report.disagreements):
        # Readers find rows by what is wrong here.
        report.end()
    everything = {
        "weir": readers.weir_counts(["true"])[0],
        "duckdb": readers.duckdb_counts(["true"])[0],
        "pyiceberg": readers.pyiceberg_count(),
    }
    report.check("all rows", everything)
    data = rows(readers, report)
    filters(readers, report, data)
    time_travel(readers, report)
    report.end()


if __name__ == "__main__":
    main()
