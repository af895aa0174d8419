"""Makes the lakes over which weir and dbt compute the same marts.

simulated: a fleet of nine days, with what a road does to records, and what no fleet does
(edges.csv). The marts are built in two rounds: while the fleet lives, and when everything has
come, a correction of the references too.
sold: the sales of real machines from a CSV file, with references made of the same file.
"""

import csv
import pathlib
import shutil
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
STREAMS = sorted(path.stem for path in (REPOSITORY / "contracts").glob("[!r]*.yaml"))
REFERENCES = sorted(path.stem for path in (REPOSITORY / "contracts").glob("ref.*.yaml"))
START = "2026-03-02T08:00:00Z"
FLEET = ["--machines", "7", "--sites", "5", "--rate", "0.08", "--trouble", "8", "--seed", "11"]
# What sales alone fill.
SALES = """
    dim_date dim_machine dim_product dim_site fct_vends fct_payments revenue_daily
    revenue_region_daily payment_reconciliation demand_daily machine_last_seen
""".split()
# Nine days in 13 seconds, and after how many of those the marts are built first.
LIFE = ["--for", "9d", "--speed-up", "60000"]
PART_S = 5
ROAD = ["--malformed", "0.005", "--duplicates", "0.02", "--reordered", "0.01"]


class Lake:
    """A folder with a config, topics of its own, and the models of the repository."""

    def __init__(self, weir, kafka, folder):
        self.weir, self.folder = weir.resolve(), folder
        folder.mkdir(parents=True)
        shutil.copytree(REPOSITORY / "transforms/sql", folder / "transforms/sql")
        shutil.copytree(REPOSITORY / "contracts", folder / "contracts")
        (folder / "hash.key").write_text("0123456789abcdef0123456789abcdef")
        prefix = f"{folder.parent.name}-{folder.name}"
        text = (
            f'warehouse = "lake"\ncatalog.uri = "sqlite:///catalog.db"\n'
            f'kafka.bootstrap_servers = "{kafka}"\nkafka.group_prefix = "{prefix}"\n'
            f'privacy.hash_key = "file:hash.key"\ningest.memory_max = "256MiB"\n'
        )
        for name in REFERENCES:
            file = name.removeprefix("ref.")
            text += f'[references."{name}"]\nfile = "seeds/{file}.csv"\n'
            text += f'contract = "contracts/{name}.yaml"\n'
        for name in STREAMS:
            # Events of March must not be too old for the broker.
            contract = folder / f"contracts/{name}.yaml"
            kept = contract.read_text().replace("Retention, value: 7d", "Retention, value: 36500d")
            contract.write_text(kept)
            text += f'[streams."{name}"]\ntopic = "{prefix}-{name}"\n'
            text += f'contract = "contracts/{name}.yaml"\n'
        (folder / "weir.toml").write_text(text)
        self.run("topics", "--create")

    def start(self, *arguments):
        """Starts weir in the folder."""
        command = [self.weir, "--log-format", "human", "--output", "human", *map(str, arguments)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, stdout=pipe, stderr=pipe, text=True)

    def end(self, process):
        """What a process of weir said, once it has ended."""
        stdout, stderr = process.communicate()
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(map(str, process.args))}: {stdout}{stderr}")
        return stdout

    def run(self, *arguments):
        """Runs weir in the folder; what it said."""
        return self.end(self.start(*arguments))

    def send(self, rows, mapping):
        """Sends the rows of a CSV file by a mapping."""
        self.run("simulate", "--from-csv", rows, "--mapping", mapping, "--kafka")

    def take(self, marts):
        """Everything sent so far into the lake, and these marts from it."""
        self.run("ingest", "--until-latest")
        self.run("run", "--select", *marts)


def simulated(weir, kafka, folder, marts, fleet=FLEET):
    """A fleet of nine days and the rows of edges.csv, the marts built in two rounds."""
    lake = Lake(weir, kafka, folder)
    seeds = folder / "seeds"
    lake.run("simulate", "--ref-dir", seeds, *fleet)
    lake.run("seed")
    rows = table(HERE / "edges.csv")
    for name in ("1", "2"):
        write(folder / f"round-{name}.csv", [row for row in rows if row["round"] == name])
    # A price is refused at first, and redriven.
    contract = folder / "contracts/vending.sales.yaml"
    right = contract.read_text()
    strict = right.replace("{minimum: 0}", "{minimum: 0, maximum: 1000}", 1)
    contract.write_text(strict.replace("version: 1.0.0", "version: 0.9.0"))
    lake.send(folder / "round-1.csv", HERE / "edges.toml")
    living = lake.start("simulate", "--kafka", "--start", START, *LIFE, *fleet, *ROAD)
    time.sleep(PART_S)
    lake.take(marts)
    lake.end(living)
    contract.write_text(right)
    lake.run("redrive")
    lake.send(folder / "round-2.csv", HERE / "edges.toml")
    correct(seeds)
    lake.run("seed")
    lake.take(marts)
    return lake


def sold(weir, kafka, folder, sales):
    """The sales of the CSV file `sales`."""
    lake = Lake(weir, kafka, folder)
    references_of(table(sales), folder / "seeds")
    lake.run("seed")
    lake.send(sales, REPOSITORY / "fleet/examples/vending_sales.toml")
    lake.take(SALES)
    return lake


def table(path):
    """The rows of a CSV file, as dictionaries."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path, rows):
    """Rows into a CSV file."""
    path.parent.mkdir(exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def correct(seeds):
    """References change within the nine days, some of it backwards."""
    machines = table(seeds / "machines.csv")
    changed = []
    for number, row in enumerate(machines):
        if number == 1:  # moves in the midst of a day, and is watched more closely from then on
            changed.append({**row, "valid_to": "2026-03-05T13:30:00Z"})
            row = {**row, "site_id": machines[5]["site_id"], "valid_from": "2026-03-05T13:30:00Z"}
            row |= {"availability_target_pct": "99.5", "heartbeat_interval_s": "120"}
        if number == 2:  # is stored for two days
            changed.append({**row, "valid_to": "2026-03-06T00:00:00Z"})
            changed.append(
                {**row, "machine_status": "stored", "valid_from": "2026-03-06T00:00:00Z"}
                | {"valid_to": "2026-03-08T12:00:00Z"}
            )
            row = {**row, "valid_from": "2026-03-08T12:00:00Z"}
        if number == 3:  # was never so: no interval, no site
            row = {**row, "heartbeat_interval_s": "", "site_id": ""}
        if number == 4:  # came later than was thought, and is gone
            row = {**row, "valid_from": "2026-03-03T00:00:00Z", "valid_to": "2026-03-10T00:00:00Z"}
        changed.append(row)
    write(seeds / "machines.csv", changed)
    products = table(seeds / "products.csv")
    for row in products[:10]:
        row["unit_cost"] = "0.7777"
    products[11]["currency"] = "CHF"
    products.append({**products[0], "valid_from": "2026-03-07T12:00:00Z", "unit_cost": "0.8888"})
    write(seeds / "products.csv", products)
    planogram = table(seeds / "planogram.csv")
    for row in planogram[:4]:  # for two days another product, then the old one again
        other = {**row, "product_id": planogram[9]["product_id"], "price": "2.3456"}
        planogram.append({**other, "valid_from": "2026-03-05T06:00:00Z"})
        planogram.append({**row, "valid_from": "2026-03-07T06:00:00Z"})
    write(seeds / "planogram.csv", planogram)
    accounts = table(seeds / "accounts.csv")
    for row in accounts[:3]:
        changes = {"account_status": "suspended", "position_limit_amount": "1.0000"}
        accounts.append({**row, **changes, "valid_from": "2026-03-06T00:00:00Z"})
    write(seeds / "accounts.csv", accounts)


def references_of(sales, seeds):
    """Machines, sites, products and a planogram as the file of sales knows them."""
    always = {"valid_from": "2020-01-01T00:00:00Z"}
    machines, sites, products, planogram = {}, {}, {}, {}
    for row in sales:
        machine, site = row["Device ID"], row["Location"]
        sites[site] = {
            "site_id": site,
            "site_name": site,
            "site_kind": "other",
            "site_status": "open",
        }
        sites[site] |= {"city": "-", "region": site.split()[0], "country_code": "US"}
        sites[site] |= {"time_zone": "America/New_York", "currency": "USD"} | always
        machines[machine] = {
            "machine_id": machine,
            "machine_kind": "snack",
            "machine_status": "active",
        }
        machines[machine] |= {"refrigerated": "false", "site_id": site} | always
        name = row["Product"]
        if name:
            products[name] = {"product_id": name, "product_name": name, "product_status": "active"}
            products[name] |= {
                "category": "other",
                "needs_refrigeration": "false",
                "unit_cost": "0.8",
                "list_price": row["RPrice"],
                "currency": "USD",
            } | always
            planogram[machine, row["RCoil"]] = (
                {"machine_id": machine, "selection": row["RCoil"]}
                | {"product_id": name, "capacity": "10", "par_level": "8", "low_stock_level": "2"}
                | {"price": row["RPrice"], "currency": "USD"}
                | always
            )
    account = {
        "account_id": "none",
        "account_status": "active",
        "account_kind": "internal",
        "currency": "USD",
    }
    for name, rows in (
        ("machines", machines.values()),
        ("sites", sites.values()),
        ("products", products.values()),
        ("planogram", planogram.values()),
        ("accounts", [account | always]),
    ):
        write(seeds / f"{name}.csv", list(rows))
