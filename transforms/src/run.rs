//! Builds the tables of models: each from inputs of one moment, in one snapshot, and only if something
//! changed since its last build.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::prelude::DataFrame;
use sha2::{Digest, Sha256};
use weir_catalog::derived::columns::{Column, column_type, columns_of, type_name};
use weir_catalog::derived::{
    Build, FILE_BYTES, Made, Old, WINDOW_FILE_BYTES, made, pieces, replace,
};
use weir_catalog::scan::IcebergProvider;
use weir_catalog::session::inputs::{Slice, Source};
use weir_catalog::session::{SessionOptions, over};
use weir_catalog::sought;
use weir_catalog::{Base, CatalogError, Lake, Result};
use weir_contract::names::TableName;
use weir_contract::progress::Root;

use crate::changed::Found;
use crate::compile::Compiled;
use crate::complete::Complete;
use crate::cut::{Cut, cut};
use crate::decide::{Facts, How, decide};
use crate::engine::{Counter, Engine};
use crate::inputs::{self, Through};
use crate::microbatch::Anew;
use crate::project::{Model, Project, Strategy};
use crate::windows::Ranges;

/// Models and sources of one lake; the sources stand still at the moment when they were named.
pub struct Runner<'r> {
    /// The lake.
    pub lake: &'r Lake,
    /// The models.
    pub project: &'r Project,
    /// Their plans.
    pub compiled: &'r BTreeMap<String, Compiled>,
    /// What they read.
    pub sources: &'r [Source],
    /// What was found to be new of them.
    pub found: &'r Found,
    /// What its builds have read of data files.
    pub counter: Counter,
    /// Rows of its inputs from which a query makes windows at once, about.
    pub part_rows: u64,
}

/// What came of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Built {
    /// The table has new rows.
    Done {
        /// Rows of the table now.
        rows: u64,
        /// Rows that were written, where others stayed as they were.
        written: Option<u64>,
        /// Why an incremental model was made anew.
        why: Option<&'static str>,
    },
    /// Its inputs and its SQL are those of its last build.
    UpToDate,
}

/// What is asked of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// Make all rows anew, also where nothing changed.
    pub full: bool,
    /// Make only the windows of these times anew, from the inputs of the last build.
    pub between: Option<Ranges>,
}

impl Runner<'_> {
    /// Builds the table of `model`.
    ///
    /// Errors: bad config (an input has no table yet, inputs of different moments, an increment that cannot
    /// go on), retry (another build came between), and what reading and writing say.
    pub async fn build(&self, model: &Model, ask: &Ask) -> Result<Built> {
        let inputs = self.inputs(model).await?;
        let sql_hash = self.hash(model, &inputs)?;
        let table = self.table_of(model).await?;
        let roots = match (&ask.between, table.as_ref().and_then(|t| t.made.derived.as_ref())) {
            (Some(_), Some(derived)) => derived.roots.clone(),
            _ => self.cut(model, &inputs)?,
        };
        let facts = self.facts(model, table.as_ref(), &roots, &sql_hash, ask)?;
        let how = decide(&facts)
            .map_err(|why| CatalogError::bad_config(format!("{}: {why}", model.relation)))?;
        let compiled = self.compiled.get(&model.name).ok_or_else(|| unknown(model))?;
        let before = table.as_ref().and_then(|table| {
            let derived = table.made.derived.as_ref()?;
            Some((derived.roots.clone(), table.made.complete_until_us.map(Complete::Until)?))
        });
        let complete = self.complete(&roots, &inputs.tables, before)?;
        let task = Task { model, compiled, inputs: &inputs, roots, sql_hash, complete };
        match how {
            How::Nothing => Ok(Built::UpToDate),
            How::Whole(why) => self.whole(&task, why).await,
            How::Increment => match table {
                Some(table) => self.increment(&task, &table, None).await,
                None => Err(unknown(model)),
            },
            How::Repair => match (table, &ask.between) {
                (Some(table), Some(between)) => self.increment(&task, &table, Some(between)).await,
                _ => Ok(Built::UpToDate),
            },
        }
    }

    /// The table of a model as it stands.
    async fn table_of(&self, model: &Model) -> Result<Option<Standing>> {
        let Some(base) = self.lake.derived(&model.relation).await? else { return Ok(None) };
        let made = made(&base)?;
        let pieces = match model.settings.strategy {
            Some(_) => pieces(self.lake, &base).await?,
            None => None,
        };
        Ok(Some(Standing { base, made, pieces }))
    }

    fn facts<'f>(
        &self,
        model: &'f Model,
        table: Option<&'f Standing>,
        roots: &'f Cut,
        sql_hash: &'f str,
        ask: &Ask,
    ) -> Result<Facts<'f>> {
        let compiled = self.compiled.get(&model.name).ok_or_else(|| unknown(model))?;
        let kinds = |columns: &[Column]| -> Vec<(String, String)> {
            let kind =
                |c: &Column| column_type(&c.data_type).map_or(String::new(), |t| type_name(&t));
            columns.iter().map(|c| (c.name.clone(), kind(c))).collect()
        };
        let there = match table {
            Some(table) => kinds(&columns_of(&table.base)?),
            None => Vec::new(),
        };
        let (mut lost, mut other_references) = (false, false);
        let made_of = table.and_then(|t| t.made.derived.as_ref()).map(|derived| &derived.roots);
        for name in inputs::roots(self.project, model).keys() {
            let Some(source) = self.sources.iter().find(|source| source.name == *name) else {
                continue;
            };
            lost |= source.has_lost_rows()?;
            let root = source.table.to_string();
            let (old, new) = (made_of.and_then(|cut| cut.get(&root)), roots.get(&root));
            let is_same = old.zip(new).is_some_and(|(old, new)| old.reads_as(new));
            other_references |= source.key().is_some() && !is_same;
        }
        Ok(Facts {
            strategy: model.settings.strategy,
            on_change: model.settings.on_schema_change,
            made_of,
            other_references,
            roots,
            is_same_sql: table.is_some_and(|t| t.made.sql_hash.as_deref() == Some(sql_hash)),
            columns: (there, kinds(&columns(model, compiled))),
            is_whole: table.is_some_and(|t| t.pieces.is_some()),
            lost,
            full: ask.full,
            between: ask.between.is_some(),
        })
    }

    /// Makes all rows anew.
    async fn whole(&self, task: &Task<'_>, why: Option<&'static str>) -> Result<Built> {
        let (columns, windows) = (columns(task.model, task.compiled), Ranges::all());
        let (relation, build) = (&task.model.relation, task.build(&columns));
        let receipt = match task.model.settings.strategy {
            Some(Strategy::Microbatch) => {
                let anew = Anew { task, columns: &columns, windows: &windows, old: None };
                replace(self.lake, relation, &build, Old::All, self.in_parts(&anew).await?).await?
            }
            _ => {
                let rows = self.started(self.all(task).await?, task.model).await?;
                replace(self.lake, relation, &build, Old::All, rows).await?
            }
        };
        let rows = u64::try_from(receipt.base.progress()?.records()).unwrap_or_default();
        Ok(Built::Done { rows, written: None, why })
    }

    /// All rows of a model.
    async fn all(&self, task: &Task<'_>) -> Result<DataFrame> {
        let mut providers = BTreeMap::new();
        for source in self.sources.iter().filter(|s| task.inputs.sources.contains_key(&s.name)) {
            let until = self.until(source, &task.roots)?;
            providers
                .insert(source.name.clone(), source.provider(Slice { until, ..Slice::default() })?);
        }
        for (name, (_, base)) in &task.inputs.tables {
            providers.insert(name.clone(), self.table(base)?);
        }
        self.open(providers).await?.frame(&task.compiled.sql).await
    }

    /// A session in which every model can be asked: views are computed, tables read as they are.
    pub async fn engine(&self) -> Result<Engine> {
        let mut providers = BTreeMap::new();
        for source in self.sources {
            providers.insert(source.name.clone(), source.provider(Slice::default())?);
        }
        for model in self.project.models.values() {
            if model.is_stored()
                && let Some(base) = self.lake.derived(&model.relation).await?
            {
                providers.insert(model.relation.clone(), self.table(&base)?);
            }
        }
        self.open(providers).await
    }

    fn table(&self, base: &Base) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(IcebergProvider::new(self.lake, base, None)?))
    }

    /// What a model reads, with the tables of other models as they are now.
    pub(crate) async fn inputs(&self, model: &Model) -> Result<Read> {
        let inputs = inputs::inputs(self.project, model);
        let mut read = Read { sources: inputs.sources, tables: BTreeMap::new() };
        for parent in inputs.tables.iter().filter_map(|name| self.project.models.get(name)) {
            let base = self.lake.derived(&parent.relation).await?;
            let base = base.ok_or_else(|| {
                CatalogError::bad_config(format!(
                    "{} reads {}, which has not been built; build it too: weir run --select +{}",
                    model.name, parent.relation, model.name
                ))
            })?;
            read.tables.insert(parent.relation.clone(), (parent.name.clone(), base));
        }
        Ok(read)
    }

    pub(crate) fn cut(&self, model: &Model, inputs: &Read) -> Result<Cut> {
        let mut own = BTreeMap::new();
        for source in self.sources.iter().filter(|s| inputs.sources.contains_key(&s.name)) {
            own.insert(source.table.clone(), source.root()?);
        }
        let mut parents = BTreeMap::new();
        for (name, (_, base)) in &inputs.tables {
            let roots = made(base)?.derived.map(|derived| derived.roots).unwrap_or_default();
            parents.insert(name.clone(), roots);
        }
        cut(&own, &parents).map_err(|why| {
            CatalogError::bad_config(format!("{why}: weir run --select +{}", model.name))
        })
    }

    /// Up to where a source is read; none if that is all of it.
    pub(crate) fn until<'r>(&self, source: &Source, roots: &'r Cut) -> Result<Option<&'r Root>> {
        let until = roots.get(&source.table.to_string());
        let whole = source.root()?;
        Ok(until.filter(|until| !until.reads_as(&whole)))
    }

    /// A session in which these are sources and tables, and models that are views.
    pub(crate) async fn open(
        &self,
        providers: BTreeMap<TableName, Arc<dyn TableProvider>>,
    ) -> Result<Engine> {
        let context = over(self.lake, &SessionOptions::default())?;
        for function in self.sources.iter().flat_map(Source::functions) {
            context.register_udf(function.as_ref().clone());
        }
        Engine::open(context, self.project, self.compiled, providers).await
    }

    /// What makes the rows of a model: its SQL and that of the views in it, the types of their columns, and
    /// what made the rows of the tables that it reads.
    fn hash(&self, model: &Model, inputs: &Read) -> Result<String> {
        let mut texts = BTreeMap::new();
        for (name, (_, base)) in &inputs.tables {
            texts.insert(name.to_string(), made(base)?.sql_hash.unwrap_or_default());
        }
        let mut open = vec![model];
        while let Some(at) = open.pop() {
            if let Some(compiled) = self.compiled.get(&at.name) {
                let columns = columns(at, compiled);
                let types = columns.iter().map(|c| {
                    format!(
                        "{} {}",
                        c.name,
                        column_type(&c.data_type).map_or(String::new(), |t| type_name(&t))
                    )
                });
                let increment = at.increment.as_deref().unwrap_or_default();
                let text = format!(
                    "{}\n{increment}\n{}",
                    compiled.sql,
                    types.collect::<Vec<_>>().join("\n")
                );
                texts.insert(at.name.clone(), text);
            }
            let parents = at.refs.iter().filter_map(|name| self.project.models.get(name));
            let views = parents.filter(|m| !m.is_stored());
            open.extend(views.filter(|m| !texts.contains_key(&m.name)));
        }
        let mut digest = Sha256::new();
        for (name, text) in texts {
            digest.update(format!("{name}\0{text}\0"));
        }
        Ok(digest.finalize()[..16].iter().fold(String::new(), |mut hex, byte| {
            // Writing to memory cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }))
    }
}

/// What a build reads.
pub(crate) struct Read {
    pub sources: BTreeMap<TableName, Through>,
    /// Tables, each of a model of this name.
    pub tables: BTreeMap<TableName, (String, Base)>,
}

/// A table of a model.
pub(crate) struct Standing {
    pub base: Base,
    pub made: Made,
    /// Its files, if they are as its builds made them; not asked of tables that are made whole.
    pub pieces: Option<Vec<sought::Found>>,
}

/// A build that is to be made.
pub(crate) struct Task<'t> {
    pub model: &'t Model,
    pub compiled: &'t Compiled,
    pub inputs: &'t Read,
    pub roots: Cut,
    pub sql_hash: String,
    pub complete: Complete,
}

impl Task<'_> {
    pub fn build<'b>(&'b self, columns: &'b [Column]) -> Build<'b> {
        let file_bytes = match self.model.settings.strategy {
            Some(Strategy::Microbatch) => WINDOW_FILE_BYTES,
            _ => FILE_BYTES,
        };
        Build {
            model: &self.model.name,
            columns,
            description: &self.model.description,
            roots: self.roots.clone(),
            sql_hash: self.sql_hash.clone(),
            complete_until_us: match self.complete {
                Complete::Until(us) => Some(us),
                Complete::Always | Complete::Unknown => None,
            },
            file_bytes,
        }
    }
}

/// The columns of a model with what is said of them.
pub(crate) fn columns(model: &Model, compiled: &Compiled) -> Vec<Column> {
    let doc = |name: &str| {
        let described = model.columns.iter().find(|column| column.name == name);
        described.map(|column| column.description.clone()).unwrap_or_default()
    };
    let fields = compiled.schema.fields().iter();
    fields
        .map(|field| Column {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            doc: doc(field.name()),
        })
        .collect()
}

pub(crate) fn unknown(model: &Model) -> CatalogError {
    CatalogError::bug(format!("model {} was not compiled", model.name))
}
