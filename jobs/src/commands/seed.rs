//! `weir seed`.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use weir_catalog::seed::{SeedOptions, Seeded, seed};
use weir_contract::class::ErrorClass;
use weir_contract::reference::{Reference, Stated, read};

use super::{choose, contracts, lake};
use crate::cli;
use crate::config::{self, Config};
use crate::failure::Failure;
use crate::output::Column;
use crate::session::{Done, Session};

/// A file's size, at most, bytes: it is held in memory.
const FILE_BYTES_MAX: u64 = 64 << 20;

const COLUMNS: [Column; 8] = [
    Column::text("table"),
    Column::number("load"),
    Column::number("added"),
    Column::number("changed"),
    Column::number("ended"),
    Column::number("withdrawn"),
    Column::number("unchanged"),
    Column::text("snapshot"),
];

/// Loads the tables asked for, one commit each, after all files were found to be right.
pub fn run(asked: &cli::Seed, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let files = files(&config, asked)?;
    let lake = lake(&config, true)?;
    let options = SeedOptions { full: asked.full, dry_run: asked.dry_run };
    let (mut rows, mut ended) = (Vec::new(), Ok(()));
    for (reference, stated) in &files {
        let done = session.block_on(async {
            seed(&lake, reference, stated, options).await.map_err(Failure::catalog)
        });
        match done {
            Ok(done) => rows.push(row(&done)),
            Err(failure) => {
                ended = Err(failure.at(format!("table {}", reference.table())));
                break;
            }
        }
    }
    session.output.table(&COLUMNS, &rows)?;
    let loads = rows.iter().filter(|row| !row[1].is_null()).count();
    session.output.result("tables", rows.len());
    session.output.result("loads", loads);
    ended?;
    session.output.say(match (loads, asked.dry_run) {
        (0, _) => "nothing to do: the tables say already what the files state".to_string(),
        (_, true) => "a dry run: nothing was loaded".to_string(),
        (n, false) => format!("{n} of {} tables loaded", rows.len()),
    })?;
    Ok(if loads == 0 && asked.exit_99_when_idle { Done::Idle } else { Done::Done })
}

/// The tables with what their files state.
fn files(config: &Config, asked: &cli::Seed) -> Result<Vec<(Reference, Stated)>, Failure> {
    if config.references.is_empty() {
        return Err(Failure::config("the config names no reference table").next(
            "add [references.\"ref.<name>\"] with its file and contract; see docs/reference.md",
        ));
    }
    let (mut files, mut mistakes, mut count) = (Vec::new(), Vec::new(), 0);
    for (name, of) in choose("reference", &config.references, &asked.tables)? {
        let reference = load(&name, &of)?;
        let file = match (&asked.dir, of.file.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => of.file.clone(),
        };
        let shown = file.display();
        match read(&reference, &bytes(&file)?) {
            Ok(stated) => files.push((reference, stated)),
            Err(found) => {
                count += found.count;
                mistakes.extend(found.told.iter().map(|mistake| format!("{shown}:{mistake}")));
                let more = found.count - found.told.len();
                mistakes.extend((more > 0).then(|| format!("{shown}: {more} more")));
            }
        }
    }
    if count == 0 {
        return Ok(files);
    }
    let count = if count == 1 { "1 mistake".to_string() } else { format!("{count} mistakes") };
    let failure = Failure::new(ErrorClass::BadData, format!("{count} in the files to be loaded"))
        .next("correct what is listed; nothing was loaded");
    Err(mistakes.iter().fold(failure, Failure::at))
}

pub fn load(name: &str, of: &config::Reference) -> Result<Reference, Failure> {
    let contract = Arc::new(contracts::any(&of.contract)?);
    if contract.id != name {
        let what = format!("the contract of the reference {name} is that of {}", contract.id);
        return Err(Failure::config(what)
            .at(of.contract.display())
            .next("name the contract's own file, or give the reference the contract's id"));
    }
    Reference::of(contract).ok_or_else(|| {
        Failure::config(format!("the contract {name} is one of a stream, not of a reference table"))
            .at(of.contract.display())
            .next("a reference table's contract says `weir.reference: true`; see docs/contracts.md")
    })
}

fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        let class = match error.kind() {
            std::io::ErrorKind::PermissionDenied => ErrorClass::Denied,
            _ => ErrorClass::BadConfig,
        };
        Failure::new(class, format!("the file cannot be read: {error}"))
            .at(path.display())
            .next("correct `file` in weir.toml, or name the folder of the files with --dir")
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let what = format!("the file is larger than {} MiB", FILE_BYTES_MAX >> 20);
        return Err(Failure::new(ErrorClass::BadData, what)
            .at(path.display())
            .next("reference tables are small: divide the file by keys, or bring it as a stream"));
    }
    Ok(bytes)
}

fn row(done: &Seeded) -> Vec<Value> {
    let counts = done.counts;
    vec![
        json!(done.table.to_string()),
        json!(done.load),
        json!(counts.added),
        json!(counts.changed),
        json!(counts.ended),
        json!(counts.withdrawn),
        json!(counts.unchanged),
        json!(done.snapshot.map(|id| id.to_string())),
    ]
}
