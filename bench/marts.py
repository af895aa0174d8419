"""What a full refresh of the marts costs: weir, and dbt with DuckDB, over the same raw tables.

usage: marts.py WEIR KAFKA FOLDER [--machines 100] [--runs 3]

Makes a lake of nine days of a fleet in FOLDER (tests/dbt/lake.py), then in turn `weir run
--full-refresh` and `dbt run --full-refresh` of the marts that both have (tests/dbt/models). Both
write tables. Prints medians of wall time and CPU, the greatest peak RSS, and what dbt takes to
read its project without running a model. Run it with the Python of the readers
(tests/dbt/requirements.txt); WEIR should be a release build.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/dbt"))

import compare  # noqa: E402
import lake  # noqa: E402


def measured(command, folder, environment=None):
    """Seconds on the wall, CPU-seconds, and MiB of the greatest resident set of a command."""
    with open(folder / "measured.log", "w", encoding="utf-8") as log:
        begun = time.monotonic()
        child = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - begun
    if status != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed: see {folder}/measured.log")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("weir", type=pathlib.Path)
    parser.add_argument("kafka")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    fleet = ["--machines", asked.machines, "--sites", max(6, asked.machines // 10), "--seed", "11"]
    made = lake.simulated(
        asked.weir, asked.kafka, asked.folder.resolve() / "bench", compare.marts(), fleet
    )
    twin = made.folder / "twin"
    compare.lay_out(made.folder, twin)
    tables = [f"raw.{stream.replace('.', '_')}" for stream in lake.STREAMS]
    counts = " + ".join(f"(SELECT count(*) FROM {table})" for table in tables)
    events = made.run("query", f"SELECT {counts} AS n").split("|")[-2].strip()
    ours = [made.weir, "run", "--full-refresh", "--select", *compare.marts()]
    theirs, environment = compare.dbt_command(compare.HERE, twin, "run", "--full-refresh")
    parse, _ = compare.dbt_command(compare.HERE, twin, "parse", "--no-partial-parse")
    figures = {"weir": [], "dbt-duckdb": [], "dbt alone": []}
    for _ in range(asked.runs):
        figures["weir"].append(measured(ours, made.folder))
        figures["dbt-duckdb"].append(measured(theirs, made.folder, environment))
        figures["dbt alone"].append(measured(parse, made.folder, environment))
    print(f"{events} records of {len(tables)} streams, {asked.runs} runs")
    print("| full refresh | wall s | CPU-s | peak RSS MiB |\n| --- | --- | --- | --- |")
    for what, runs in figures.items():
        wall, cpu, rss = zip(*runs)
        middle = [f"{statistics.median(seconds):.1f}" for seconds in (wall, cpu)]
        print(f"| {what} | {' | '.join(middle)} | {max(rss):.0f} |")


if __name__ == "__main__":
    main()
