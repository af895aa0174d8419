//! `weir seed` through the real binary: the five reference tables, mistakes, kills, several at a time,
//! other engines.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::lab::{self, Done};
use weir_tests::sample::Rng;

const NAMES: [&str; 5] = ["machines", "sites", "products", "planogram", "accounts"];

const MACHINES: &str = "\
machine_id,machine_name,machine_kind,machine_status,commissioned_on,accepts_card,site_id,latitude_deg,longitude_deg,refrigerated,temperature_max_c,valid_from,valid_to
m-1,North,snack,active,2023-05-01,true,s-1,48.2,16.3,true,8.5,2026-01-01T00:00:00Z,
m-2,\"South, left\",coffee,active,,FALSE,s-2,-0.0,-0.0,false,,2026-01-01T01:00:00+01:00,2026-03-01T00:00:00Z
m-3,,drinks,stored,,,,,,false,,2026-02-01T00:00:00Z,
";
const SITES: &str = "\
site_id,site_name,site_kind,site_status,city,region,country_code,time_zone,currency,valid_from
s-1,Main station,station,open,Wien,east,AT,Europe/Vienna,EUR,2026-01-01T00:00:00Z
s-2,Office,office,open,Graz,south,AT,Europe/Vienna,EUR,2026-01-01T00:00:00Z
";
const PRODUCTS: &str = "\
product_id,product_name,category,product_status,list_price,currency,needs_refrigeration,valid_from
p-1,Cola 0.5 l,drinks,active,2.50,EUR,true,2026-01-01T00:00:00Z
";
const PLANOGRAM: &str = "\
machine_id,selection,product_id,capacity,par_level,low_stock_level,price,currency,valid_from
m-1,A1,p-1,10,8,2,2.5,EUR,2026-01-01T00:00:00Z
m-1,A2,p-1,10,8,2,99999999999999.9999,EUR,2026-01-01T00:00:00Z
";
const ACCOUNTS: &str = "\
account_id,account_status,account_kind,currency,currencies_allowed,trade_limit_amount,valid_from
a-1,active,private,EUR,\"[\"\"EUR\"\",\"\"USD\"\"]\",0.0001,2026-01-01T00:00:00Z
";

/// A folder with a config and the five files.
struct Seeds {
    folder: tempfile::TempDir,
}

impl Seeds {
    fn new() -> Result<Seeds> {
        let folder = tempfile::Builder::new().prefix("weir-seed-").tempdir()?;
        let contracts = lab::repository().join("contracts");
        let mut config =
            "warehouse = \"lake\"\ncatalog.uri = \"sqlite:///catalog.db\"\n".to_string();
        for name in NAMES {
            config += &format!(
                "[references.\"ref.{name}\"]\nfile = \"seeds/{name}.csv\"\ncontract = \"{}\"\n",
                contracts.join(format!("ref.{name}.yaml")).display()
            );
        }
        std::fs::write(folder.path().join("weir.toml"), config)?;
        std::fs::create_dir(folder.path().join("seeds"))?;
        let seeds = Seeds { folder };
        for (name, text) in NAMES.iter().zip([MACHINES, SITES, PRODUCTS, PLANOGRAM, ACCOUNTS]) {
            seeds.write(name, text)?;
        }
        Ok(seeds)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn database(&self) -> PathBuf {
        self.path().join("catalog.db")
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.path().join(format!("seeds/{name}.csv")), text)?)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_by(Command::new(lab::binary()), arguments)
    }

    fn command_by(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.arg("--config").arg(self.path().join("weir.toml"));
        command.args(["--log-format", "json", "--output", "json"]).args(arguments);
        command
    }

    fn weir(&self, arguments: &[&str]) -> Result<Done> {
        Ok(lab::done(self.command(arguments).output()?))
    }

    /// Runs a command that must succeed; its lines of JSON.
    fn lines(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let done = self.weir(arguments)?;
        ensure!(done.code == Some(0), "{arguments:?}: {done:#?}");
        done.stdout.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// One value of a query's one row.
    fn value(&self, sql: &str) -> Result<Value> {
        let row = self.lines(&["query", sql])?.into_iter().next().context("no row")?;
        Ok(row.as_object().and_then(|row| row.values().next()).context("no column")?.clone())
    }

    fn verify(&self) -> Result<()> {
        let done = self.weir(&["verify"])?;
        ensure!(done.code == Some(0), "{done:#?}");
        Ok(())
    }
}

#[test]
fn five_files_become_tables_that_three_readers_agree_on() -> Result<()> {
    let seeds = Seeds::new()?;
    let dry = seeds.lines(&["seed", "--dry-run"])?;
    ensure!(dry.len() == 5 && dry.iter().all(|row| row["snapshot"].is_null()), "{dry:?}");
    let loaded = seeds.lines(&["seed"])?;
    ensure!(loaded.iter().all(|row| row["load"] == 1), "{loaded:?}");
    let again = seeds.lines(&["seed"])?;
    ensure!(again.iter().all(|row| row["load"].is_null() && row["added"] == 0), "{again:?}");
    ensure!(seeds.weir(&["seed", "--exit-99-when-idle"])?.code == Some(99));

    // A machine moves; its past is corrected; a full file ends another.
    seeds.write("machines", &MACHINES.replace("North,snack", "North,combi"))?;
    let row = &seeds.lines(&["seed", "ref.machines"])?[0];
    ensure!((row["load"].as_i64(), row["changed"].as_i64()) == (Some(2), Some(1)), "{row}");
    let other = seeds.path().join("other");
    std::fs::create_dir(&other)?;
    let (header, rest) = MACHINES.split_once('\n').context("a header")?;
    let first = rest.lines().next().context("a row")?.replace("2026-01-01", "2026-02-01");
    std::fs::write(
        other.join("machines.csv"),
        format!("{header}\n{}\n", first.replace("s-1", "s-2")),
    )?;
    let folder = other.display().to_string();
    let row = &seeds.lines(&["seed", "ref.machines", "--dir", &folder, "--full"])?[0];
    ensure!(row["added"] == 1 && row["ended"] == 2, "{row}");
    let open = "select string_agg(machine_id || ' ' || site_id, ',' order by machine_id) \
                from ref.machines_history where valid_to is null";
    ensure!(seeds.value(open)? == "m-1 s-2", "{}", seeds.value(open)?);
    let at = "select string_agg(machine_kind || ' ' || site_id, ',') from ref.machines_history \
              where machine_id = 'm-1' and valid_from <= timestamp '2026-01-15T00:00:00Z' \
              and (valid_to is null or valid_to > timestamp '2026-01-15T00:00:00Z')";
    ensure!(seeds.value(at)? == "combi s-1", "{}", seeds.value(at)?);
    ensure!(seeds.value("select max(price) from ref.planogram")? == "99999999999999.9999");

    seeds.verify()?;
    let text = |path: PathBuf| path.display().to_string();
    let (weir, config) = (text(lab::binary()), text(seeds.path().join("weir.toml")));
    let tables = NAMES.map(|name| format!("ref.{name}"));
    let database = text(seeds.database());
    let mut arguments = vec![weir.as_str(), &config, &database];
    arguments.extend(tables.iter().map(String::as_str));
    let said = lab::python("references.py", &arguments)?;
    print!("{said}");
    let report: Value = serde_json::from_str(said.lines().last().context("nothing said")?)?;
    ensure!(report["tables"] == 5 && report["snapshots"] == 7, "{report}");
    ensure!(
        report["rows"].as_i64() > Some(15) && report["counting"].as_i64() > Some(9),
        "{report}"
    );
    Ok(())
}

#[test]
fn a_mistake_in_one_file_leaves_all_tables_alone() -> Result<()> {
    let seeds = Seeds::new()?;
    seeds.write("accounts", &ACCOUNTS.replace("0.0001", "0.00001").replace("private", "privat"))?;
    seeds.write(
        "sites",
        &format!("{SITES}s-1,Again,store,open,Wien,east,AT,UTC,EUR,2026-01-01T00:00:00Z\n"),
    )?;
    let done = seeds.weir(&["seed"])?;
    ensure!(done.code == Some(1), "{done:#?}");
    for place in [
        "accounts.csv:2: account_kind \\\"privat\\\" is not allowed; did you mean private?",
        "accounts.csv:2: trade_limit_amount",
        "sites.csv:4: a second row of its key",
        "3 mistakes",
    ] {
        ensure!(done.stderr.contains(place), "no {place} in {done:#?}");
    }
    ensure!(!seeds.path().join("lake").exists(), "something was made");
    ensure!(seeds.weir(&["seed", "ref.machine"])?.stderr.contains("choose one of ref.accounts"));
    std::fs::remove_file(seeds.path().join("seeds/sites.csv"))?;
    let done = seeds.weir(&["seed", "ref.sites"])?;
    ensure!(done.code == Some(2) && done.stderr.contains("--dir"), "{done:#?}");
    Ok(())
}

#[test]
fn folders_that_cannot_be_written_and_contracts_that_are_broken() -> Result<()> {
    let seeds = Seeds::new()?;
    let closed = seeds.path().join("closed");
    std::fs::create_dir(&closed)?;
    lab::permissions(&closed, 0o555)?;
    let closed = ["--set", "warehouse=closed/lake", "seed"];
    let denied = lab::done(seeds.command_by(lab::as_anybody(), &closed).output()?);
    denied.expect(1)?.says(&["closed/lake", "Permission denied", "permissions of the user"])?;

    let mut rng = Rng::new(3);
    let mut text = "machine_id,machine_kind,machine_status,refrigerated,valid_from\n".to_string();
    for _ in 0..4_000 {
        let id = format!("m-{:016x}{:016x}", rng.next(), rng.next());
        text += &format!("{id},snack,active,true,2026-01-01T00:00:00Z\n");
    }
    seeds.write("machines", &text)?;
    for blocks in [8, 128] {
        let full = lab::on_a_full_disk(blocks);
        let full = lab::done(seeds.command_by(full, &["seed", "ref.machines"]).output()?);
        full.expect(75)?.says(&["free some space there"])?;
    }
    let row = &seeds.lines(&["seed", "ref.machines"])?[0];
    ensure!(row["load"] == 1 && row["added"] == 4_000, "{row}");
    seeds.verify()?;

    std::fs::write(seeds.path().join("broken.yaml"), "schema: [\n")?;
    let broken = ["--set", "references.\"ref.machines\".contract=broken.yaml", "seed"];
    seeds.weir(&broken)?.expect(2)?.says(&["broken.yaml:2:1: not YAML", "docs/contracts.md"])
}

/// Versions of a file: of each machine the site changes day by day.
fn version(number: u64) -> String {
    let mut text =
        "machine_id,machine_kind,machine_status,refrigerated,site_id,valid_from\n".to_string();
    for machine in 0..40 {
        for day in 0..=number {
            let (hour, day) = (day % 24, 1 + day / 24);
            let from = format!("2026-01-{day:02}T{hour:02}:00:00Z");
            text += &format!("m-{machine},snack,active,true,s-{day}-{hour},{from}\n");
        }
    }
    text
}

#[test]
fn kills_leave_each_load_whole_or_absent() -> Result<()> {
    const KILLS: u64 = 30;
    let seeds = Seeds::new()?;
    let mut rng = Rng::new(11);
    let (mut killed, mut before) = (0, 0);
    for number in 0..KILLS {
        seeds.write("machines", &version(number))?;
        let mut child = seeds.command(&["seed", "ref.machines"]).stdout(Stdio::null()).spawn()?;
        std::thread::sleep(Duration::from_micros(rng.below(120_000)));
        child.kill()?;
        killed += u64::from(child.wait()?.code().is_none());
        let tables = seeds.weir(&["tables"])?;
        if tables.code != Some(0) || tables.stdout.is_empty() {
            continue;
        }
        // A file has one row more of each machine than the last one that landed.
        let rows: u64 =
            serde_json::from_value(seeds.value("select count(*) from ref.machines_history")?)?;
        ensure!(rows == before || rows == 40 * (number + 1), "{rows} after {before} at {number}");
        before = rows;
        if number % 5 == 0 {
            seeds.verify()?;
        }
    }
    ensure!(killed > KILLS / 4, "only {killed} of {KILLS} were killed before their end");
    seeds.lines(&["seed", "ref.machines"])?;
    ensure!(seeds.value("select count(*) from ref.machines_history")? == 40 * KILLS);
    let idle = seeds.weir(&["seed", "ref.machines", "--exit-99-when-idle"])?;
    ensure!(idle.code == Some(99), "{idle:#?}");
    seeds.verify()
}

#[test]
fn processes_at_the_same_time_load_everything_once() -> Result<()> {
    let seeds = Seeds::new()?;
    let mut children = Vec::new();
    for number in 0..6 {
        let folder = seeds.path().join(format!("of-{number}"));
        std::fs::create_dir(&folder)?;
        let row = "snack,active,,,s-1,,,false,,2026-01-01T00:00:00Z,";
        let header = MACHINES.lines().next().context("a header")?;
        let text = format!("{header}\nown-{number},,{row}\nshared,,{row}\n");
        std::fs::write(folder.join("machines.csv"), text)?;
        let folder = folder.display().to_string();
        let mut command = seeds.command(&["seed", "ref.machines", "--dir", &folder]);
        children.push(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
    }
    for child in children {
        let done = lab::done(child.wait_with_output()?);
        ensure!(done.code == Some(0), "{done:#?}");
    }
    ensure!(seeds.value("select count(*) from ref.machines")? == 7);
    ensure!(seeds.value("select max(_load) from ref.machines")? == 6);
    seeds.verify()
}

#[test]
fn verify_fails_where_another_engine_deleted_rows() -> Result<()> {
    let seeds = Seeds::new()?;
    seeds.lines(&["seed"])?;
    seeds.verify()?;
    let database = seeds.database().display().to_string();
    let machine = "machine_id == 'm-2'";
    let id = lab::python("foreign.py", &[&database, "ref.machines", "delete-where", machine])?;
    let done = seeds.weir(&["verify"])?;
    ensure!(done.code == Some(1) && done.stdout.contains("load_rows"), "{done:#?}");
    let acknowledge = ["verify", "ref.machines", "--acknowledge", id.trim(), "--reason", "a test"];
    seeds.lines(&acknowledge)?;
    seeds.verify()?;
    let row = &seeds.lines(&["seed", "ref.machines"])?[0];
    ensure!(row["added"] == 1, "{row}");
    seeds.verify()
}
