//! Compaction: one table of many small files, written anew by `weir maintain` and, made again from the same
//! seed, by PyIceberg, each in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_catalog::LakeOptions;

use crate::commits::Feed;

/// Reads all, sorts all, overwrites all: what PyIceberg offers.
const REWRITE: &str = r#"
import json, resource, sys, time
from pyiceberg.catalog.sql import SqlCatalog

begun = time.monotonic()
table = SqlCatalog("weir", uri="sqlite:///" + sys.argv[1]).load_table("raw.vending_health")
rows = table.scan().to_arrow()
table.overwrite(rows.sort_by([("machine_id", "ascending"), ("event_time", "ascending")]))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "wall_seconds": time.monotonic() - begun,
    "cpu_seconds": used.ru_utime + used.ru_stime,
    "peak_rss_bytes": used.ru_maxrss * 1024,
}))
"#;

#[derive(clap::Args)]
pub struct Args {
    /// Small files.
    #[arg(long, default_value_t = 400)]
    files: u64,
    /// Rows in each.
    #[arg(long, default_value_t = 10_000)]
    rows: i64,
    /// Memory of `weir maintain`.
    #[arg(long, default_value = "512MiB")]
    memory: String,
    /// A Python that has PyIceberg, to compare with.
    #[arg(long)]
    python: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    println!("| by | files | MiB before | MiB after | MiB/s | CPU-s per GiB | peak RSS MiB |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let folder = tempfile::tempdir()?;
    make(folder.path(), args)?;
    measured("weir maintain", folder.path(), || weir(folder.path(), args))?;
    if let Some(python) = &args.python {
        let folder = tempfile::tempdir()?;
        make(folder.path(), args)?;
        let database = folder.path().join("catalog.db");
        measured("PyIceberg, sort and overwrite", folder.path(), || {
            let mut rewrite = Command::new(python);
            result(rewrite.args(["-c", REWRITE]).arg(&database))
        })?;
    }
    Ok(())
}

fn make(folder: &Path, args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut feed = Feed::open(folder, LakeOptions::default(), 1).await?;
        for _ in 0..args.files {
            feed.commit(args.rows).await?;
        }
        Ok(())
    })
}

fn weir(folder: &Path, args: &Args) -> Result<Value> {
    let config = folder.join("weir.toml");
    let catalog = folder.join("catalog.db");
    let text = format!(
        "warehouse = \"lake\"\n[catalog]\nuri = \"sqlite:///{}\"\n[maintain]\nage_min = \"0s\"\n\
         memory_max = \"{}\"\n",
        catalog.display(),
        args.memory
    );
    std::fs::write(&config, text)?;
    let binary = std::env::current_exe()?.with_file_name("weir");
    let mut maintain = Command::new(binary);
    maintain.arg("--config").arg(&config).args(["--result-json", "maintain"]);
    Ok(result(&mut maintain)?["process"].clone())
}

/// The last line of what it prints, as JSON.
fn result(command: &mut Command) -> Result<Value> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("no result in {stdout}"))
}

fn measured(what: &str, folder: &Path, work: impl FnOnce() -> Result<Value>) -> Result<()> {
    const MIB: f64 = 1_048_576.0;
    let before = live(folder)?;
    let used = work()?;
    let after = live(folder)?;
    let number = |name: &str| used[name].as_f64().with_context(|| format!("no {name} in {used}"));
    let mib = before.1 / MIB;
    println!(
        "| {what} | {} to {} | {mib:.1} | {:.1} | {:.1} | {:.1} | {:.0} |",
        before.0,
        after.0,
        after.1 / MIB,
        mib / number("wall_seconds")?,
        number("cpu_seconds")? / (mib / 1024.0),
        number("peak_rss_bytes")? / MIB
    );
    Ok(())
}

/// Live data files and their bytes, by the current snapshot.
fn live(folder: &Path) -> Result<(u64, f64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let feed = runtime.block_on(Feed::open(folder, LakeOptions::default(), 1))?;
    let snapshot = feed.base.metadata().current_snapshot().context("no snapshot")?;
    let summary = &snapshot.summary().additional_properties;
    let of = |name: &str| summary.get(name).with_context(|| format!("no {name}"));
    Ok((of("total-data-files")?.parse()?, of("total-files-size")?.parse()?))
}
