//! Personal data on its way through the real binary, and a draft of what a topic holds.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use weir_tests::lab::{Done, Lab, done, repository};
use weir_tests::stack::Message;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "ann@example.org";

/// A lab with the stream `store.sales`, whose contract hashes and drops.
fn lab(more: &str) -> Result<(Lab, String)> {
    let lab = Lab::new("personal", 1)?;
    let topic = format!("{}-sales", lab.topic);
    lab.client()?.create_topic(&topic, 1, &[])?;
    let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/../contracts/store.sales.yaml");
    lab.write_config(&format!(
        "[streams.\"store.sales\"]\ntopic = \"{topic}\"\ncontract = \"{contract}\"\n{more}"
    ))?;
    Ok((lab, topic))
}

fn sale(receipt: &str, line: &str) -> String {
    let now = chrono::Utc::now().to_rfc3339();
    format!(
        r#"{{"specversion":"1.0","id":"{receipt}","source":"/stores/st-1","type":"store.sales.sale",
        "subject":"till-1","time":"{now}","data":{{"store_id":"st-1","receipt_id":"{receipt}",
        "line_number":{line},"loyalty_id":"{SECRET}","receipt_email":"{SECRET}","product_id":"p-1",
        "quantity":2,"unit_price":1.50,"amount":3.00,"currency":"EUR","payment_method":"card"}}}}"#
    )
}

fn send(lab: &Lab, topic: &str, values: &[String]) -> Result<()> {
    let producer = lab.client()?.producer()?;
    for value in values {
        let value = Some(value.as_bytes());
        producer.send(topic, &Message { partition: Some(0), value, ..Message::default() })?;
    }
    producer.flush()
}

#[test]
fn what_a_contract_hashes_or_drops_is_in_no_column() -> Result<()> {
    let (lab, topic) = lab("[privacy]\nhash_key = \"env:WEIR_TEST_HASH_KEY\"\n")?;
    let broken = sale("r3", "1").replace("\"quantity\"", "quantity");
    send(&lab, &topic, &[sale("r1", "1"), sale("r2", "\"x\""), broken])?;
    let arguments = ["ingest", "--until-latest", "--stream", "store.sales"];
    let ingested = lab.command(&arguments).env("WEIR_TEST_HASH_KEY", KEY).output()?;
    assert!(ingested.status.success(), "{}", String::from_utf8_lossy(&ingested.stderr));
    let sql = "SELECT *, CAST(_value AS varchar) AS kept FROM raw.store_sales ORDER BY _offset";
    let done = lab.weir(&["--output", "json", "query", sql])?;
    let rows: Vec<serde_json::Value> =
        done.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(rows.len(), 3, "{done:#?}");
    assert!(!done.stdout.contains(SECRET), "{done:#?}");
    // HMAC-SHA-256 of the address under the key, by another implementation.
    let hash = "hmac-sha256:07efee657b59073c3565c11a893c9931d20b667e29f4824bcf0b3f206da46319";
    assert_eq!(rows[0]["loyalty_id"], hash);
    assert!(rows[0].get("receipt_email").is_none());
    assert_eq!(rows[1]["_error"]["field"], "data.line_number");
    let kept = rows[1]["kept"].as_str().unwrap_or_default();
    assert!(kept.contains(hash) && kept.contains(r#""receipt_email":null"#), "{kept}");
    assert_eq!(rows[2]["_error"]["class"], "not_json");
    assert!(rows[2]["kept"].is_null(), "{done:#?}");
    Ok(())
}

/// What the contract of a lab that redrives does not know at first.
const VOUCHER: &str = "          - {value: voucher}\n";
/// It stands in every record and may be stored.
const RECEIPT: &str = "receipt-of-somebody";

/// Gives the stream a contract of its own, which hashes the Kafka key too.
fn write_contract(lab: &Lab, topic: &str, vouchers: bool) -> Result<()> {
    let text = std::fs::read_to_string(repository().join("contracts/store.sales.yaml"))?;
    ensure!(text.contains(VOUCHER));
    let text = if vouchers { text } else { text.replacen(VOUCHER, "", 1) };
    let file = lab.path().join("store.sales.yaml");
    std::fs::write(&file, text + "  - {property: weir.keyPolicy, value: hash}\n")?;
    lab.write_config(&format!(
        "[streams.\"store.sales\"]\ntopic = \"{topic}\"\ncontract = \"{}\"\n\
         [privacy]\nhash_key = \"env:WEIR_TEST_HASH_KEY\"\n",
        file.display()
    ))
}

/// Everything that stands in the files of a folder: their bytes, and of data files the values.
fn contents(folder: &Path, all: &mut String) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            contents(&path, all)?;
            continue;
        }
        all.push_str(&String::from_utf8_lossy(&std::fs::read(&path)?));
        if path.extension().is_some_and(|extension| extension == "parquet") {
            let file = std::fs::File::open(&path)?;
            for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
                all.push_str(&arrow::util::pretty::pretty_format_batches(&[batch?])?.to_string());
            }
        }
    }
    Ok(())
}

/// As binary columns are shown.
fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_redriven_row_is_hashed_as_an_accepted_one() -> Result<()> {
    let (lab, topic) = lab("")?;
    write_contract(&lab, &topic, false)?;
    let sale = |line: &str| sale(RECEIPT, line);
    let voucher = sale("1").replace("card", "voucher");
    let values = [
        sale("1"),
        voucher.clone(),
        voucher.replace(SECRET, "ann\\u0040example.org"),
        voucher.replace(&format!("\"{SECRET}\",\"product"), &format!("[\"{SECRET}\"],\"product")),
        // What no contract accepts, or nobody can read to its end.
        voucher.replace(&format!("\"loyalty_id\":\"{SECRET}\""), "\"loyalty_id\":7"),
        sale("1").replace("\"quantity\"", "quantity"),
        sale("1").replace("EUR", &"EUR".repeat(30_000)),
    ];
    let producer = lab.client()?.producer()?;
    let records = values.iter().map(|value| Some(value.as_bytes())).chain([None]);
    for value in records {
        let headers: &[(&str, Option<&[u8]>)] = &[("customer", Some(SECRET.as_bytes()))];
        let key = Some(SECRET.as_bytes());
        producer.send(&topic, &Message { key, value, headers, ..Message::default() })?;
    }
    producer.flush()?;
    let weir = |arguments: &[&str]| -> Result<Done> {
        let output = lab.command(arguments).env("WEIR_TEST_HASH_KEY", KEY).output()?;
        done(output).expect(0)
    };
    weir(&["ingest", "--until-latest", "--stream", "store.sales"])?;
    let rejects = weir(&["rejects", "--stream", "store.sales", "--samples", "9"])?;
    write_contract(&lab, &topic, true)?;
    let keyless = lab.weir(&["redrive", "--stream", "store.sales"])?.expect(2)?;
    keyless.says(&["WEIR_TEST_HASH_KEY"])?;
    let redriven = weir(&["--result-json", "redrive", "--stream", "store.sales"])?;
    let report = redriven.result()?["streams"]["store.sales"].clone();
    ensure!(
        report["selected"] == 7 && report["accepted"] == json!({"out_of_range": 3}),
        "{report}"
    );
    let refused = json!({"not_json": 1, "null_value": 1, "too_large": 1, "wrong_type": 1});
    ensure!(report["refused"] == refused, "{report}");
    weir(&["verify", "raw.store_sales"])?;

    let sql = "SELECT * FROM raw.store_sales WHERE _error IS NULL ORDER BY _offset";
    let rows = weir(&["--output", "json", "query", sql])?;
    let said = [&rejects, &redriven, &rows].map(|done| format!("{}{}", done.stdout, done.stderr));
    let rows: Vec<Value> =
        rows.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(rows.len() == 4, "{rows:#?}");
    for row in &rows[1..] {
        let own = |name: &str| matches!(name, "_offset" | "_rev" | "_ingested_at" | "_kafka_time");
        for (name, value) in row.as_object().context("a row")? {
            let same = *value == rows[0][name] || own(name) || name == "event_time";
            ensure!(same || name == "payment_method", "{name}: {value}, not {}", rows[0][name]);
        }
    }
    // Nothing but the hash is anywhere, neither now nor in the files of before the redrive; what may be
    // stored is found by the same search.
    let mut all = said.concat();
    contents(lab.path(), &mut all)?;
    for secret in [SECRET, "ann\\u0040"] {
        ensure!(!all.contains(secret) && !all.contains(&hex(secret)), "{secret} is in the lake");
    }
    ensure!(all.contains(RECEIPT) && all.contains(&hex(RECEIPT)), "the search finds nothing");
    Ok(())
}

#[test]
fn a_contract_that_hashes_is_not_ingested_without_a_key() -> Result<()> {
    let (lab, _) = lab("")?;
    let ingest = ["ingest", "--until-latest", "--stream", "store.sales"];
    let done = lab.weir(&ingest)?;
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert!(done.stderr.contains("privacy.hash_key"), "{done:#?}");
    lab.write_config("[privacy]\nhash_key = \"in the open\"\n")?;
    let done = lab.weir(&["tables"])?;
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert!(done.stderr.contains("by reference only"), "{done:#?}");
    assert!(!done.stderr.contains("in the open"), "{done:#?}");
    Ok(())
}

#[test]
fn a_draft_of_a_topic_passes_its_check() -> Result<()> {
    let (lab, topic) = lab("")?;
    let done = lab.weir(&["contracts", "infer", &topic])?;
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert!(done.stderr.contains("holds no record"), "{done:#?}");
    let values: Vec<String> = (0..50).map(|i| sale(&format!("r{i}"), "1")).collect();
    send(&lab, &topic, &values)?;
    let done = lab.weir(&["contracts", "infer", &topic, "--records", "40"])?;
    assert_eq!(done.code, Some(0), "{done:#?}");
    assert!(done.stdout.contains("from 40 records of"), "{done:#?}");
    assert!(!done.stdout.contains(SECRET), "{done:#?}");
    let file = lab.path().join("draft.yaml");
    std::fs::write(&file, &done.stdout)?;
    let file = file.display().to_string();
    let done = lab.weir(&["contracts", "check", &file])?;
    assert_eq!(done.code, Some(0), "{done:#?}");
    Ok(())
}
