//! Builds the tables of models: each from inputs of one moment, in one snapshot, and only if something
//! changed since its last build.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use weir_catalog::derived::columns::{Column, column_type, type_name};
use weir_catalog::derived::{Build, made, replace};
use weir_catalog::scan::IcebergProvider;
use weir_catalog::session::inputs::Source;
use weir_catalog::session::{SessionOptions, explain, over};
use weir_catalog::{Base, CatalogError, Lake, Result};
use weir_contract::names::TableName;

use crate::compile::Compiled;
use crate::cut::{Cut, cut};
use crate::engine::Engine;
use crate::project::{Materialized, Model, Project};

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
}

/// What came of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Built {
    /// The table has new rows.
    Done {
        /// How many.
        rows: u64,
    },
    /// Its inputs and its SQL are those of its last build.
    UpToDate,
}

impl Runner<'_> {
    /// Builds the table of `model`, also where nothing changed if `full`.
    ///
    /// Errors: bad config (an input has no table yet, inputs of different moments), retry (another build
    /// came between), and what reading and writing say.
    pub async fn build(&self, model: &Model, full: bool) -> Result<Built> {
        let inputs = self.inputs(model).await?;
        let roots = self.cut(model, &inputs)?;
        let sql_hash = self.hash(model, &inputs)?;
        let before = match self.lake.derived(&model.relation).await? {
            Some(base) => Some(made(&base)?),
            None => None,
        };
        let same = before.is_some_and(|before| {
            let made_of = before.derived.map(|derived| derived.roots).unwrap_or_default();
            let alike = made_of.len() == roots.len()
                && roots.iter().all(|(n, root)| made_of.get(n).is_some_and(|o| o.reads_as(root)));
            alike && before.sql_hash.as_deref() == Some(&*sql_hash)
        });
        if same && !full {
            return Ok(Built::UpToDate);
        }
        let engine = self.engine_of(&inputs, &roots).await?;
        let compiled = self.compiled.get(&model.name).ok_or_else(|| unknown(model))?;
        let columns = columns(model, compiled);
        let build = Build {
            model: &model.name,
            columns: &columns,
            description: &model.description,
            roots,
            sql_hash,
        };
        let rows = engine.stream(&compiled.sql).await?.map_err(explain);
        let receipt = replace(self.lake, &model.relation, &build, rows).await?;
        let rows = receipt.base.progress()?.records();
        let rows = u64::try_from(rows).unwrap_or_default();
        Ok(Built::Done { rows })
    }

    /// A session in which every model can be asked: views are computed, tables read as they are.
    pub async fn engine(&self) -> Result<Engine> {
        let mut providers = BTreeMap::new();
        for source in self.sources {
            providers.insert(source.name.clone(), source.provider(None)?);
        }
        for model in self.project.models.values() {
            if model.settings.materialized == Materialized::Table
                && let Some(base) = self.lake.derived(&model.relation).await?
            {
                providers.insert(model.relation.clone(), self.table(&base)?);
            }
        }
        let context = over(self.lake, &SessionOptions::default())?;
        Engine::open(context, self.project, self.compiled, providers).await
    }

    fn table(&self, base: &Base) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(IcebergProvider::new(self.lake, base, None)?))
    }

    /// What a model reads, views looked through: sources, and tables of other models as they are now.
    async fn inputs(&self, model: &Model) -> Result<Inputs> {
        let mut inputs = Inputs::default();
        let mut open: Vec<&Model> = vec![model];
        let mut seen = BTreeSet::new();
        while let Some(at) = open.pop() {
            inputs.sources.extend(at.sources.iter().cloned());
            for name in &at.refs {
                let Some(parent) = self.project.models.get(name) else { continue };
                if !seen.insert(name) {
                    continue;
                }
                if parent.settings.materialized == Materialized::View {
                    open.push(parent);
                    continue;
                }
                let base = self.lake.derived(&parent.relation).await?;
                let base = base.ok_or_else(|| {
                    CatalogError::bad_config(format!(
                        "{} reads {}, which has not been built; build it too: weir run --select +{}",
                        model.name, parent.relation, model.name
                    ))
                })?;
                inputs.tables.insert(parent.relation.clone(), base);
            }
        }
        Ok(inputs)
    }

    fn cut(&self, model: &Model, inputs: &Inputs) -> Result<Cut> {
        let mut own = BTreeMap::new();
        for source in self.sources.iter().filter(|s| inputs.sources.contains(&s.name)) {
            own.insert(source.table.clone(), source.root()?);
        }
        let mut parents = BTreeMap::new();
        for (name, base) in &inputs.tables {
            let roots = made(base)?.derived.map(|derived| derived.roots).unwrap_or_default();
            parents.insert(name.clone(), roots);
        }
        cut(&own, &parents).map_err(|why| {
            CatalogError::bad_config(format!("{why}: weir run --select +{}", model.name))
        })
    }

    /// A session over the inputs at the cut.
    async fn engine_of(&self, inputs: &Inputs, roots: &Cut) -> Result<Engine> {
        let mut providers = BTreeMap::new();
        for source in self.sources.iter().filter(|s| inputs.sources.contains(&s.name)) {
            let until = roots.get(&source.table.to_string());
            let until = match until {
                Some(until) if !until.reads_as(&source.root()?) => Some(until),
                _ => None,
            };
            providers.insert(source.name.clone(), source.provider(until)?);
        }
        for (name, base) in &inputs.tables {
            providers.insert(name.clone(), self.table(base)?);
        }
        let context = over(self.lake, &SessionOptions::default())?;
        Engine::open(context, self.project, self.compiled, providers).await
    }

    /// What makes the rows of a model: its SQL and that of the views in it, the types of their columns, and
    /// what made the rows of the tables that it reads.
    fn hash(&self, model: &Model, inputs: &Inputs) -> Result<String> {
        let mut texts = BTreeMap::new();
        for (name, base) in &inputs.tables {
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
                let text = format!("{}\n{}", compiled.sql, types.collect::<Vec<_>>().join("\n"));
                texts.insert(at.name.clone(), text);
            }
            let parents = at.refs.iter().filter_map(|name| self.project.models.get(name));
            let views = parents.filter(|m| m.settings.materialized == Materialized::View);
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

#[derive(Default)]
struct Inputs {
    sources: BTreeSet<TableName>,
    tables: BTreeMap<TableName, Base>,
}

/// The columns of a model with what is said of them.
fn columns(model: &Model, compiled: &Compiled) -> Vec<Column> {
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

fn unknown(model: &Model) -> CatalogError {
    CatalogError::bug(format!("model {} was not compiled", model.name))
}
