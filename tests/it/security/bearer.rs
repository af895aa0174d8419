//! Tokens: they are read from a file that somebody else renews.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use weir_tests::lab::STREAM;
use weir_tests::running::Running;

use super::Door;

pub const BEARER: [(&str, &str); 3] = [
    ("security.protocol", "SASL_SSL"),
    ("ssl.ca.pem", "file:ca.pem"),
    ("sasl.mechanism", "OAUTHBEARER"),
];
const TOKEN: [&str; 2] = ["--set", "kafka.token=file:token"];

/// A token of the user `machine`, valid until so many seconds from now, signed by nobody.
fn token(seconds: i64) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as i64;
    let claims = format!(r#"{{"sub":"machine","iat":{},"exp":{}}}"#, now - 60, now + seconds);
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    Ok(format!("{}.{}.\n", part(r#"{"alg":"none"}"#), part(&claims)))
}

fn door(name: &str, token: &str) -> Result<Door> {
    let door = Door::new(name, "BEARER", &[])?;
    door.set(&BEARER)?;
    door.write("token", token)?;
    Ok(door)
}

fn with_token<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&TOKEN[..], arguments].concat()
}

#[test]
fn a_token_lets_every_command_in() -> Result<()> {
    let mut door = door("bearer-works", &token(600)?)?;
    door.lab.produce(0, 20)?;
    door.weir(&with_token(&["ingest", "--until-latest"]))?.expect(0)?;
    door.weir(&with_token(&["verify"]))?.expect(0)?;
    let topic = door.lab.topic.clone();
    door.weir(&with_token(&["lag"]))?.expect(0)?;
    door.weir(&with_token(&["contracts", "infer", &topic]))?.expect(0)?;
    let other = format!("streams.\"{STREAM}\".topic={topic}-new");
    let through =
        |arguments: &[&str]| door.weir(&[&TOKEN[..], &["--set", &other], arguments].concat());
    through(&["topics", "--create"])?.expect(0)?;
    let simulate = ["simulate", "--kafka", "--for", "10m", "--speed-up", "max", "--machines", "20"];
    through(&[&simulate[..], &["--stream", STREAM]].concat())?.expect(0)?;
    ensure!(door.lab.client()?.end_offsets(&format!("{topic}-new"))?.iter().sum::<i64>() > 100);
    Ok(())
}

#[test]
fn a_token_is_renewed_while_ingest_runs() -> Result<()> {
    let mut door = door("bearer-renewed", &token(40)?)?;
    door.lab.produce(0, 20)?;
    let mut weir = Running::start(&mut door.command(&with_token(&["ingest"])))?;
    weir.until("the first are in the table", |w| w.committed(STREAM) == 20)?;
    door.write("token", &token(600)?)?;
    // The broker ends what has not shown a new token by then.
    std::thread::sleep(Duration::from_secs(45));
    door.lab.produce(1, 20)?;
    weir.until("the others are in the table", |w| w.committed(STREAM) == 40)?;
    ensure!(weir.events(STREAM, "client_rebuilt").is_empty(), "rebuilt: {}", weir.said());
    weir.signal("TERM")?;
    weir.end(Duration::from_secs(15))?.expect(0)?;
    door.weir(&with_token(&["verify"]))?.expect(0)?;
    Ok(())
}

#[test]
fn a_token_that_does_not_do() -> Result<()> {
    let door = door("bearer-refused", &token(-60)?)?;
    let says = |code: i32, words: &[&str]| -> Result<()> {
        for command in ["ingest", "lag", "topics"] {
            let done = door.weir(&with_token(&[command]))?.expect(code)?;
            done.says(words)?;
        }
        Ok(())
    };
    says(2, &["kafka.token", "it has expired", "renew it"])?;
    door.write("token", "")?;
    says(2, &["kafka.token", "it is empty"])?;
    // The broker takes no other form.
    door.write("token", "0paque-t0ken")?;
    says(1, &["does not let weir in", "kafka.token"])?;
    let done = door.weir(&with_token(&["--set", "log.level=trace", "ingest"]))?.expect(1)?;
    ensure!(!done.stderr.contains("0paque-t0ken"), "the token is told: {done:#?}");
    std::fs::remove_file(door.lab.path().join("token"))?;
    says(2, &["kafka.token", "No such file"])?;
    door.weir(&["ingest"])?.expect(2)?.says(&["OAUTHBEARER needs `kafka.token`"])
}
