//! When something changed in the sources of a model between two of its builds: times of events, found by
//! reading what is new, and no more of what is old than could be a second record of the same event.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::datasource::ViewTable;
use futures::TryStreamExt;
use weir_catalog::session::inputs::{Slice, Source};
use weir_catalog::session::{SessionOptions, explain, over};
use weir_catalog::{CatalogError, Lake, Result};
use weir_contract::names::{TableName, column};
use weir_contract::progress::Root;

use crate::cut::Cut;
use crate::engine::{Counter, Engine, Running};
use crate::inputs::{Through, roots};
use crate::project::{Model, Project};
use crate::run::Runner;
use crate::windows::{BatchSize, Ranges};

/// The hours in which records are new are told by their first instants.
const HOUR_US: i64 = 3_600_000_000;

/// What was found of sources, for the models of one run that ask the same: what is new is read once.
#[derive(Debug, Default)]
pub struct Found {
    ranges: Mutex<BTreeMap<String, Ranges>>,
}

impl Found {
    fn of(&self, asked: &str) -> Option<Ranges> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner).get(asked).cloned()
    }

    fn keep(&self, asked: String, ranges: &Ranges) {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner).insert(asked, ranges.clone());
    }
}

/// When the rows of each source of `model` changed between the vectors `from` and `to`.
///
/// Errors: what reading says; bad config if a vector lacks a source.
pub async fn changes(
    runner: &Runner<'_>,
    model: &Model,
    (from, to): (&Cut, &Cut),
) -> Result<BTreeMap<TableName, Ranges>> {
    let (lake, project) = (runner.lake, runner.project);
    let mut found = BTreeMap::new();
    for (name, through) in roots(project, model) {
        let mut sources = runner.sources.iter();
        let source = sources.find(|source| source.name == name).ok_or_else(|| lacks(&name))?;
        let table = source.table.to_string();
        let (Some(from), Some(to)) = (from.get(&table), to.get(&table)) else {
            return Err(lacks(&name));
        };
        if from.reads_as(to) {
            continue;
        }
        let asked = format!("{name} {through:?} {from:?} {to:?}");
        let ranges = match runner.found.of(&asked) {
            Some(ranges) => ranges,
            None => {
                let change = Change { lake, project, source, from, to, counter: &runner.counter };
                match source.key() {
                    Some(key) => change.of_reference(key).await?,
                    None => change.of_stream(&through).await?,
                }
            }
        };
        runner.found.keep(asked, &ranges);
        found.insert(name, ranges);
    }
    Ok(found)
}

fn lacks(name: &TableName) -> CatalogError {
    CatalogError::bug(format!("{name} is read and not among what a build is made of"))
}

struct Change<'c> {
    lake: &'c Lake,
    project: &'c Project,
    source: &'c Source,
    from: &'c Root,
    to: &'c Root,
    counter: &'c Counter,
}

impl Change<'_> {
    /// Hours with new records, and those of old records of the same events, if views deduplicate.
    async fn of_stream(&self, through: &Through) -> Result<Ranges> {
        let new = Slice { from: Some(self.from), until: Some(self.to), when: None };
        let engine = self.engine(new).await?;
        let sql = format!(
            "select distinct date_trunc('hour', {time}) as at from {name}",
            time = column::EVENT_TIME,
            name = self.source.name
        );
        let hours = self.hours(&engine, &sql).await?;
        let mut all = hours.clone();
        for view in through.iter().filter_map(|name| self.project.models.get(name)) {
            all = all.with(&self.same_events(view, new, &hours).await?);
        }
        Ok(all)
    }

    /// Hours of old records of which `view` says that they are of the same event as a new one: on its day
    /// or a day beside it.
    async fn same_events(&self, view: &Model, new: Slice<'_>, hours: &Ranges) -> Result<Ranges> {
        let days = hours.windows(BatchSize::Day, 1, 1);
        let old = Slice { from: None, until: Some(self.from), when: Some(days.as_slice()) };
        let engine = self.engine(old).await?;
        for (name, slice) in [("new", new), ("old", old)] {
            let plan = self.engine(slice).await?.frame(&view.sql).await?.into_unoptimized_plan();
            engine.add(&scratch(name), Arc::new(ViewTable::new(plan, None)))?;
        }
        let identity = &view.settings.dedup;
        let same: Vec<String> =
            identity.iter().map(|name| format!("o.{name} = n.{name}")).collect();
        let sql = format!(
            "select distinct date_trunc('hour', o.{time}) as at from {old} as o inner join (select \
             distinct {identity}, date_trunc('day', {time}) as _day from {new}) as n on {same} and \
             date_trunc('day', o.{time}) between n._day - interval '1 day' and n._day + interval '1 day'",
            time = column::EVENT_TIME,
            old = scratch("old"),
            new = scratch("new"),
            identity = identity.join(", "),
            same = same.join(" and "),
        );
        self.hours(&engine, &sql).await
    }

    /// The times for which the rows that hold then are others, key by key.
    async fn of_reference(&self, key: &[String]) -> Result<Ranges> {
        let of = |root| Slice { until: Some(root), ..Slice::default() };
        let engine = self.engine(of(self.to)).await?;
        let (old, new) = (self.source.provider(of(self.from))?, self.source.provider(of(self.to))?);
        let schema = new.schema();
        let says = schema.fields().iter().map(|field| field.name().as_str());
        let differs: Vec<String> = says
            .filter(|name| ![column::LOAD, column::VALID_TO].contains(name))
            .map(|name| format!("(o.{name} is distinct from n.{name})"))
            .collect();
        engine.add(&scratch("old"), old)?;
        engine.add(&scratch("new"), new)?;
        let keys = key.join(", ");
        let [from, to] = [column::VALID_FROM, column::VALID_TO];
        let holds = |of: &str| {
            let same: Vec<String> = key.iter().map(|k| format!("{of}.{k} = s.{k}")).collect();
            format!(
                "{} and {of}.{from} <= s.at and ({of}.{to} is null or {of}.{to} > s.at)",
                same.join(" and ")
            )
        };
        let points = |of: &str| {
            let table = scratch(of);
            format!(
                "select {keys}, {from} as at from {table} union select {keys}, {to} as at from {table} \
                 where {to} is not null"
            )
        };
        let sql = format!(
            "select distinct s.at, s.until from (select {keys}, at, lead(at) over (partition by {keys} \
             order by at) as until from ({} union {}) as p) as s left join {} as o on {} left join {} as n \
             on {} where {}",
            points("old"),
            points("new"),
            scratch("old"),
            holds("o"),
            scratch("new"),
            holds("n"),
            differs.join(" or "),
        );
        Ok(Ranges::of(self.pairs(&engine, &sql).await?))
    }

    async fn hours(&self, engine: &Engine, sql: &str) -> Result<Ranges> {
        let hours =
            self.pairs(engine, &format!("select at, at as until from ({sql}) as hours")).await?;
        Ok(Ranges::of(hours.into_iter().map(|(at, _)| (at, at.saturating_add(HOUR_US)))))
    }

    /// Two columns of times, µs; a second that is null is never.
    async fn pairs(&self, engine: &Engine, sql: &str) -> Result<Vec<(i64, i64)>> {
        let (mut rows, running) = Running::start(engine.frame(sql).await?).await?;
        self.counter.watch(running);
        let mut found = Vec::new();
        while let Some(batch) = rows.try_next().await.map_err(explain)? {
            let column = |at: usize| {
                let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
                let times =
                    cast(batch.column(at), &micros).and_then(|c| cast(&c, &DataType::Int64));
                times.map_err(|e| CatalogError::bug("reading times").with_source(e))
            };
            let (first, second) = (column(0)?, column(1)?);
            let (first, second) =
                (first.as_primitive::<Int64Type>(), second.as_primitive::<Int64Type>());
            for (at, until) in first.iter().zip(second.iter()) {
                found.extend(at.map(|at| (at, until.unwrap_or(i64::MAX))));
            }
        }
        Ok(found)
    }

    /// A session in which the source has these rows.
    async fn engine(&self, slice: Slice<'_>) -> Result<Engine> {
        let providers = [(self.source.name.clone(), self.source.provider(slice)?)].into();
        let context = over(self.lake, &SessionOptions::default())?;
        Engine::open(context, &Project::default(), &BTreeMap::new(), providers).await
    }
}

fn scratch(name: &str) -> TableName {
    TableName { namespace: "changed".into(), name: name.into() }
}
