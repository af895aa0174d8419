"""What windows of time cost: increments on small and large tables, one core against DataFusion's own
reading, and trades per second into minutes.

usage: windows.py WEIR STACK FOLDER [--old 10000,1000000,20000000,4000000/120] [--parts increments,core,rate] [--runs 3]

STACK is `weir-stack` (target/release), which starts a Kafka and makes trades. FOLDER must not exist, and
takes some 10 GB with twenty million trades. Uses the contract and the models of the repository;
WEIR and STACK should be release builds.

increments: so many old trades over 30 days (or as many as stand behind a slash), then 10,000 new ones: of the
  current hour, or half of them late over seven days. `weir run --select trades_1m` then; files opened and bytes read as `run_results.json`
  says, on the raw table as ingest left it and after `weir maintain`. From a million old trades on it fails where news of an
  hour open a quarter of the files that a full refresh opens, or read a third of its bytes, a tenth beside twenty million;
  where beside twenty million trades of thirty days news late by up to seven days read half of them; and where late
  news read a quarter more beside a table than beside a younger one that had as many trades a day.
core: two million trades on one core: sums by symbol and by minute, through staging, against DataFusion alone over
  the same files (`weir-bench scan`, beside STACK).
rate: six million trades, a minute of 100,000 a second: ingest and the build of their minutes.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
NEW = 10_000
HOUR_MS = 3_600_000
# The end of all events: half past an hour, so that the current hour has a part.
END_MS = int(time.time() * 1000) // HOUR_MS * HOUR_MS - HOUR_MS // 2


class Lake:
    """A folder with the trades of one topic."""

    def __init__(self, asked, name, kafka):
        self.asked, self.kafka, self.topic = asked, kafka, name
        self.folder = asked.folder / name
        self.folder.mkdir(parents=True)
        models = self.folder / "transforms/sql"
        for path in ["project.yml", "staging/stg_trades.sql", "marts/trading/trades_1m.sql"]:
            (models / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / "transforms/sql" / path, models / path)
        (models / "readers.yml").write_text(
            "models:\n  - {name: trades_1m, config: {meta: {readers: [the bench]}}}\n"
        )
        (self.folder / "weir.toml").write_text(
            'warehouse = "lake"\ncatalog.uri = "sqlite:///catalog.db"\n'
            f'kafka.bootstrap_servers = "{kafka}"\nkafka.group_prefix = "{name}"\n'
            "maintain.age_min = \"0s\"\n"
            f'[streams."trades"]\ntopic = "{name}"\ncontract = "{REPOSITORY}/contracts/trades.yaml"\n'
        )

    def load(self, records, seed, until_ms, hours):
        subprocess.run(
            [self.asked.stack, "load", "--bootstrap", self.kafka, "--topic", self.topic, "--stream",
             "trades", "--records", str(records), "--seed", str(seed), "--until-ms", str(until_ms),
             "--hours", str(hours)],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def weir(self, *arguments, cpus=None):
        """Runs a command; its result object, with wall, CPU and memory under `process`."""
        command = ["taskset", "-c", cpus] if cpus else []
        command += [self.asked.weir, "--output", "json", "--result-json", *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"weir {' '.join(map(str, arguments))} failed:\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    def build(self, *more, cpus=None):
        """Builds the minutes; the result object with `files` and `bytes` read."""
        result = self.weir("run", "--select", "trades_1m", *more, cpus=cpus)
        steps = json.loads((self.folder / "transforms/sql/target/run_results.json").read_text())
        [step] = steps["results"]
        read = step["adapter_response"]
        return result | {"files": read["files_read"], "bytes": read["bytes_read"], "what": step["message"]}


def mib(count):
    return f"{count / 1048576:.1f}"


def increments(asked, kafka):
    """The table of old rows, news, files and bytes; ends with an error if news cost more than their windows may."""
    print(f"\n{NEW:,} new trades on old ones")
    print("| old trades | of days | raw table | new trades | full refresh: files, MiB | increment: files, MiB | wall s | CPU-s | RSS MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    dear, as_dense = [], {}
    for old, days in asked.old:
        lake = Lake(asked, f"old-{old}-{days}", kafka)
        lake.load(old, 1, END_MS - HOUR_MS, days * 24)
        lake.weir("ingest", "--until-latest")
        seed = 1
        for raw in ["as ingested", "compacted"]:
            if raw == "compacted":
                lake.weir("maintain", "raw.trades")
            whole = lake.build("--full-refresh")
            for news, late in [("of the current hour", 0), ("half late over 7 days", NEW // 2)]:
                seed += 2
                lake.load(NEW - late, seed, END_MS, 0.5)
                if late:
                    lake.load(late, seed + 1, END_MS - HOUR_MS, 7 * 24)
                lake.weir("ingest", "--until-latest")
                made = lake.build()
                process = made["process"]
                print(
                    f"| {old:,} | {days} | {raw} | {news} | {whole['files']}, {mib(whole['bytes'])} | {made['files']}, "
                    f"{mib(made['bytes'])} | {process['wall_seconds']:.1f} | {process['cpu_seconds']:.1f} | "
                    f"{process['peak_rss_bytes'] / 1048576:.0f} |",
                    flush=True,
                )
                times = 10 if old >= 20_000_000 else 3
                if not late and old >= 1_000_000 and made["bytes"] * times > whole["bytes"]:
                    dear.append(f"{raw}, {old:,} old trades: an hour reads more than a {times}th of the whole")
                if not late and old >= 1_000_000 and made["files"] * 4 > whole["files"]:
                    dear.append(f"{raw}, {old:,} old trades: an hour opens more than a quarter of the files")
                if late and made["bytes"] > 1.25 * as_dense.setdefault((raw, old // days), made["bytes"]):
                    dear.append(f"{raw}, {old:,} old trades: late news cost more than in a younger table")
                if late and old >= 20_000_000 and made["bytes"] * 2 > whole["bytes"]:
                    dear.append(f"{raw}, {old:,} old trades: seven days of thirty cost half of the whole")
        if old <= 1_000_000:
            check(lake)
    if dear:
        raise SystemExit("\n".join(dear))


def check(lake):
    """The minutes that increments left are those of a full refresh."""
    sql = "SELECT count(*) AS n, sum(trades) AS trades, sum(amount_sum) AS amount FROM mart.trades_1m"
    one = lambda: subprocess.run(  # noqa: E731
        [lake.asked.weir, "--output", "json", "query", sql], cwd=lake.folder, check=True, capture_output=True
    ).stdout
    before = one()
    lake.build("--full-refresh")
    if before != one():
        raise SystemExit(f"{lake.folder}: a full refresh gives other minutes")


# The same over the files as DataFusion reads them, over the raw table, and through staging, which takes each
# event only once.
SYMBOLS = """
    SELECT symbol, count(*) AS trades, max(price) AS price, sum(quantity) AS quantity, sum(amount) AS amount
    FROM {} WHERE trade_status <> 'rejected' GROUP BY symbol
"""
MINUTES = """
    SELECT date_bin(interval '1 minute', event_time) AS minute, symbol, currency, max(price) AS high,
        min(price) AS low, sum(quantity) AS volume, sum(amount) AS amount, count(*) AS trades
    FROM {} WHERE trade_status <> 'rejected' GROUP BY 1, 2, 3
"""


def core(asked, kafka):
    """One core: DataFusion over the files, and the models."""
    lake, records = Lake(asked, "core", kafka), 2_000_000
    marts = lake.folder / "transforms/sql/marts"
    (marts / "symbols.sql").write_text(
        "{{ config(materialized='table', meta={'readers': ['the bench']}) }}"
        + SYMBOLS.format("{{ ref('stg_trades') }}")
    )
    lake.load(records, 1, END_MS, 24)
    # Not compacted: the folder then holds the table's files and no others.
    lake.weir("ingest", "--until-latest")
    print(f"\n{records} trades of one day, one core, medians of {asked.runs}")
    print("| what | trades per second | CPU-s per million | RSS MiB |\n| --- | --- | --- | --- |")
    files = lake.folder / "lake/raw/trades/data"

    def alone(sql):
        command = ["taskset", "-c", "0", asked.stack.with_name("weir-bench"), "scan", files, sql]
        usage = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return usage["wall"], usage["cpu"], usage["rss_mib"]

    def model(name):
        used = lake.weir("run", "--full-refresh", "--select", name, cpus="0")["process"]
        return used["wall_seconds"], used["cpu_seconds"], used["peak_rss_bytes"] / 1048576

    for what, one in [
        ("symbols of the files, by DataFusion", lambda: alone(SYMBOLS.format("files"))),
        ("symbols through staging, written", lambda: model("symbols")),
        ("minutes of the files, by DataFusion", lambda: alone(MINUTES.format("files"))),
        ("`trades_1m` through staging, written", lambda: model("trades_1m")),
    ]:
        runs = [one() for _ in range(asked.runs)]
        wall, cpu, rss = (statistics.median(column) for column in zip(*runs))
        print(f"| {what} | {records / wall:,.0f} | {cpu / records * 1e6:.2f} | {rss:.0f} |", flush=True)


def rate(asked, kafka):
    """A minute of 100,000 trades a second, at once."""
    lake = Lake(asked, "rate", kafka)
    records = 6_000_000
    lake.load(records, 1, END_MS, 1 / 60)
    began = time.monotonic()
    ingest = lake.weir("ingest", "--until-latest")["process"]
    build = lake.build()["process"]
    wall = time.monotonic() - began
    print(f"\n{records} trades of one minute, all cores")
    print("| what | wall s | CPU-s per million | RSS MiB |\n| --- | --- | --- | --- |")
    for what, process in [("weir ingest", ingest), ("weir run --select trades_1m", build)]:
        print(
            f"| {what} | {process['wall_seconds']:.1f} | {process['cpu_seconds'] / records * 1e6:.2f} | "
            f"{process['peak_rss_bytes'] / 1048576:.0f} |"
        )
    print(f"\n{records / wall:,.0f} trades per second from Kafka into minutes")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("weir", type=pathlib.Path)
    parser.add_argument("stack", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--old", default="10000,1000000,20000000,4000000/120")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--parts", default="increments,core,rate")
    asked = parser.parse_args()
    asked.weir, asked.stack = asked.weir.resolve(), asked.stack.resolve()
    asked.folder = asked.folder.resolve()
    asked.old = [(int(old), int(days or 30)) for old, _, days in (one.partition("/") for one in asked.old.split(","))]
    asked.folder.mkdir(parents=True)
    with subprocess.Popen(
        [asked.stack, "kafka"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as broker:
        kafka = broker.stdout.readline().strip()
        parts = {"increments": increments, "core": core, "rate": rate}
        for part in asked.parts.split(","):
            parts[part](asked, kafka)
        broker.stdin.close()


if __name__ == "__main__":
    main()
