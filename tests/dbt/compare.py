"""Compares weir's marts, row for row, with those that dbt-duckdb makes of the same raw tables.

usage: compare.py WEIR KAFKA FOLDER [--sales FILE.csv]

Makes two lakes in FOLDER (lake.py), runs the dbt project beside this file over the raw and the
reference tables of each, which DuckDB reads by itself, and compares every mart of the project in
both directions: all columns, their types, every value exactly. At the end each of WRONG spoils a
copy of a dbt model, which must be noticed. Without --sales the few rows of the unit tests stand in
for the sales of real machines.

What weir wrote of its last run must be what dbt reads as a run's results, and the tests of all models must
pass.

Prints a line per mart and the first rows that differ, at the end one JSON object; exit 1 if a mart
differs or is empty, or if a mistake was not noticed.
"""

import argparse
import glob
import gzip
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import time

import duckdb
import duckdb_extension_avro
import duckdb_extension_iceberg
import lake
from dbt.artifacts.schemas.run import RunResultsArtifact

HERE = pathlib.Path(__file__).resolve().parent
SAMPLE = lake.REPOSITORY / "fleet/src/from_csv/sample.csv"
SHOWN = 5
# What must be compared whatever the project holds.
DEMANDED = """
    fct_vends fct_payments fct_trades fct_downtime fct_faults fct_security_events fct_visits
    fct_stock_outs revenue_daily revenue_region_daily store_sales_daily payment_reconciliation
    inventory_level demand_daily lost_sales refill_list store_stock availability_daily
    availability_machine_monthly availability_site_monthly availability_region_monthly
    machine_last_seen trades_1m positions
""".split()
# A mart, the dbt model behind it, what stands there, and a mistake that somebody could make.
WRONG = [
    ("fct_vends", "stg_vending_sales", "one.event_time)) <= 1", "one.event_time)) <= 0"),
    (
        "fct_downtime",
        "fct_downtime",
        "machine.valid_from <= outage.started_at",
        "machine.is_current",
    ),
    (
        "store_sales_daily",
        "store_sales_daily",
        "'store.sales.sale', 1, -1)",
        "'store.sales.sale', 1, 0)",
    ),
    ("trades_1m", "trades_1m", "arg_min(price, moment)", "arg_max(price, moment)"),
    ("positions", "positions", "ratio4(", "0.0001 + ratio4("),
]


def extensions():
    """Paths of DuckDB's extensions, which come as wheels."""
    for module in (duckdb_extension_avro, duckdb_extension_iceberg):
        folder = os.path.dirname(module.__file__)
        yield from glob.glob(folder + "/**/*.duckdb_extension", recursive=True)


def lay_out(folder, twin):
    """The metadata files of the lake's tables, unpacked and by the tables' names."""
    metadata = twin / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(folder / "catalog.db") as catalog:
        query = "SELECT table_namespace, table_name, metadata_location FROM iceberg_tables"
        for namespace, name, location in catalog.execute(query):
            packed = pathlib.Path(location.removeprefix("file://")).read_bytes()
            text = gzip.decompress(packed) if ".gz." in location else packed
            (metadata / f"{namespace}.{name}.json").write_bytes(text)


def dbt_command(project, twin, what, *arguments):
    """What runs dbt on a project, and its environment; models become tables of twin.duckdb."""
    command = [pathlib.Path(sys.executable).parent / "dbt", "--quiet", "--no-use-colors"]
    command += [
        "--log-path",
        twin / "log",
        what,
        "--project-dir",
        project,
        "--profiles-dir",
        project,
    ]
    command += ["--target-path", twin / "target", *arguments]
    command += ["--vars", json.dumps({"extensions": list(extensions())})]
    return command, os.environ | {"WEIR_TWIN": str(twin), "DO_NOT_TRACK": "1"}


def dbt(project, twin, *arguments):
    """Runs models of a project."""
    command, environment = dbt_command(project, twin, "run", *arguments)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"dbt failed: {done.stdout}{done.stderr}")


def kind(column_type):
    """Types that hold the same values have the same kind."""
    name = str(column_type)
    return "WHOLE" if name.endswith("INT") or name == "INTEGER" else name


class Comparison:
    """Marts of one lake beside their twins."""

    def __init__(self, twin):
        self.twin = twin
        config = {"allow_unsigned_extensions": "true"}
        self.connection = duckdb.connect(twin / "twin.duckdb", read_only=True, config=config)
        for path in extensions():
            self.connection.execute(f"LOAD '{path}'")
        self.connection.execute("SET TimeZone = 'UTC'")

    def columns(self, relation):
        described = self.connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        return {name: kind(column_type) for name, column_type, *_ in described}

    def of(self, mart):
        """How many rows are there, and what differs, as lines."""
        ours, theirs = f"iceberg_scan('{self.twin}/metadata/mart.{mart}.json')", f"main.{mart}"
        columns, other = self.columns(ours), self.columns(theirs)
        if columns != other:
            only = [sorted(a.items() - b.items()) for a, b in ((columns, other), (other, columns))]
            return 0, [f"  columns of weir alone {only[0]}, of dbt alone {only[1]}"]
        names = ", ".join(f'"{name}"' for name in columns)
        found = []
        for who, these, those in (("weir", ours, theirs), ("dbt", theirs, ours)):
            self.connection.execute(
                f"CREATE OR REPLACE TEMP TABLE difference AS SELECT {names} FROM {these} "
                f"EXCEPT ALL SELECT {names} FROM {those}"
            )
            (count,) = self.connection.execute("SELECT count(*) FROM difference").fetchone()
            if count:
                found.append(f"  {count} rows of {who} alone, of which:")
                some = self.connection.execute(f"FROM difference ORDER BY ALL LIMIT {SHOWN}")
                found += [f"    {dict(zip(columns, map(str, row)))}" for row in some.fetchall()]
        (rows,) = self.connection.execute(f"SELECT count(*) FROM {ours}").fetchone()
        return rows, found


def read_by_dbt(path):
    """Ends the process unless dbt reads a file as the results of a run."""
    text = json.loads(path.read_text())
    RunResultsArtifact.validate(text)
    read = RunResultsArtifact.read_and_check_versions(str(path))
    statuses = [result.status for result in read.results]
    print(f"dbt reads {len(statuses)} results, {statuses.count('success')} of them successes")
    if len(statuses) != len(text["results"]) or not statuses:
        raise SystemExit(f"dbt reads {len(statuses)} of {len(text['results'])} results of {path}")


def marts():
    return sorted(path.stem for path in (HERE / "models/marts").glob("*.sql"))


def compare(what, folder, names):
    """Marts of one lake; how many rows each has, and which differ."""
    twin = folder / "twin"
    lay_out(folder, twin)
    begun = time.monotonic()
    dbt(HERE, twin, "--select", *(f"+{mart}" for mart in names))
    print(f"{what}: dbt took {time.monotonic() - begun:.1f} s", flush=True)
    comparison, differing, counts = Comparison(twin), [], {}
    for mart in names:
        counts[mart], found = comparison.of(mart)
        print(f"{what}: {mart}: {counts[mart]} rows, {'DIFFER' if found else 'the same'}")
        print("\n".join(found), end="\n" if found else "")
        differing += [mart] * bool(found)
    comparison.connection.close()
    return counts, differing


def spoiled(folder):
    """Marts of dbt with a mistake in which the comparison noticed nothing."""
    twin, project = folder / "twin", folder / "wrong"
    shutil.copytree(HERE, project, ignore=shutil.ignore_patterns("__pycache__"))
    for _, model, right, wrong in WRONG:
        compiled = next((twin / "target/compiled").rglob(f"{model}.sql")).read_text()
        if right not in compiled:
            raise SystemExit(f"{model} has no {right!r} any more: choose another mistake")
        next(project.rglob(f"models/**/{model}.sql")).write_text(compiled.replace(right, wrong))
    dbt(project, twin, "--select", *{name for mart, model, *_ in WRONG for name in (mart, model)})
    comparison, unnoticed = Comparison(twin), []
    for mart, model, right, wrong in WRONG:
        _, found = comparison.of(mart)
        print(f"{wrong!r} instead of {right!r} in {model}: {'noticed' if found else 'NOT NOTICED'}")
        unnoticed += [mart] * (not found)
    return unnoticed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("weir", type=pathlib.Path)
    parser.add_argument("kafka")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--sales", type=pathlib.Path, default=SAMPLE)
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    lacking = set(DEMANDED) - set(marts())
    if lacking:
        raise SystemExit(f"no twins of {sorted(lacking)}")
    sales = lake.sold(asked.weir, asked.kafka, folder / "sold", asked.sales)
    fleet = lake.simulated(asked.weir, asked.kafka, folder / "fleet", marts())
    read_by_dbt(fleet.folder / "transforms/sql/target/run_results.json")
    # Those without a twin, too; then what the descriptions promise of every model's rows.
    fleet.run("run")
    fleet.run("test", "--data")
    read_by_dbt(fleet.folder / "transforms/sql/target/run_results.json")
    result = {"marts": len(marts()), "rows": 0, "differing": [], "empty": []}
    for made, names in ((sales, lake.SALES), (fleet, marts())):
        counts, differing = compare(made.folder.name, made.folder, names)
        result["rows"] += sum(counts.values())
        result["differing"] += differing
        result["empty"] += [mart for mart in counts if not counts[mart]]
    result["unnoticed"] = spoiled(fleet.folder)
    print(json.dumps(result))
    sys.exit(1 if result["differing"] or result["empty"] or result["unnoticed"] else 0)


if __name__ == "__main__":
    main()
