//! SQL models of a config: their folder read and compiled, and the steps of a run.

pub mod checks;
pub mod screen;
pub mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use weir_catalog::Lake;
use weir_catalog::session::inputs::{Slice, Source};
use weir_contract::contract::Contract;
use weir_contract::names::TableName;
use weir_contract::reference::Reference;
use weir_contract::yaml::Diagnostic;
use weir_transforms::changed::Found;
use weir_transforms::compile::{Compiled, Sources, compile};
use weir_transforms::engine::Counter;
use weir_transforms::microbatch::PART_ROWS;
use weir_transforms::project::{Project, SourceFile, variables};
pub use weir_transforms::run::Ask;
use weir_transforms::run::Runner;
use weir_transforms::select::select;

use crate::cli::Selection;
use crate::commands::{contracts, seed};
use crate::config::Config;
use crate::failure::Failure;
use crate::lake;

/// Files of models together, bytes.
const BYTES_MAX: u64 = 64 << 20;
/// What a folder of models may hold that is not a model's.
const TARGET: &str = "target";

/// A folder of models that compiles, with the sources that it may read.
pub struct Models {
    /// What the files say.
    pub project: Project,
    /// The plan of every model.
    pub compiled: BTreeMap<String, Compiled>,
    /// Every source, pinned if the lake was opened.
    pub sources: Vec<Source>,
    /// The columns of the sources.
    pub columns: Sources,
    found: Found,
    folder: PathBuf,
}

impl Models {
    /// Reads and compiles the models of the config. `lake`: none for the columns of contracts only.
    pub async fn load(
        config: &Config,
        lake: Option<&Lake>,
        vars: Option<&str>,
    ) -> Result<Models, Failure> {
        let sources = sources(config, lake).await?;
        let names: BTreeSet<TableName> = sources.iter().map(|source| source.name.clone()).collect();
        let folder = config.models.clone();
        let vars = variables(vars.unwrap_or("{}"))
            .map_err(|why| Failure::config(format!("--vars: {why}")))?;
        let project = Project::read(&files(&folder)?, &names, &vars);
        let project = project.map_err(|mistakes| wrong(&folder, &mistakes))?;
        let mut columns = Sources::new();
        for source in &sources {
            let provider = source.provider(Slice::default()).map_err(Failure::catalog)?;
            columns.insert(source.name.clone(), provider.schema());
        }
        let compiled = compile(&project, &columns).await.map_err(Failure::catalog)?;
        let compiled = compiled.map_err(|mistakes| wrong(&folder, &mistakes))?;
        Ok(Models { project, compiled, sources, columns, found: Found::default(), folder })
    }

    /// Looks at the sources anew.
    pub async fn look_again(&mut self, config: &Config, lake: &Lake) -> Result<(), Failure> {
        self.sources = sources(config, Some(lake)).await?;
        Ok(())
    }

    /// What there is.
    pub fn found(&self) -> String {
        format!(
            "Found {} models, {} data tests, {} unit tests",
            self.project.models.len(),
            self.project.data_tests.len(),
            self.project.unit_tests.len()
        )
    }

    /// The models that were asked for.
    pub fn chosen(&self, asked: &Selection) -> Result<BTreeSet<String>, Failure> {
        let models = self.project.models.values();
        select(models, &self.project.graph(), &asked.select, &asked.exclude).map_err(|why| {
            Failure::config(why).next("`weir ls` lists the models, `weir ls --help` the selectors")
        })
    }

    /// The models over a lake.
    pub fn runner<'r>(&'r self, lake: &'r Lake) -> Runner<'r> {
        let Models { project, compiled, sources, found, .. } = self;
        let counter = Counter::default();
        Runner { lake, project, compiled, sources, found, counter, part_rows: PART_ROWS }
    }

    /// The model of this name.
    pub fn named(&self, name: &str) -> Result<String, Failure> {
        let one = Selection { select: vec![name.to_string()], ..Selection::default() };
        match self.project.models.contains_key(name) {
            true => Ok(name.to_string()),
            false => self
                .chosen(&one)
                .and_then(|_| Err(Failure::config(format!("{name} is not the name of one model")))),
        }
    }

    /// Where a file of `target/` stands.
    pub fn target(&self, path: &str) -> PathBuf {
        self.folder.join(TARGET).join(path)
    }

    /// Writes a file of `target/`.
    pub fn write(&self, path: &str, text: &str) -> Result<(), Failure> {
        let path = self.target(path);
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| {
            Failure::denied(format!("{} cannot be written: {error}", path.display()))
        })
    }
}

/// The lake of the config, if it has been made.
pub fn made(config: &Config) -> Result<Option<Lake>, Failure> {
    lake::exists(config).then(|| lake::open(config, false)).transpose()
}

/// All that models may read.
async fn sources(config: &Config, lake: Option<&Lake>) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    let files: Vec<PathBuf> = config.streams.values().map(|s| s.contract.clone()).collect();
    let contracts: Vec<Contract> = contracts::of_streams(&files)?;
    for (name, contract) in config.streams.keys().zip(&contracts) {
        let source = Source::stream(lake, contract, &TableName::raw(name)).await;
        sources.push(source.map_err(Failure::catalog)?);
    }
    for (name, of) in &config.references {
        let reference: Reference = seed::load(name, of)?;
        sources.push(Source::reference(lake, &reference).await.map_err(Failure::catalog)?);
    }
    Ok(sources)
}

/// Every SQL and YAML file below the folder of models, `target/` and `rules/` aside.
fn files(folder: &Path) -> Result<Vec<SourceFile>, Failure> {
    if !folder.is_dir() {
        return Err(Failure::config(format!("there is no folder of models {}", folder.display()))
            .next("make it with staging/ and marts/ in it, or set `transforms.folder`"));
    }
    let (mut found, mut bytes, mut open) = (Vec::new(), 0, vec![folder.to_path_buf()]);
    while let Some(at) = open.pop() {
        let failed = |error: std::io::Error| {
            Failure::denied(format!("{} cannot be read: {error}", at.display()))
        };
        for entry in std::fs::read_dir(&at).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let below = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            let hidden = path.file_name().is_none_or(|n| n.to_string_lossy().starts_with('.'));
            if hidden || below == TARGET {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if ["sql", "yml", "yaml"]
                .iter()
                .any(|e| path.extension().is_some_and(|x| x == *e))
            {
                bytes += path.metadata().map_err(failed)?.len();
                if bytes > BYTES_MAX {
                    return Err(
                        Failure::config("the models are larger than 64 MiB").at(folder.display())
                    );
                }
                let text = std::fs::read_to_string(&path).map_err(failed)?;
                found.push(SourceFile { path: below.replace('\\', "/"), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn wrong(folder: &Path, mistakes: &[Diagnostic]) -> Failure {
    let count = match mistakes.len() {
        1 => "1 mistake".to_string(),
        n => format!("{n} mistakes"),
    };
    let failure = Failure::config(format!("{count} in the models"))
        .next("correct what is listed; docs/models.md is the guide");
    let place = |one: &Diagnostic| format!("{}/{one}", folder.display());
    mistakes.iter().fold(failure, |failure, one| failure.at(place(one)))
}
