//! Which live files may hold given offsets: decided from what manifests say of them, so that no data
//! file is opened in vain and a table of any size is never read as a whole.

use std::collections::HashMap;

use iceberg::scan::FileScanTaskDeleteFile;
use iceberg::spec::{
    DataFile, Datum, ManifestContentType, ManifestFile, PartitionSpec, PrimitiveLiteral,
    PrimitiveType, Schema, Type,
};
use weir_contract::names::column;

use crate::manifests::manifests_of;
use crate::scan::plan::{self, LiveFile};
use crate::schema::division_of;
use crate::{Base, Lake, Result};

const DAY_US: i64 = 86_400_000_000;

/// The rows that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sought {
    /// Of this Kafka partition; none: of all.
    pub partition: Option<i32>,
    /// From this offset on.
    pub from: i64,
    /// Before this offset.
    pub until: i64,
    /// Rejected rows only.
    pub rejected: bool,
}

impl Sought {
    /// Every row.
    pub const ALL: Sought = Sought { partition: None, from: 0, until: i64::MAX, rejected: false };
}

/// A live data file, and the delete files of other engines that apply to it.
#[derive(Debug, Clone)]
pub struct Found {
    pub(crate) file: LiveFile,
    pub(crate) deletes: Vec<FileScanTaskDeleteFile>,
}

impl Found {
    /// Its location, as the manifest has it.
    pub fn path(&self) -> &str {
        self.file.path()
    }

    /// Its rows, deleted ones included.
    pub fn rows(&self) -> u64 {
        self.file.entry.record_count()
    }

    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        self.file.entry.file_size_in_bytes()
    }

    /// Whether nobody deleted rows of it.
    pub fn is_whole(&self) -> bool {
        self.deletes.is_empty()
    }

    /// Its data sequence number; 0 where a table of format v1 had none.
    pub(crate) fn sequence(&self) -> i64 {
        self.file.entry.sequence_number().unwrap_or(0)
    }

    /// The greatest value of a whole-numbered or timestamp column, if the manifest has it.
    pub(crate) fn greatest(&self, schema: &Schema, column: &str) -> Option<i64> {
        let id = schema.field_id_by_name(column)?;
        self.file.entry.data_file().upper_bounds().get(&id).and_then(whole)
    }

    /// The least value, likewise.
    pub(crate) fn least(&self, schema: &Schema, column: &str) -> Option<i64> {
        let id = schema.field_id_by_name(column)?;
        self.file.entry.data_file().lower_bounds().get(&id).and_then(whole)
    }

    /// The least and the greatest time in a column of times or dates, µs; none where that is not known. Of
    /// dates it is the first instant of the least and the last of the greatest.
    pub fn times(&self, base: &Base, column: &str) -> (Option<i64>, Option<i64>) {
        let schema = base.metadata().current_schema();
        let kind = schema.field_by_name(column).map(|field| &*field.field_type);
        let (least, greatest) = (self.least(schema, column), self.greatest(schema, column));
        if kind != Some(&Type::Primitive(PrimitiveType::Date)) {
            return (least, greatest);
        }
        let first = |day: i64| day.saturating_mul(DAY_US);
        (least.map(first), greatest.map(|day| first(day).saturating_add(DAY_US - 1)))
    }

    /// What readers see of it: the file less its deletes.
    fn view(&self) -> (&str, Vec<&str>) {
        let mut deletes: Vec<&str> = self.deletes.iter().map(|d| d.file_path.as_str()).collect();
        deletes.sort_unstable();
        (self.path(), deletes)
    }
}

/// The files of the current snapshot that may hold rows that are sought, in the order of manifests.
///
/// Errors: bad data naming what is missing or damaged; what the storage says.
pub async fn files(lake: &Lake, base: &Base, sought: &Sought) -> Result<Vec<Found>> {
    let metadata = base.metadata();
    let Some(snapshot) = metadata.current_snapshot() else { return Ok(Vec::new()) };
    let manifests = manifests_of(lake, metadata, snapshot).await?;
    let mut deletes = plan::deletes(lake, base, snapshot, &manifests).await?;
    let spec = |id: i32| metadata.partition_spec_by_id(id).map(|spec| &**spec);
    let schema = metadata.current_schema();
    let data = manifests.into_iter().filter(|m| m.content == ManifestContentType::Data);
    let data = data.filter(|m| {
        !sought.rejected
            || spec(m.partition_spec_id).is_none_or(|spec| may_hold_rejects(m, spec, schema))
    });
    let mut found = Vec::new();
    for file in plan::data_files(&lake.io, data.collect()).await? {
        if may_hold(file.entry.data_file(), spec(file.spec_id), schema, sought) {
            let deletes = deletes.remove(file.path()).unwrap_or_default();
            found.push(Found { file, deletes });
        }
    }
    Ok(found)
}

/// Whether all of `found` are still live on `base`, with the same deletes: then what was read of
/// them is still what the table says.
pub async fn still_stand(lake: &Lake, base: &Base, found: &[Found]) -> Result<bool> {
    Ok(which_stand(lake, base, &[found]).await? == [true])
}

/// The same of several groups.
pub async fn which_stand(lake: &Lake, base: &Base, groups: &[&[Found]]) -> Result<Vec<bool>> {
    let now = files(lake, base, &Sought::ALL).await?;
    let now: HashMap<&str, Vec<&str>> = now.iter().map(Found::view).collect();
    let stands = |found: &Found| {
        let (path, deletes) = found.view();
        now.get(path) == Some(&deletes)
    };
    Ok(groups.iter().map(|group| group.iter().all(stands)).collect())
}

/// Where the day or month of the event's time stands in a partition spec.
fn time_field(spec: &PartitionSpec, schema: &Schema) -> Option<usize> {
    spec.fields().iter().position(|field| division_of(field, schema).is_some())
}

/// Rejected rows have no event time: they stand in the null partition.
fn may_hold_rejects(manifest: &ManifestFile, spec: &PartitionSpec, schema: &Schema) -> bool {
    let summary = time_field(spec, schema).and_then(|at| manifest.partitions.as_ref()?.get(at));
    summary.is_none_or(|summary| summary.contains_null)
}

fn may_hold(
    file: &DataFile,
    spec: Option<&PartitionSpec>,
    schema: &Schema,
    sought: &Sought,
) -> bool {
    let id = |name: &str| schema.field_id_by_name(name);
    if sought.rejected {
        let time = spec.and_then(|spec| time_field(spec, schema));
        if time.is_some_and(|at| {
            at < file.partition().fields().len() && file.partition()[at].is_some()
        }) {
            return false;
        }
        let class = id(&format!("{}.{}", column::ERROR, column::ERROR_MEMBERS[0]));
        if class.and_then(|id| file.null_value_counts().get(&id)) == Some(&file.record_count()) {
            return false;
        }
    }
    let bound = |bounds: &HashMap<i32, Datum>, name: &str| bounds.get(&id(name)?).and_then(whole);
    let meets = |name: &str, least: i64, greatest: i64| {
        bound(file.lower_bounds(), name).is_none_or(|lower| lower <= greatest)
            && bound(file.upper_bounds(), name).is_none_or(|upper| upper >= least)
    };
    sought.partition.is_none_or(|p| meets(column::PARTITION, p.into(), p.into()))
        && meets(column::OFFSET, sought.from, sought.until.saturating_sub(1))
}

/// A bound of a whole-numbered column, of a date in days or of a time in µs.
pub(crate) fn whole(datum: &Datum) -> Option<i64> {
    match datum.literal() {
        PrimitiveLiteral::Int(n) => Some(i64::from(*n)),
        PrimitiveLiteral::Long(n) => Some(*n),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foreign::{self, current, ingest, lake};

    async fn found(lake: &Lake, sought: Sought) -> usize {
        files(lake, &current(lake).await, &sought).await.unwrap().len()
    }

    #[tokio::test]
    async fn files_are_skipped_by_partition_offset_and_day() {
        let (_folder, lake, _) = lake().await;
        ingest(&lake, 0, 0, 10, &[3, 4], &[]).await;
        ingest(&lake, 0, 10, 20, &[], &[]).await;
        ingest(&lake, 1, 0, 10, &[9], &[]).await;
        assert_eq!(found(&lake, Sought::ALL).await, 5);
        assert_eq!(found(&lake, Sought { partition: Some(0), ..Sought::ALL }).await, 3);
        assert_eq!(found(&lake, Sought { rejected: true, ..Sought::ALL }).await, 2);
        let one = Sought { partition: Some(0), from: 12, until: 13, rejected: false };
        assert_eq!(found(&lake, one).await, 1);
        assert_eq!(found(&lake, Sought { from: 3, until: 4, ..one }).await, 2);
        assert_eq!(found(&lake, Sought { from: 3, until: 4, rejected: true, ..one }).await, 1);
        assert_eq!(found(&lake, Sought { from: 20, until: 21, ..one }).await, 0);
    }

    #[tokio::test]
    async fn files_stand_until_they_are_rewritten_or_lose_rows() {
        let (_folder, lake, _) = lake().await;
        ingest(&lake, 0, 0, 10, &[], &[]).await;
        ingest(&lake, 0, 10, 20, &[], &[]).await;
        let seen = files(&lake, &current(&lake).await, &Sought::ALL).await.unwrap();
        ingest(&lake, 0, 20, 30, &[], &[]).await;
        assert!(still_stand(&lake, &current(&lake).await, &seen).await.unwrap());
        foreign::delete_positions(&lake, seen[0].path(), &[1]).await;
        assert!(!still_stand(&lake, &current(&lake).await, &seen).await.unwrap());
    }
}
