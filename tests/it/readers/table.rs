//! A lake with a column of every type, made by the library: no Kafka, small row groups, several days.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use weir_catalog::commit::{Change, Committed, Decision, Receipt, commit};
use weir_catalog::encode::ParquetFormat;
use weir_catalog::{Base, Lake, LakeOptions};
use weir_contract::contract::{self, Contract};
use weir_contract::decode::{Decoder, Record};
use weir_contract::names::{SourceId, TableName};
use weir_contract::progress::{Progress, Step, Steps, Verdict};
use weir_ingest::writer::DayWriter;

/// The table.
pub const TABLE: &str = "raw.all_types";
/// Rows of a row group.
pub const GROUP_ROWS: usize = 64;
/// Records of a commit.
pub const RECORDS: i64 = 400;
/// 2026-11-20T20:00:00Z: with the hours that events are apart, a commit has rows of several days.
const FIRST_MS: i64 = 1_795_204_800_000;

/// A folder with a lake and the config for it.
pub struct AllTypes {
    folder: tempfile::TempDir,
}

impl AllTypes {
    /// A lake whose table has so many commits.
    pub fn new(commits: i64) -> Result<AllTypes> {
        let table = AllTypes { folder: tempfile::Builder::new().prefix("weir-types-").tempdir()? };
        let config = format!(
            "warehouse = \"lake\"\n\n[catalog]\nuri = \"sqlite:///{}\"\n",
            table.catalog().display()
        );
        std::fs::write(table.config(), config)?;
        tokio::runtime::Runtime::new()?.block_on(table.fill(commits))?;
        Ok(table)
    }

    /// The config file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("weir.toml")
    }

    /// The catalog's database.
    pub fn catalog(&self) -> PathBuf {
        self.folder.path().join("catalog.db")
    }

    /// The folder of the table's data files.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("lake/raw/all_types/data")
    }

    async fn fill(&self, commits: i64) -> Result<()> {
        let mut lake = open(&self.folder.path().join("lake"), &self.catalog())?;
        lake.format = Arc::new(ParquetFormat::with_group_rows(GROUP_ROWS));
        let mut filler = Filler::new()?;
        let mut base = filler.table(&lake).await?;
        for number in 0..commits {
            base = filler.commit(&lake, base, 0, number).await?.base;
        }
        Ok(())
    }
}

/// Makes the table's rows in any lake, as one writer.
pub struct Filler {
    contract: Arc<Contract>,
    source: SourceId,
    decoder: Decoder,
}

impl Filler {
    /// A writer.
    pub fn new() -> Result<Filler> {
        let Ok(contract) = contract::parse("all_types.yaml", include_str!("all_types.yaml")) else {
            bail!("all_types.yaml is broken");
        };
        let contract = Arc::new(contract);
        let source =
            SourceId { cluster: "c".into(), topic: "all.types".into(), topic_id: "t".into() };
        let decoder = Decoder::new(contract.clone(), &source.short());
        Ok(Filler { contract, source, decoder })
    }

    /// The table, made where it is missing.
    pub async fn table(&self, lake: &Lake) -> Result<Base> {
        Ok(lake.ensure_raw(&self.contract, &TableName::raw("all.types")).await?)
    }

    /// Commit `number` of a partition: its [`RECORDS`].
    pub async fn commit(
        &mut self,
        lake: &Lake,
        base: Base,
        partition: i32,
        number: i64,
    ) -> Result<Receipt> {
        let mut writer = DayWriter::new(lake.format.clone(), base.schema()?);
        let from = number * RECORDS;
        for offset in from..from + RECORDS {
            push(&mut self.decoder, partition, offset);
        }
        let chunk = self.decoder.finish((FIRST_MS + from) * 1000);
        let rejected = chunk.rejected as i64;
        writer.write(chunk)?;
        let mut added = Vec::new();
        for file in writer.finish()? {
            added.push(lake.put_data_file(&base, file).await?);
        }
        let rows = RECORDS - rejected;
        let step = Step { until: from + RECORDS, rows, rejected, ..Step::at(from) };
        let partitions = BTreeMap::from([(partition, step)]);
        let steps = Steps::from([(self.source.to_string(), partitions)]);
        let commit_id = format!("p{partition}c{number}");
        let change = Change { commit_id, stage: "ingest", added, ..Change::default() };
        commit_once(lake, base, &change, &steps).await
    }
}

fn open(warehouse: &Path, catalog: &Path) -> Result<Lake> {
    Ok(Lake::open_local(warehouse, catalog, "weir", LakeOptions::default())?)
}

async fn commit_once(lake: &Lake, base: Base, change: &Change, steps: &Steps) -> Result<Receipt> {
    let mut decide =
        |_: &Base, progress: &Progress| match progress.advance(&change.commit_id, steps) {
            Verdict::Apply(next) => Decision::Advance(next),
            other => Decision::Decline(format!("{other:?}")),
        };
    match commit(lake, base, change, &mut decide).await? {
        Committed::Done(receipt) => Ok(receipt),
        Committed::Declined(why) => bail!("a commit was declined: {why}"),
    }
}

/// Each 25th record is broken; each third has a key, each fifth a trace.
fn push(decoder: &mut Decoder, partition: i32, offset: i64) {
    let value = match offset % 25 {
        24 => format!("{{\"type\":\"test.one\",\"broken\":{offset}").into_bytes(),
        _ => event(offset).into_bytes(),
    };
    let key = format!("key-{}", offset % 10);
    let trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".as_slice();
    let headers = [("traceparent", Some(trace)), ("empty", None)];
    decoder.push(&Record {
        partition,
        offset,
        timestamp_ms: Some(FIRST_MS + 30 * 86_400_000),
        key: (offset % 3 == 0).then_some(key.as_bytes()),
        value: (offset % 50 != 49).then_some(&value),
        headers: if offset % 5 == 0 { &headers } else { &[] },
    });
}

/// An event whose members change at different paces, and are null at different offsets.
fn event(offset: i64) -> String {
    let commit = offset / RECORDS;
    let time = chrono::DateTime::from_timestamp_millis(FIRST_MS + offset % 9 * 3_600_000 + offset);
    let time = time.unwrap_or_default().format("%Y-%m-%dT%H:%M:%S%.6fZ");
    let one = if offset % 2 == 0 { "one" } else { "two" };
    let mut members = vec![
        format!(r#""event_id":"event {offset:06}""#),
        format!(r#""event_type":"test.{one}""#),
        format!(r#""event_time":"{time}""#),
    ];
    let values = [
        ("text", text(offset)),
        ("long_text", long_text(offset)),
        ("flag", (offset % 3 == 0).to_string()),
        ("small", pick(offset, &["-2147483648", "2147483647", "0"], offset * 7 - 1000)),
        ("large", pick(offset, &["-9223372036854775808", "9223372036854775807"], offset << 33)),
        (
            "real",
            pick(offset, &["0", "-0.0", "1e300", "-1e300", "5e-324", "0.1"], offset * 3 - 500),
        ),
        ("money", pick(offset, &["-99999999999999.9999", "12345678901234.5678"], offset)),
        ("cents", pick(offset, &["-0.01", "9999999.99"], offset - 700)),
        ("huge", pick(offset, &["-1234567890123456789012345678.0123456789"], offset * 1_000_003)),
        ("moment", format!(r#""{}""#, moment(offset))),
        ("day", format!(r#""{:04}-{:02}-{:02}""#, 1950 + offset % 130, offset % 12 + 1, 28)),
        ("nested", format!(r#"{{"a": [1, {{"b": "é{offset}"}}],"c":null}}"#)),
        ("list", format!(r#"["x", {offset} ]"#)),
    ];
    for (i, (name, value)) in values.into_iter().enumerate() {
        if offset % 11 != i as i64 % 11 {
            members.push(format!(r#""{name}":{value}"#));
        }
    }
    // Null in every second commit, and never set in any.
    if commit % 2 == 1 {
        members.push(format!(r#""seldom":{}"#, offset * offset));
    }
    format!(r#"{{"data":{{{}}},"more":{{"unknown":{offset}}}}}"#, members.join(","))
}

/// One of the extremes now and then, else the value.
fn pick(offset: i64, extremes: &[&str], value: i64) -> String {
    let extreme = usize::try_from(offset / 7).unwrap_or_default() % extremes.len();
    if offset % 7 == 3 { extremes[extreme].into() } else { value.to_string() }
}

/// Before 1970 and after, the first and the last that can be written, up to the microsecond.
fn moment(offset: i64) -> String {
    match offset % 100 {
        50 => return "0001-01-01T00:00:00Z".into(),
        99 => return "9999-12-31T23:59:59.999999Z".into(),
        _ => {}
    }
    let (year, micro) = (1900 + offset * 7 % 300, offset * 997 % 1_000_000);
    format!("{year}-0{}-15T0{}:30:00.{micro:06}+02:00", offset % 9 + 1, offset % 10)
}

/// Short strings, some of which sort differently by bytes and by UTF-16, or need quoting.
fn text(offset: i64) -> String {
    let odd =
        ["", "o'clock", "%_\\", "日本語", "😀 emoji", "\u{E000}", "\u{D7FF}x", "\u{FFFD}", "ä\0ö"];
    let odd = odd[usize::try_from(offset).unwrap_or_default() % odd.len()];
    serde_json::Value::from(match offset % 4 {
        0 => odd.to_string(),
        _ => format!("c{} {odd}{offset}", offset / RECORDS),
    })
    .to_string()
}

/// Strings of more than 64 bytes that differ only behind the 64th, and some without an upper bound.
fn long_text(offset: i64) -> String {
    let beginning = match offset / RECORDS % 3 {
        0 => "ä".repeat(40),
        1 => "日本語の長い文字列".repeat(6),
        _ if offset % 13 == 0 => "\u{10FFFF}".repeat(20),
        _ => "plain ascii, longer than any bound that is kept of it. ".repeat(3),
    };
    format!(r#""{beginning}{:03}""#, offset % 97)
}
