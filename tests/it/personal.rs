//! Personal data on its way through the real binary, and a draft of what a topic holds.

use anyhow::Result;
use weir_tests::lab::Lab;
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
