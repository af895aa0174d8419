"""Scans a table again and again with one reader, while others write to it.

usage: scan.py READER WEIR CONFIG CATALOG_DB TABLE STOP_FILE

READER is weir, duckdb or pyiceberg. Every scan must see whole commits: offsets 0 to n-1 of every
partition, each once, and never less than the scan before. Ends after the first scan that began when
STOP_FILE was there; prints how many scans and how many different counts there were, and the rows of
the last. Exit 1 with the first thing that is wrong.
"""

import json
import os
import sys

from ask import Readers

SQL = "SELECT _kafka_partition AS p, count(*) AS n, sum(_offset) AS s, max(_offset) AS m FROM {} GROUP BY 1"


def weir(readers):
    rows = readers.ask_weir(SQL.format(readers.name))
    return [(int(row["p"]), int(row["n"]), int(row["s"]), int(row["m"])) for row in rows]


def duckdb(readers):
    readers.table.refresh()
    return readers.duckdb.execute(SQL.format(readers.source())).fetchall()


def pyiceberg(readers):
    readers.table.refresh()
    data = readers.table.scan(selected_fields=("_kafka_partition", "_offset")).to_arrow()
    grouped = data.group_by("_kafka_partition").aggregate(
        [("_offset", "count"), ("_offset", "sum"), ("_offset", "max")]
    )
    names = ("_kafka_partition", "_offset_count", "_offset_sum", "_offset_max")
    return list(zip(*(grouped[name].to_pylist() for name in names)))


def main():
    reader, *arguments, stop = sys.argv[1:]
    ask = {"weir": weir, "duckdb": duckdb, "pyiceberg": pyiceberg}[reader]
    readers = Readers(*arguments)
    before, counts, scans, last = {}, set(), 0, False
    while not last:
        last = os.path.exists(stop)
        now = {}
        for partition, count, total, greatest in ask(readers):
            if count != greatest + 1 or total != count * (count - 1) // 2:
                sys.exit(f"{reader}: partition {partition}: {count} rows up to offset {greatest}, sum {total}")
            now[partition] = count
        less = {p: (count, now.get(p, 0)) for p, count in before.items() if now.get(p, 0) < count}
        if less:
            sys.exit(f"{reader}: rows went away: {less}")
        before, scans = now, scans + 1
        counts.add(sum(now.values()))
    print(json.dumps({"scans": scans, "counts": len(counts), "rows": sum(before.values())}))


if __name__ == "__main__":
    main()
