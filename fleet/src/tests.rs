//! The fleet as a whole: decoded under its contracts, the same for the same seed, and as announced.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::Value;
use weir_contract::class::RejectClass;
use weir_contract::contract::{self, Contract};
use weir_contract::decode::{self, Decoder, Outcome};
use weir_contract::privacy::HashKey;

use crate::error::FleetError;
use crate::malformed::Malformed;
use crate::road::{Hazards, Sent};
use crate::run::{self, Settings};
use crate::sink::{Record, Sink};
use crate::stream::{Kind, Stream};
use crate::truth::Truth;
use crate::world::{DAY, HOUR, tables};

/// 2026-03-02T00:00:00Z, a Monday.
const START: i64 = 1_772_409_600_000;

fn settings() -> Settings {
    Settings {
        seed: 7,
        machines: 40,
        sites: 12,
        start: START,
        duration: Some(DAY),
        rate: None,
        speed_up: None,
        trouble: 4.0,
        skewed: 0.1,
        hazards: Hazards {
            streams: Stream::ALL.to_vec(),
            malformed: BTreeMap::new(),
            duplicates: 0.002,
            reordered: 0.004,
        },
    }
}

/// The contract of a stream or a reference table.
pub fn contract(name: &str) -> Arc<Contract> {
    let file = format!("{}/../contracts/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&file).unwrap();
    let mut contract = contract::parse(&file, &text).unwrap();
    contract.hash_key = Some(HashKey::new(&[7; 32]).unwrap());
    Arc::new(contract)
}

/// A record, kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub stream: Stream,
    key: Vec<u8>,
    pub value: Option<Vec<u8>>,
    time_ms: i64,
}

#[derive(Default)]
pub struct Memory(pub Vec<Kept>);

impl Sink for Memory {
    fn put(&mut self, record: &Record<'_>) -> Result<(), FleetError> {
        self.0.push(Kept {
            stream: record.stream,
            key: record.key.into(),
            value: record.value.map(Into::into),
            time_ms: record.time_ms,
        });
        Ok(())
    }

    fn finish(&mut self) -> Result<(), FleetError> {
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Buffer(Rc<RefCell<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Ran {
    records: Vec<Kept>,
    sent: Sent,
    truth: String,
}

impl Ran {
    /// The lines of the ground truth that are about this.
    fn truth(&self, record: &str) -> Vec<Value> {
        let lines = self.truth.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["record"] == record).collect()
    }

    fn episodes(&self, what: &str) -> Vec<Value> {
        self.truth("episode").into_iter().filter(|line| line["what"] == what).collect()
    }

    /// The events of a kind, read.
    fn events(&self, kind: Kind) -> Vec<Value> {
        let values = self.records.iter().filter(|kept| kept.stream == kind.stream());
        let values = values.filter_map(|kept| serde_json::from_slice(kept.value.as_ref()?).ok());
        values.filter(|event: &Value| event["type"] == kind.name()).collect()
    }
}

fn ran(settings: &Settings) -> Ran {
    let world = run::world(settings).unwrap();
    let (mut sink, buffer) = (Memory::default(), Buffer::default());
    let truth = Truth::to(Box::new(buffer.clone()));
    let stop = AtomicBool::new(false);
    let sent = run::simulate(settings, &world, &mut sink, truth, &stop, &mut |_| {}).unwrap();
    Ran { records: sink.0, sent, truth: String::from_utf8(buffer.0.take()).unwrap() }
}

/// What the contracts make of records, in their order.
pub fn outcomes(records: &[Kept]) -> Vec<Outcome> {
    let mut decoders: BTreeMap<Stream, Decoder> = BTreeMap::new();
    let decode = |(offset, kept): (usize, &Kept)| {
        let decoder = decoders
            .entry(kept.stream)
            .or_insert_with(|| Decoder::new(contract(kept.stream.name()), "source"));
        decoder.push(&decode::Record {
            partition: 0,
            offset: offset as i64,
            timestamp_ms: Some(kept.time_ms),
            key: Some(&kept.key),
            value: kept.value.as_deref(),
            headers: &[],
        })
    };
    records.iter().enumerate().map(decode).collect()
}

#[test]
fn the_kinds_are_those_of_the_contracts() {
    for stream in Stream::ALL {
        let kinds = Kind::ALL.iter().filter(|kind| kind.stream() == *stream);
        let ours: BTreeSet<&str> = kinds.map(|kind| kind.name()).collect();
        let contract = contract(stream.name());
        assert_eq!(contract.event_types.iter().map(String::as_str).collect::<BTreeSet<_>>(), ours);
    }
}

#[test]
fn every_stream_is_accepted_under_its_contract() {
    let ran = ran(&settings());
    for (kept, outcome) in ran.records.iter().zip(outcomes(&ran.records)) {
        let text = String::from_utf8_lossy(kept.value.as_deref().unwrap_or_default());
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}: {text}");
    }
    // In the order of their Kafka times, but for what is on its way within seconds.
    let mut latest = 0;
    for kept in &ran.records {
        assert!(kept.time_ms > latest - 5_000, "{} is late after {latest}", kept.time_ms);
        latest = latest.max(kept.time_ms);
    }
    assert!(latest < START + DAY + 91_000, "{latest}");
    for stream in Stream::ALL {
        assert!(ran.sent.streams[*stream as usize] > 10, "{stream}: {:?}", ran.sent.streams);
    }
}

#[test]
fn every_member_is_a_column() {
    let ran = ran(&settings());
    for stream in Stream::ALL {
        let contract = contract(stream.name());
        let known: BTreeSet<&str> = contract
            .fields
            .iter()
            .filter(|field| field.path.object.as_deref() == Some("data"))
            .map(|field| field.path.member.as_str())
            .collect();
        for kind in Kind::ALL.iter().filter(|kind| kind.stream() == *stream) {
            for event in ran.events(*kind) {
                for member in event["data"].as_object().unwrap().keys() {
                    assert!(known.contains(member.as_str()), "{} has no {member}", stream.name());
                }
            }
        }
    }
}

#[test]
fn malformed_records_are_rejected_as_announced() {
    let mut settings = settings();
    settings.hazards.malformed = Malformed::ALL.map(|kind| (kind, 0.002)).into();
    let ran = ran(&settings);
    let mut announced: BTreeMap<String, u64> = BTreeMap::new();
    for line in ran.truth("malformed") {
        *announced.entry(line["class"].as_str().unwrap().into()).or_default() += 1;
    }
    let mut rejected: BTreeMap<String, u64> = BTreeMap::new();
    for outcome in outcomes(&ran.records) {
        if let Outcome::Rejected(class) = outcome {
            *rejected.entry(class.name().into()).or_default() += 1;
        }
    }
    assert_eq!(rejected, announced);
    assert_eq!(rejected.len(), RejectClass::ALL.len(), "{rejected:?}");
    let share = rejected.values().sum::<u64>() as f64 / ran.records.len() as f64;
    assert!((0.020..0.028).contains(&share), "{share}");
    assert_eq!(ran.sent.malformed.len(), Malformed::ALL.len());
}

#[test]
fn the_same_seed_gives_the_same_bytes_at_any_speed() {
    let mut settings = Settings { duration: Some(HOUR), ..settings() };
    settings.hazards.malformed.insert(Malformed::Clock1970, 0.01);
    let first = ran(&settings);
    let again = ran(&Settings { speed_up: Some(20_000.0), ..settings.clone() });
    assert_eq!(first.records, again.records);
    assert_eq!(first.truth, again.truth);
    let other = ran(&Settings { seed: 8, ..settings });
    assert_ne!(first.records, other.records);
}

#[test]
fn leaving_streams_out_changes_nothing_in_the_others() {
    let all = ran(&settings());
    let mut few = settings();
    few.hazards.streams = vec![Stream::Sales, Stream::Faults];
    let few = ran(&few);
    let kept =
        all.records.into_iter().filter(|r| matches!(r.stream, Stream::Sales | Stream::Faults));
    let sorted = |records: Vec<Kept>| records.into_iter().map(|r| r.value).collect::<BTreeSet<_>>();
    assert_eq!(sorted(kept.collect()), sorted(few.records));
}

#[test]
fn the_counts_of_the_truth_are_those_of_the_records() {
    let mut settings = settings();
    settings.hazards.malformed.insert(Malformed::Class(RejectClass::BadTime), 0.01);
    let ran = ran(&settings);
    let key = |event: &Value| {
        (event["subject"].as_str().unwrap().to_owned(), event["type"].as_str().unwrap().to_owned())
    };
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut codes: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    for (kept, outcome) in ran.records.iter().zip(outcomes(&ran.records)) {
        let Outcome::Accepted { .. } = outcome else { continue };
        let event: Value = serde_json::from_slice(kept.value.as_ref().unwrap()).unwrap();
        let (subject, kind) = key(&event);
        if let Some(code) = event["data"]["eva_dts_code"].as_str() {
            *codes.entry((subject.clone(), kind.clone(), code.into())).or_default() += 1;
        }
        *counts.entry((subject, kind)).or_default() += 1;
    }
    let number = |line: &Value, name: &str| line[name].as_u64().unwrap();
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    for line in ran.truth("count") {
        let told = number(&line, "records") - number(&line, "rejected");
        let found = counts.remove(&(text(&line, "subject"), text(&line, "event_type")));
        assert_eq!(found.unwrap_or(0), told, "{line}");
    }
    assert_eq!(counts, BTreeMap::new());
    for line in ran.truth("fault_count") {
        let told = number(&line, "records") - number(&line, "rejected");
        let key = (text(&line, "subject"), text(&line, "event_type"), text(&line, "eva_dts_code"));
        assert_eq!(codes.remove(&key).unwrap_or(0), told, "{line}");
    }
    assert_eq!(codes, BTreeMap::new());
    let end = &ran.truth("end")[0];
    assert_eq!(number(end, "records"), ran.records.len() as u64);
    assert_eq!(number(end, "records"), ran.sent.records);
    assert_eq!(number(end, "duplicates"), ran.sent.duplicates);
}

#[test]
fn ids_are_repeated_by_duplicates_only() {
    let ran = ran(&settings());
    let mut ids: BTreeMap<String, u64> = BTreeMap::new();
    for kept in &ran.records {
        let event: Value = serde_json::from_slice(kept.value.as_ref().unwrap()).unwrap();
        *ids.entry(event["id"].as_str().unwrap().into()).or_default() += 1;
    }
    let twice = ids.values().filter(|count| **count > 1).count() as u64;
    assert_eq!(twice, ran.sent.duplicates);
    assert!(ran.sent.duplicates > 10 && ran.sent.reordered > 10, "{:?}", ran.sent);
    assert!(ids.keys().all(|id| uuid::Uuid::parse_str(id).unwrap().get_version_num() == 7));
}

/// A week in which everything happens.
fn week() -> Ran {
    ran(&Settings {
        machines: 60,
        duration: Some(8 * DAY),
        trouble: 6.0,
        rate: Some(0.55),
        ..settings()
    })
}

fn ms(value: &Value) -> i64 {
    chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap().timestamp_millis()
}

#[test]
fn a_week_has_every_kind_of_event_and_trouble() {
    let ran = week();
    let kinds: BTreeSet<String> =
        ran.truth("count").iter().map(|line| line["event_type"].as_str().unwrap().into()).collect();
    for kind in Kind::ALL {
        // Drawers are almost never short of cash.
        assert!(kinds.contains(kind.name()) || *kind == Kind::CashAdded, "no {}", kind.name());
    }
    for what in [
        "cooling_failure",
        "motor_jam",
        "payment_device",
        "delivery_sensor",
        "crash",
        "door_forced",
        "door_without_visit",
        "theft",
        "shaken",
        "firmware_tampered",
        "modem_dead",
        "power_cut",
        "sold_out",
        "visit",
        "update",
        "payment_failures",
        "clock_skew",
        "trade_breach",
        "trade_burst",
        "till_fault",
        "cash_difference",
    ] {
        assert!(!ran.episodes(what).is_empty(), "no {what}");
    }
    let outcomes: BTreeSet<String> =
        ran.episodes("update").iter().map(|e| e["outcome"].as_str().unwrap().into()).collect();
    assert!(["succeeded", "failed", "rolled_back"].iter().all(|o| outcomes.contains(*o)));
    cooling(&ran);
    sold_out(&ran);
    silence(&ran);
    theft(&ran);
}

/// Without its compressor a compartment only gets warmer, raises its fault, and clears it once mended.
fn cooling(ran: &Ran) {
    let heartbeats = ran.events(Kind::Heartbeat);
    let faults = [ran.events(Kind::Raised), ran.events(Kind::Cleared)].concat();
    let mut resolved = 0;
    for episode in ran.episodes("cooling_failure") {
        let (from, machine) = (ms(&episode["from"]), &episode["subject"]);
        let Some(noticed) = episode["noticed_at"].as_str() else { continue };
        let noticed = ms(&Value::from(noticed));
        let mut warm: Vec<(i64, f64)> = heartbeats
            .iter()
            .filter(|event| event["subject"] == *machine)
            .filter_map(|event| {
                Some((ms(&event["time"]), event["data"]["refrigeration_temperature_c"].as_f64()?))
            })
            .filter(|(at, _)| (from..noticed).contains(at))
            .collect();
        warm.sort_by_key(|(at, _)| *at);
        for pair in warm.windows(2) {
            // But for the sensor's noise.
            assert!(pair[1].1 > pair[0].1 - 0.7, "{machine}: {warm:?}");
        }
        let Some(until) = episode["until"].as_str() else { continue };
        let until = ms(&Value::from(until));
        let of = |kind: &str| {
            faults.iter().filter(|f| f["subject"] == *machine && f["type"] == kind).any(|f| {
                f["data"]["fault"] == "cooling" && (from..=until + HOUR).contains(&ms(&f["time"]))
            })
        };
        // Skewed clocks may say otherwise by minutes.
        assert!(of("vending.faults.raised") && of("vending.faults.cleared"), "{episode}");
        resolved += 1;
    }
    assert!(resolved > 3);
}

/// Nothing is sold of what is sold out.
fn sold_out(ran: &Ran) {
    let vends = ran.events(Kind::Vend);
    let skewed: Vec<Value> =
        ran.episodes("clock_skew").iter().map(|e| e["subject"].clone()).collect();
    let mut checked = 0;
    for episode in ran.episodes("sold_out") {
        if skewed.contains(&episode["subject"]) {
            continue;
        }
        let until = episode["until"].as_str().map_or(i64::MAX, |_| ms(&episode["until"]));
        let sold = vends.iter().find(|vend| {
            vend["subject"] == episode["subject"]
                && vend["data"]["selection"] == episode["selection"]
                && vend["data"]["vend_mode"] == "paid"
                && vend["data"]["vend_outcome"] == "succeeded"
                && (ms(&episode["from"]) + 1..until).contains(&ms(&vend["time"]))
        });
        assert_eq!(sold, None, "{episode}");
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
}

/// A dead modem lets nothing through, and then all of it, late.
fn silence(ran: &Ran) {
    let mut times: BTreeMap<&[u8], Vec<i64>> = BTreeMap::new();
    for kept in &ran.records {
        times.entry(&kept.key).or_default().push(kept.time_ms);
    }
    let mut late = 0;
    for episode in ran.episodes("modem_dead") {
        let Some(until) = episode["until"].as_str() else { continue };
        let (from, until) = (ms(&episode["from"]), ms(&Value::from(until)));
        let key = episode["subject"].as_str().unwrap().as_bytes();
        // What was under way, or held up on the road, may still arrive.
        let silent = from + 91_000..until;
        assert!(!times[key].iter().any(|time| silent.contains(time)), "{episode}");
        late += episode["late_events"].as_u64().unwrap();
    }
    assert!(late > 100, "{late}");
}

/// A stolen machine tells of its way.
fn theft(ran: &Ran) {
    let moved = ran.events(Kind::Moved);
    assert!(moved.len() > 20, "{}", moved.len());
    let farthest =
        moved.iter().map(|e| e["data"]["distance_m"].as_f64().unwrap()).fold(0.0, f64::max);
    assert!((5_000.0..60_000.0).contains(&farthest), "{farthest}");
}

#[test]
fn the_rate_is_about_what_was_asked_for() {
    let asked = Settings { rate: Some(8.0), trouble: 1.0, duration: Some(4 * DAY), ..settings() };
    let rate = ran(&asked).sent.records as f64 / (4.0 * 86_400.0);
    assert!((7.2..8.8).contains(&rate), "{rate}");
    let error = run::world(&Settings { rate: Some(1e6), ..settings() }).unwrap_err();
    assert!(error.message.contains("40 machines make"), "{error}");
}

#[test]
fn wrong_settings_are_told_at_once() {
    let wrong = Settings { machines: 0, sites: 0, trouble: -1.0, duration: None, ..settings() };
    let error = run::world(&wrong).unwrap_err();
    for word in ["machines", "sites", "trouble", "duration"] {
        assert!(error.message.contains(word), "{error}");
    }
}

#[test]
fn a_stop_ends_a_run_that_would_last_for_ever() {
    let settings = Settings { duration: None, speed_up: Some(3600.0), ..settings() };
    let world = run::world(&settings).unwrap();
    let stop = AtomicBool::new(false);
    let mut sink = Memory::default();
    let stopping = &stop;
    let sent = run::simulate(&settings, &world, &mut sink, Truth::none(), stopping, &mut |_| {
        stopping.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(sent.unwrap().records, sink.0.len() as u64);
}

#[test]
fn the_tables_fit_their_contracts_and_the_events() {
    let settings = settings();
    let world = run::world(&settings).unwrap();
    let folder = tempfile::tempdir().unwrap();
    tables::write(&world, folder.path()).unwrap();
    let read = |file: &str| {
        let mut reader = csv::Reader::from_path(folder.path().join(file)).unwrap();
        let rows: Vec<BTreeMap<String, String>> =
            reader.deserialize().collect::<Result<_, _>>().unwrap();
        rows
    };
    for table in ["sites", "products", "machines", "planogram", "accounts"] {
        let rows = read(&format!("{table}.csv"));
        assert!(rows.len() > 10, "{table}");
        let contract = contract(&format!("ref.{table}"));
        for field in &contract.fields {
            let required = field.required == contract::Requirement::Always;
            let filled = rows.iter().all(|row| row.get(&field.name).is_some_and(|v| !v.is_empty()));
            assert!(filled || !required, "{table}.{}", field.name);
        }
        let known = |name: &String| contract.fields.iter().any(|field| field.name == *name);
        assert!(rows[0].keys().all(known), "{table}: {:?}", rows[0]);
    }
    let column = |file: &str, name: &str| -> BTreeSet<String> {
        read(file).into_iter().map(|mut row| row.remove(name).unwrap()).collect()
    };
    let prices: BTreeSet<String> = read("planogram.csv")
        .into_iter()
        .map(|row| format!("{} {} {}", row["machine_id"], row["selection"], row["price"]))
        .collect();
    let machines = column("machines.csv", "machine_id");
    let accounts = column("accounts.csv", "account_id");
    let ran = ran(&settings);
    for event in ran.events(Kind::Vend) {
        assert!(machines.contains(event["subject"].as_str().unwrap()));
        let price = event["data"]["price"].as_f64().unwrap();
        let selection = event["data"]["selection"].as_str().unwrap();
        let line = format!("{} {selection} {price:.2}", event["subject"].as_str().unwrap());
        assert!(prices.contains(&line), "{line}");
    }
    for event in ran.events(Kind::Trade) {
        assert!(accounts.contains(event["subject"].as_str().unwrap()));
    }
}
