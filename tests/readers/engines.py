"""Asks engines that are not ours about tables of ours, and compares what they say with what PyIceberg
reads and `weir query` answers.

usage: engines.py TRINO_ENDPOINT WEIR JAR...

Reads one JSON object a line and answers each with one: the answer's own members, or `error`.

  {"do": "versions"}
  {"do": "place", "name": N, "kind": "glue", "glue": URL, "s3": URL}
  {"do": "place", "name": N, "kind": "jdbc", "database": PATH, "warehouse": PATH}
  {"do": "sql", "by": ENGINE, "sql": SQL, "session": TRINO_SETTINGS}       -> rows
  {"do": "rows", "by": ENGINE, "place": N, "table": T, "at": STATE}        -> rows, columns, sums
  {"do": "filters", "by": ENGINE, "place": N, "table": T, "config": PATH}  -> filters
  {"do": "travel", "by": ENGINE, "place": N, "table": T, "config": PATH, "to": "id"}   -> states
  {"do": "metadata", "by": ENGINE, "place": N, "table": T}                 -> snapshots, files
  {"do": "entry", "by": ENGINE, "place": N, "table": T, "other": T}        -> columns of Glue's entries

ENGINE is trino, spark or duckdb. STATE is {"id": …}; `travel` goes to every one by "id", "time" or
"tag". T is what PyIceberg calls the table; `weir` beside it what our config at PATH calls it.
"""

import json
import subprocess
import sys

import boto3
import duckdb_extension_httpfs
import pyarrow as pa
import pyarrow.compute  # noqa: F401
from compare import duckdb_connection
from dialects import REGION, Refused, Spark, Trino, moment, plain
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.catalog.sql import SqlCatalog
from values import Literal, sums

SIGNS = ("=", "<>", "<", "<=", ">", ">=")
# Enough at the ends.
FEW = ("=", "<", ">")
# Questions in one statement, and characters of a literal: together they must fit a command line.
BATCH = 20
LITERAL = 2000


class Duckdb:
    """By the metadata file that the catalog names: the only one here without a catalog of its own."""

    def __init__(self):
        self.connection = duckdb_connection(duckdb_extension_httpfs)
        self.connection.execute("SET TimeZone = 'UTC'")

    def version(self):
        return self.connection.execute("SELECT version()").fetchone()[0].removeprefix("v")

    def add(self, name, place):
        if place["kind"] == "glue":
            endpoint = place["s3"].removeprefix("http://")
            self.connection.execute(
                f"CREATE OR REPLACE SECRET s (TYPE s3, KEY_ID 'test', SECRET 'test', REGION '{REGION}', "
                f"ENDPOINT '{endpoint}', URL_STYLE 'path', USE_SSL false)"
            )

    def rows(self, table, at):
        snapshot = "" if at is None else f", snapshot_from_id={at['id']}"
        source = f"iceberg_scan('{table.metadata_location}'{snapshot})"
        return self.connection.execute(f"SELECT * FROM {source}").to_arrow_table()


class Engines:
    """All of them, each started when it is first asked."""

    def __init__(self, trino, weir, jars):
        self.makers = {"trino": lambda: Trino(trino), "spark": lambda: Spark(jars), "duckdb": Duckdb}
        self.weir, self.started, self.places = weir, {}, {}
        # What weir answered, by the metadata file that it was asked about.
        self.answered = {}

    def engine(self, name):
        if name not in self.started:
            self.started[name] = self.makers[name]()
            for place in self.places.values():
                self.started[name].add(place["name"], place)
        return self.started[name]

    def table(self, asked):
        place = self.places[asked["place"]]
        if place["kind"] == "jdbc":
            return SqlCatalog(place["name"], uri="sqlite:///" + place["database"]).load_table(asked["table"])
        options = {}
        for service in ("glue", "s3"):
            options |= {
                f"{service}.endpoint": place[service],
                f"{service}.region": REGION,
                f"{service}.access-key-id": "test",
                f"{service}.secret-access-key": "test",
            }
        return GlueCatalog("glue", **options).load_table(asked["table"])

    def named(self, engine, asked):
        """The table as the engine's SQL names it."""
        parts = [asked["place"], *asked["table"].split(".")]
        return ".".join(engine.quote + part + engine.quote for part in parts)

    # --- Commands

    def versions(self, _):
        import pyiceberg

        found = {name: self.engine(name).version() for name in ("trino", "spark", "duckdb")}
        return found | {"pyiceberg": pyiceberg.__version__}

    def place(self, asked):
        self.places[asked["name"]] = asked
        for engine in self.started.values():
            engine.add(asked["name"], asked)
        return {}

    def sql(self, asked):
        rows = self.engine(asked["by"]).run(asked["sql"], asked.get("session") or "")
        return {"rows": json.loads(json.dumps(rows, default=str))}

    def rows(self, asked):
        """Every value of every row, and sums made by the engine itself."""
        engine, at, table = self.engine(asked["by"]), asked.get("at"), self.table(asked)
        theirs = table.scan(snapshot_id=int(at["id"]) if at else None).to_arrow()
        expected = as_rows(theirs, theirs.schema)
        if isinstance(engine, Duckdb):
            found = engine.rows(table, at)
            if found.column_names != theirs.column_names:
                raise Refused(f"columns {found.column_names}, not {theirs.column_names}")
            same(as_rows(found, theirs.schema), expected, theirs.schema)
            return {"rows": len(theirs), "columns": len(theirs.schema), "sums": 0}
        name = self.named(engine, asked) + engine.at(at)
        columns = ", ".join(engine.select(field) for field in theirs.schema)
        answer = engine.run(f"SELECT {columns} FROM {name}")
        found = [
            tuple(plain(engine.value(value, field.type), field.type) for value, field in zip(row, theirs.schema))
            for row in answer
        ]
        same(found, expected, theirs.schema)
        queries = sums(theirs.schema)
        selected = ", ".join(["count(*)", *(query.weir.replace('"', engine.quote) for query in queries)])
        ((count, *answers),) = engine.run(f"SELECT {selected} FROM {name}")
        if count != len(theirs):
            raise Refused(f"count(*) is {count}, not {len(theirs)}")
        for query, answer in zip(queries, answers):
            if query.read(answer) != query.of(theirs):
                raise Refused(f"{query.weir} is {query.read(answer)}, not {query.of(theirs)}")
        return {"rows": count, "columns": len(theirs.schema), "sums": len(queries)}

    def filters(self, asked):
        """Every column: null, not null, and comparisons with its own middle, least and greatest."""
        engine = self.engine(asked["by"])
        table = self.table(asked)
        data = table.scan().to_arrow()
        conditions = []
        for field in data.schema:
            column = data[field.name].combine_chunks()
            if not pa.types.is_struct(field.type):
                path = (f'"{field.name}"', engine.quote + field.name + engine.quote)
                conditions.extend(conditions_of(engine, *path, column, field.type))
                continue
            for member in field.type:
                path = (
                    f"\"{field.name}\"['{member.name}']",
                    ".".join(engine.quote + part + engine.quote for part in (field.name, member.name)),
                )
                conditions.extend(conditions_of(engine, *path, pa.compute.struct_field(column, member.name), member.type))
        if table.metadata_location not in self.answered:
            self.answered[table.metadata_location] = self.weir_counts(asked, [ours for ours, _ in conditions])
        ours = self.answered[table.metadata_location]
        name = self.named(engine, asked)
        counted = counts(engine.run, name, [theirs for _, theirs in conditions])
        for (condition, theirs), one, other in zip(conditions, ours, counted):
            if one != other:
                raise Refused(f"{theirs} holds for {other} rows, by weir ({condition}) for {one}")
        return {"filters": len(conditions)}

    def travel(self, asked):
        """Rows and the sum of their offsets in every state that stands."""
        engine, table = self.engine(asked["by"]), self.table(asked)
        metadata = table.metadata
        states = []
        if asked["to"] == "tag":
            tags = {name: ref for name, ref in metadata.refs.items() if ref.snapshot_ref_type == "tag"}
            states = [({"tag": name}, ref.snapshot_id) for name, ref in tags.items()]
        elif asked["to"] == "id":
            states = [({"id": s.snapshot_id}, s.snapshot_id) for s in metadata.snapshots]
        else:
            log = sorted(metadata.snapshot_log, key=lambda entry: entry.timestamp_ms)
            for entry, following in zip(log, [*log[1:], None]):
                until = entry.timestamp_ms + 1000 if following is None else following.timestamp_ms
                for time in sorted({entry.timestamp_ms, until - 1}):
                    states.append(({"time_ms": time}, entry.snapshot_id))
        if not states:
            raise Refused("there is no state to go to")
        for state, snapshot in states:
            offsets = table.scan(selected_fields=("_offset",), snapshot_id=snapshot).to_arrow()["_offset"]
            expected = [len(offsets), pa.compute.sum(offsets).as_py() or 0]
            what = "count(*) AS n, sum(_offset) AS s"
            (found,) = engine.run(f"SELECT {what} FROM {self.named(engine, asked)}{engine.at(state)}")
            arguments = ["--snapshot", str(snapshot)]
            if "time_ms" in state:
                arguments = ["--as-of", moment(state["time_ms"]).replace(" ", "T") + "Z"]
            (ours,) = self.ask_weir(asked, f"SELECT {what} FROM {asked['weir']}", *arguments)
            ours = [int(ours["n"]), int(ours.get("s") or 0)]
            found = [found[0], int(found[1] or 0)]
            if not expected == found == ours:
                raise Refused(f"{state} has {found}, by weir {ours}, by PyIceberg {expected}")
        return {"states": len(states)}

    def weir_counts(self, asked, conditions):
        run = lambda sql: [[row["i"], row["n"]] for row in self.ask_weir(asked, sql)]
        return counts(run, asked["weir"], conditions)

    def ask_weir(self, asked, sql, *arguments):
        command = [self.weir, "--config", asked["config"], "--output", "json", "query", sql, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Refused(f"weir: {done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def metadata(self, asked):
        """$snapshots and $files against what PyIceberg reads; the others must answer."""
        engine, table = self.engine(asked["by"]), self.table(asked)
        name = self.named(engine, asked)
        ask = lambda what, of: engine.run(f"SELECT {what} FROM {engine.metadata(name, of)}")
        found = {row[0]: row[1] for row in ask("snapshot_id, operation", "snapshots")}
        expected = {s.snapshot_id: s.summary.operation.value for s in table.metadata.snapshots}
        if found != expected:
            raise Refused(f"snapshots are {found}, not {expected}")
        found = sorted((row[0], row[1]) for row in ask("file_path, record_count", "files"))
        files = [task.file for task in table.scan().plan_files()]
        expected = sorted((file.file_path, file.record_count) for file in files)
        if found != expected:
            raise Refused(f"{len(found)} files, not {len(expected)}: {found[:2]}, not {expected[:2]}")
        current = [entry.snapshot_id for entry in table.metadata.snapshot_log]
        found = [row[0] for row in ask("snapshot_id", "history")]
        if sorted(found) != sorted(current):
            raise Refused(f"the history is {found}, not {current}")
        found = {row[0]: row[1] for row in ask("name, snapshot_id", "refs")}
        expected = {name: ref.snapshot_id for name, ref in table.metadata.refs.items()}
        if found != expected:
            raise Refused(f"refs are {found}, not {expected}")
        manifests = len(table.current_snapshot().manifests(table.io))
        if len(ask("path", "manifests")) != manifests:
            raise Refused(f"not {manifests} manifests")
        partitions = sum(row[0] for row in ask("record_count", "partitions"))
        rows = sum(file.record_count for file in files)
        if partitions != rows:
            raise Refused(f"partitions have {partitions} rows, not {rows}")
        return {"snapshots": len(table.metadata.snapshots), "files": len(files)}


    def entry(self, asked):
        """Whether Glue's entry of a table is as that of the other, which another writer made of its columns."""
        (database, name), (other_database, other_name) = (asked[key].split(".") for key in ("table", "other"))
        place = self.places[asked["place"]]
        glue = boto3.client(
            "glue", endpoint_url=place["glue"], region_name=REGION, aws_access_key_id="test",
            aws_secret_access_key="test",
        )  # fmt: skip
        ours = glue.get_table(DatabaseName=database, Name=name)["Table"]
        theirs = glue.get_table(DatabaseName=other_database, Name=other_name)["Table"]

        def shape(table):
            columns = [
                (column["Name"], column["Type"], tuple(sorted(column.get("Parameters", {}))))
                for column in table["StorageDescriptor"]["Columns"]
            ]
            optional = {c.get("Parameters", {}).get("iceberg.field.optional") for c in table["StorageDescriptor"]["Columns"]}
            parameters = {"table_type", "metadata_location"} & set(table["Parameters"])
            return {
                "columns": columns,
                "optional": optional,
                "kind": (table["TableType"], table["Parameters"]["table_type"]),
                "parameters": parameters,
                "location": bool(table["StorageDescriptor"].get("Location")),
            }

        one, two = shape(ours), shape(theirs)
        for what in one:
            if one[what] != two[what]:
                raise Refused(f"{what}: {one[what]}, by the other {two[what]}")
        return {"columns": len(one["columns"])}


def as_rows(table, schema):
    columns = [[plain(value, field.type) for value in table[field.name].to_pylist()] for field in schema]
    return list(zip(*columns))


def same(found, expected, schema):
    """Fails with the first column and rows that differ, whatever the order of rows."""
    found, expected = sorted(found, key=repr), sorted(expected, key=repr)
    if len(found) != len(expected):
        raise Refused(f"{len(found)} rows, not {len(expected)}")
    for one, other in zip(found, expected):
        if one != other:
            differ = [f.name for f, a, b in zip(schema, one, other) if a != b]
            shown = [(f.name, a, b) for f, a, b in zip(schema, one, other) if a != b][:2]
            raise Refused(f"other values in {differ}: {str(shown)[:500]}")


def conditions_of(engine, ours, theirs, column, kind):
    yield f"{ours} IS NULL", f"{theirs} IS NULL"
    yield f"{ours} IS NOT NULL", f"{theirs} IS NOT NULL"
    held = sorted({value for value in column.to_pylist() if value is not None})
    if not held:
        return
    middle = 0.0 if isinstance(held[0], float) else held[len(held) // 2]
    for value in dict.fromkeys((middle, held[0], held[-1])):
        if isinstance(value, (str, bytes)) and len(value) > LITERAL:
            continue
        if isinstance(value, str) and ("\0" in value or {"'", '"'} <= set(value)):
            continue  # No command line can hold the one, no literal of Spark the other.
        weir, literal = Literal(value, kind).weir, engine.literal(value, kind)
        signs = SIGNS if value == middle else FEW
        for sign in SIGNS[:2] if isinstance(value, bool) else signs:
            yield f"{ours} {sign} {weir}", f"{theirs} {sign} {literal}"
        if isinstance(value, str) and value and not set(value) & set("%_\\"):
            start = value[: max(1, len(value) // 2)] + "%"
            like = Literal(start, kind).weir, engine.literal(start, kind)
            yield f"{ours} LIKE {like[0]}", f"{theirs} LIKE {like[1]}"


def counts(run, name, conditions):
    found = []
    for first in range(0, len(conditions), BATCH):
        queries = [
            f"SELECT {index} AS i, count(*) AS n FROM {name} WHERE {where}"
            for index, where in enumerate(conditions[first : first + BATCH])
        ]
        rows = sorted((int(row[0]), int(row[1])) for row in run(" UNION ALL ".join(queries)))
        found.extend(count for _, count in rows)
    return found


def main():
    trino, weir, *jars = sys.argv[1:]
    engines = Engines(trino, weir, jars)
    # What libraries print must not come between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = getattr(engines, asked["do"])(asked)
        except Refused as refusal:
            answer = {"error": str(refusal)}
        except Exception as error:  # The test that asked tells it, and the next one may ask again.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
