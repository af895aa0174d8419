//! Tokens for Amazon MSK, signed by Weir in the name of AWS's credentials.

use anyhow::{Context, Result, ensure};
use weir_catalog::aws::{AwsKeys, AwsOptions};
use weir_tests::aws::known;
use weir_tests::lab;
use weir_tests::stack::MSK_KEY;

use super::Door;

const TOKEN: [&str; 8] = [
    "--set",
    "kafka.token=aws:msk-iam",
    "--set",
    "aws.region=eu-central-1",
    "--set",
    "aws.access_key_id=AKIAWEIRTESTS",
    "--set",
    "aws.secret_access_key=file:aws-secret",
];

fn door(name: &str, secret: &str) -> Result<Door> {
    let door = Door::new(name, "MSK", &super::bearer::BEARER)?;
    door.write("aws-secret", secret)?;
    Ok(door)
}

fn with_token<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&TOKEN[..], arguments].concat()
}

#[test]
fn a_token_of_msk_lets_every_command_in() -> Result<()> {
    let mut door = door("msk-works", MSK_KEY.1)?;
    door.lab.produce(0, 20)?;
    door.weir(&with_token(&["ingest", "--until-latest"]))?.expect(0)?;
    door.weir(&with_token(&["verify"]))?.expect(0)?;
    door.weir(&with_token(&["lag"]))?.expect(0)?;
    let topic = door.lab.topic.clone();
    door.weir(&with_token(&["contracts", "infer", &topic]))?.expect(0)?;
    let simulate = ["simulate", "--kafka", "--for", "10m", "--speed-up", "max", "--machines", "20"];
    let stream = ["--stream", lab::STREAM];
    door.weir(&with_token(&[&simulate[..], &stream[..]].concat()))?.expect(0)?;
    Ok(())
}

#[test]
fn a_key_that_does_not_do() -> Result<()> {
    let door = door("msk-refused", "an0ther-secret")?;
    for command in ["ingest", "lag", "topics"] {
        let done = door.weir(&with_token(&["--set", "log.level=trace", command]))?.expect(1)?;
        done.says(&["does not let weir in", "kafka.token"])?;
        ensure!(!done.stderr.contains("an0ther-secret"), "the secret is told: {done:#?}");
        ensure!(!done.stderr.contains("aHR0cHM6Ly9rYWZrYS"), "the token is told: {done:#?}");
    }
    let alone = ["--set", "kafka.token=aws:msk-iam", "ingest"];
    let mut command = door.command(&alone);
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        command.env_remove(name);
    }
    lab::done(command.output()?).expect(2)?.says(&["kafka.token", "aws.region"])
}

#[test]
fn botocore_signs_the_same() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (region, session) in [("eu-central-1", ""), ("us-east-1", "a/session+token==")] {
        let keys = AwsKeys {
            id: MSK_KEY.0.into(),
            secret: MSK_KEY.1.into(),
            token: (!session.is_empty()).then(|| session.into()),
        };
        let identity = known(&AwsOptions {
            region: Some(region.into()),
            keys: Some(keys),
            role: None,
            timeout: std::time::Duration::from_secs(5),
            retries_max: 0,
        })?;
        let token = runtime.block_on(identity.msk_token())?.value;
        let said = lab::python("msk.py", &[MSK_KEY.0, MSK_KEY.1, session, region, &token])?;
        ensure!(said.lines().last().context("nothing said")? == "the same", "{said}");
    }
    Ok(())
}
