//! Who the real binary is in AWS, wherever it has that from: every request to S3 and Glue is in that name, for
//! the region, and asks for the key of encryption that the config names.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::{TimeDelta, Utc};
use serde_json::json;
use weir_tests::lab::{self, Done};
use weir_tests::stack::{BUCKET, HttpServer, Reply, Request, Tap, forward};

use super::place::{fresh, moto};
use super::s3::{role_xml, sts_xml};

const MACHINES: &str = "\
machine_id,machine_kind,machine_status,refrigerated,valid_from
m-1,snack,active,true,2026-01-01T00:00:00Z
";
/// Whoever is asked for credentials says that they are these, for an hour.
const LENT: &str = "ASIA7";
const TOKEN: &str = "token-7";

/// A request as the service sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    key: String,
    token: Option<String>,
    region: String,
    service: String,
}

/// A lake in moto for which a reference table is loaded, and who has asked for what.
struct Stand {
    folder: tempfile::TempDir,
    seen: Arc<Mutex<Vec<(Seen, Request)>>>,
    tap: Tap,
}

fn seen(request: &Request) -> Option<Seen> {
    let signed = request.header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 Credential=")?;
    let scope: Vec<&str> = signed.split([',', ' ']).next()?.split('/').collect();
    let [key, _, region, service, _] = scope[..] else { return None };
    let token = request.header("x-amz-security-token").map(str::to_string);
    Some(Seen { key: key.into(), token, region: region.into(), service: service.into() })
}

impl Stand {
    fn new(aws: &str) -> Result<Stand> {
        let noted = Arc::new(Mutex::new(Vec::new()));
        let (note, endpoint) = (noted.clone(), moto()?.endpoint());
        let tap = Tap::on(move |request| {
            let who = seen(request)?;
            let mut noted = note.lock().unwrap_or_else(PoisonError::into_inner);
            noted.push((who, request.clone()));
            drop(noted);
            forward(&endpoint, request).ok()
        })?;
        let folder = tempfile::Builder::new().prefix("weir-who-").tempdir()?;
        let (prefix, contracts) = (fresh(), lab::repository().join("contracts"));
        let text = format!(
            "warehouse = \"s3://{BUCKET}/{prefix}\"\ncatalog.uri = \"glue://\"\n[aws]\nretries_max = 1\n\
             timeout = \"5s\"\n{aws}\n[s3]\nendpoint = \"{0}\"\naddressing = \"path\"\nkms_key = \
             \"alias/lake\"\n[glue]\nendpoint = \"{0}\"\ndatabase_prefix = \"{prefix}_\"\n\
             [references.\"ref.machines\"]\nfile = \"machines.csv\"\ncontract = \"{1}/ref.machines.yaml\"\n",
            tap.endpoint(),
            contracts.display()
        );
        std::fs::write(folder.path().join("weir.toml"), text)?;
        std::fs::write(folder.path().join("machines.csv"), MACHINES)?;
        std::fs::create_dir_all(folder.path().join(".aws/sso/cache"))?;
        Ok(Stand { folder, seen: noted, tap })
    }

    fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    /// Loads the table as somebody whose environment is this alone.
    fn seed(&self, environment: &[(&str, &str)]) -> Result<Done> {
        let mut command = Command::new(lab::binary());
        command.current_dir(self.folder.path()).arg("seed");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.env("HOME", self.folder.path()).envs(environment.iter().copied());
        Ok(lab::done(command.output()?))
    }

    /// Loads the table, and fails unless every request came from this key, with this token, for this region.
    fn all_by(
        &self,
        environment: &[(&str, &str)],
        (key, token): (&str, Option<&str>),
        region: &str,
    ) -> Result<()> {
        self.seed(environment)?.expect(0)?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found: BTreeSet<Seen> = seen.iter().map(|(who, _)| who.clone()).collect();
        let of = |service: &str| Seen {
            key: key.into(),
            token: token.map(str::to_string),
            region: region.into(),
            service: service.into(),
        };
        ensure!(found == [of("glue"), of("s3")].into(), "{found:#?}");
        Ok(())
    }
}

/// Somebody who answers every request with this.
fn answers(body: String) -> Result<HttpServer> {
    HttpServer::start(move |_| {
        Some(Reply { status: 200, body: body.clone().into(), ..Reply::default() })
    })
}

fn in_an_hour() -> chrono::DateTime<Utc> {
    Utc::now() + TimeDelta::hours(1)
}

/// Credentials as containers and instances are given them.
fn lent_json() -> String {
    let until = in_an_hour().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    json!({"AccessKeyId": LENT, "SecretAccessKey": "s", "Token": TOKEN, "Expiration": until})
        .to_string()
}

#[test]
fn keys_of_the_environment_and_the_key_of_encryption() -> Result<()> {
    let stand = Stand::new("region = \"eu-west-3\"")?;
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKIA1"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_SESSION_TOKEN", "t/k"),
        // The variables come before any profile.
        ("AWS_PROFILE", "nobody"),
    ];
    stand.all_by(&keys, ("AKIA1", Some("t/k")), "eu-west-3")?;
    let seen = stand.seen.lock().unwrap_or_else(PoisonError::into_inner);
    let put: Vec<&Request> =
        seen.iter().filter(|(_, r)| r.method == "PUT").map(|(_, request)| request).collect();
    let kinds: BTreeSet<&str> =
        put.iter().filter_map(|request| request.target.rsplit('.').next()).collect();
    ensure!(kinds == ["avro", "json", "parquet"].into(), "{kinds:?}");
    for request in put {
        for (name, value) in [
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "alias/lake"),
            ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
        ] {
            let found = request.header(name);
            ensure!(found == Some(value), "{}: {name} is {found:?}", request.target);
        }
    }
    Ok(())
}

#[test]
fn a_profile_with_keys_and_its_region() -> Result<()> {
    let stand = Stand::new("")?;
    stand.write(".aws/config", "[profile lake]\nregion = ap-south-1\n")?;
    stand.write(
        ".aws/credentials",
        "[lake]\naws_access_key_id = AKIA2\naws_secret_access_key = s\n",
    )?;
    stand.all_by(&[("AWS_PROFILE", "lake")], ("AKIA2", None), "ap-south-1")?;
    let done = stand.seed(&[("AWS_PROFILE", "lakes"), ("AWS_REGION", "x")])?.expect(2)?;
    done.says(&["no credentials of AWS", "lakes"])
}

#[test]
fn a_profile_that_is_a_role() -> Result<()> {
    let stand = Stand::new("")?;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    let sts = HttpServer::start(move |request| {
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(seen(&request));
        Some(Reply { status: 200, body: role_xml(7, in_an_hour()).into(), ..Reply::default() })
    })?;
    stand.write(
        ".aws/config",
        "[default]\nregion = eu-west-1\nrole_arn = arn:aws:iam::1:role/lake\nsource_profile = me\n\
         [profile me]\naws_access_key_id = AKIA3\naws_secret_access_key = s\n",
    )?;
    let environment = [("AWS_ENDPOINT_URL_STS", sts.endpoint())];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    stand.all_by(&environment, (LENT, Some(TOKEN)), "eu-west-1")?;
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    let who = asked.first().cloned().flatten().context("STS was not asked in a name")?;
    ensure!((who.key.as_str(), who.service.as_str()) == ("AKIA3", "sts"), "{who:?}");
    Ok(())
}

#[test]
fn a_login_of_identity_center() -> Result<()> {
    let stand = Stand::new("")?;
    let role = json!({"roleCredentials": {
        "accessKeyId": LENT, "secretAccessKey": "s", "sessionToken": TOKEN,
        "expiration": in_an_hour().timestamp_millis(),
    }});
    let portal = HttpServer::start(move |request| {
        let known = request.header("x-amz-sso_bearer_token") == Some("logged-in");
        let asked = ["/federation/credentials?", "account_id=123456789012", "role_name=Lake"];
        let good = known && asked.iter().all(|part| request.target.contains(part));
        let refused = r#"{"__type": "UnauthorizedException", "message": "Session token not found or invalid"}"#;
        let (status, body) = if good { (200, role.to_string()) } else { (401, refused.into()) };
        Some(Reply { status, body: body.into(), ..Reply::default() })
    })?;
    stand.write(
        ".aws/config",
        "[profile people]\nregion = eu-west-1\nsso_session = company\nsso_account_id = 123456789012\n\
         sso_role_name = Lake\n[sso-session company]\nsso_start_url = https://x.awsapps.com/start\n\
         sso_region = eu-west-1\n",
    )?;
    let portal = portal.endpoint();
    let environment = [("AWS_PROFILE", "people"), ("AWS_ENDPOINT_URL_SSO", portal.as_str())];
    let login = |token: &str, until: chrono::DateTime<Utc>| {
        let until = until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let token = json!({
            "startUrl": "https://x.awsapps.com/start", "accessToken": token, "expiresAt": until,
        });
        // Named by the SHA-1 of "company", as `aws sso login` does.
        let name = "71b21161ffa1e6516bcc072aaf5ef38cbe85b511";
        stand.write(&format!(".aws/sso/cache/{name}.json"), &token.to_string())
    };
    let never = stand.seed(&environment)?.expect(1)?;
    never.says(&["no credentials of AWS", "aws sso login --profile people"])?;
    login("logged-in", Utc::now() - TimeDelta::hours(1))?;
    stand.seed(&environment)?.expect(1)?.says(&["expired", "or no longer"])?;
    login("logged-out", in_an_hour())?;
    stand
        .seed(&environment)?
        .expect(1)?
        .says(&["Unauthorized", "aws sso login --profile people"])?;
    login("logged-in", in_an_hour())?;
    stand.all_by(&environment, (LENT, Some(TOKEN)), "eu-west-1")
}

#[test]
fn a_command_of_the_profile() -> Result<()> {
    let stand = Stand::new("region = \"eu-west-1\"")?;
    let print = |text: &str| {
        stand.write(".aws/config", &format!("[default]\ncredential_process = {text}\n"))
    };
    print("echo '{\"Version\": 1, \"AccessKeyId\": \"AKIA4\", \"SecretAccessKey\": \"s\"}'")?;
    stand.all_by(&[], ("AKIA4", None), "eu-west-1")?;
    print("echo no vault >&2; exit 3")?;
    stand.seed(&[])?.expect(1)?.says(&["no credentials of AWS", "external process", "no vault"])?;
    print("sleep 60")?;
    let began = Instant::now();
    let waited = stand.seed(&[])?;
    ensure!(began.elapsed() < Duration::from_secs(50), "a command that hangs is waited for");
    ensure!(waited.code != Some(0), "{waited:#?}");
    Ok(())
}

/// As a service account of EKS has it.
#[test]
fn a_web_identity() -> Result<()> {
    let stand = Stand::new("region = \"eu-west-1\"")?;
    let token = stand.write("token", "a.web.token")?;
    let sts = HttpServer::start(|request| {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let good =
            ["Action=AssumeRoleWithWebIdentity", "WebIdentityToken=a.web.token", "role%2Flake"];
        let body = match good.iter().all(|part| form.contains(part)) {
            true => sts_xml("AssumeRoleWithWebIdentity", 7, in_an_hour()),
            false => return Some(Reply { status: 403, ..Reply::default() }),
        };
        Some(Reply { status: 200, body: body.into(), ..Reply::default() })
    })?;
    let sts = sts.endpoint();
    let environment = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/lake"),
        ("AWS_ENDPOINT_URL_STS", sts.as_str()),
    ];
    stand.all_by(&environment, (LENT, Some(TOKEN)), "eu-west-1")
}

#[test]
fn what_a_pod_and_an_instance_are_given() -> Result<()> {
    let region = "region = \"eu-west-1\"";
    let pod = Stand::new(region)?;
    let token = pod.write("token", "pod")?;
    let agent = HttpServer::start(move |request| {
        let status = if request.header("authorization") == Some("pod") { 200 } else { 403 };
        Some(Reply { status, body: lent_json().into(), ..Reply::default() })
    })?;
    let uri = format!("{}/credentials", agent.endpoint());
    let environment = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.as_str()),
    ];
    pod.all_by(&environment, (LENT, Some(TOKEN)), "eu-west-1")?;

    let instance = Stand::new(region)?;
    let metadata = HttpServer::start(|request| {
        let body = match request.target.as_str() {
            "/latest/api/token" => "session".to_string(),
            "/latest/meta-data/iam/security-credentials/" => "lake".into(),
            _ => lent_json(),
        };
        let life = ("x-aws-ec2-metadata-token-ttl-seconds".into(), "21600".into());
        Some(Reply { status: 200, headers: vec![life], body: body.into(), ..Reply::default() })
    })?;
    let metadata = metadata.endpoint();
    let environment = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.as_str())];
    instance.all_by(&environment, (LENT, Some(TOKEN)), "eu-west-1")
}

#[test]
fn a_role_of_the_config() -> Result<()> {
    let sts = answers(role_xml(7, in_an_hour()))?;
    let role = format!(
        "region = \"eu-west-1\"\nrole_arn = \"arn:aws:iam::1:role/lake\"\nsts_endpoint = \"{}\"",
        sts.endpoint()
    );
    let stand = Stand::new(&role)?;
    let keys = [("AWS_ACCESS_KEY_ID", "AKIA1"), ("AWS_SECRET_ACCESS_KEY", "s")];
    stand.all_by(&keys, (LENT, Some(TOKEN)), "eu-west-1")?;
    ensure!(
        stand.tap.calls().iter().all(|call| !call.starts_with("sts:")),
        "{:?}",
        stand.tap.calls()
    );
    Ok(())
}
