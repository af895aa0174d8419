//! S3 that fails, lies and refuses, between the store and moto.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutResult};
use weir_catalog::CatalogError;
use weir_catalog::aws::AwsRole;
use weir_catalog::storage::S3Store;
use weir_contract::class::ErrorClass;
use weir_tests::stack::{BUCKET, Fault, Reply, Tap, forward};

use super::place::{TIMEOUT, fresh, identity, known, moto, options, runtime, s3_at};

const PUT: &str = "s3:PutObject";

fn store(tap: &Tap, bucket: &str) -> Result<S3Store> {
    Ok(S3Store::new(bucket, &identity()?, &s3_at(&tap.endpoint()))?)
}

async fn create(store: &S3Store, key: &str, bytes: &'static str) -> Result<PutResult, Error> {
    store.put_opts(&Path::from(key), bytes.into(), PutMode::Create.into()).await
}

async fn read(store: &S3Store, key: &str) -> Result<String> {
    let bytes = store.get(&Path::from(key)).await?.bytes().await?;
    Ok(String::from_utf8(bytes.to_vec())?)
}

/// What must hold of any server.
pub fn promises(endpoint: &str) -> Result<()> {
    tried_again(endpoint)?;
    not_taken_for_anothers(endpoint)?;
    listed_and_deleted(endpoint)
}

#[test]
fn what_passes_is_tried_again() -> Result<()> {
    tried_again(&moto()?.endpoint())
}

fn tried_again(endpoint: &str) -> Result<()> {
    let tap = Tap::before(endpoint)?;
    runtime()?.block_on(async {
        let store = store(&tap, BUCKET)?;
        for fault in [
            Fault::Refuse(500, "<Error><Code>InternalError</Code></Error>".into()),
            Fault::Refuse(503, "<Error><Code>SlowDown</Code></Error>".into()),
            Fault::CutBefore,
            Fault::Hang(TIMEOUT + Duration::from_millis(500)),
        ] {
            let key = fresh();
            tap.fault(PUT, fault.clone());
            create(&store, &key, "whole").await.with_context(|| format!("{fault:?}"))?;
            tap.fault("s3:GetObject", fault);
            ensure!(read(&store, &key).await? == "whole");
        }
        Ok(())
    })
}

#[test]
fn a_put_whose_answer_was_lost_is_not_taken_for_anothers() -> Result<()> {
    not_taken_for_anothers(&moto()?.endpoint())
}

fn not_taken_for_anothers(endpoint: &str) -> Result<()> {
    let tap = Tap::before(endpoint)?;
    runtime()?.block_on(async {
        let store = store(&tap, BUCKET)?;
        let slow = Fault::Slow(TIMEOUT + Duration::from_millis(500));
        for fault in [Fault::CutAfter, Fault::LieAfter(500, String::new()), slow] {
            let key = fresh();
            tap.fault(PUT, fault.clone());
            // The repetition finds the name taken: by what we had written.
            create(&store, &key, "ours").await.with_context(|| format!("{fault:?}"))?;
            ensure!(read(&store, &key).await? == "ours");
            // A name that is really another's stays it.
            let taken = create(&store, &key, "mine").await;
            ensure!(matches!(taken, Err(Error::AlreadyExists { .. })), "{taken:?}");
            ensure!(read(&store, &key).await? == "ours");
        }
        Ok(())
    })
}

#[test]
fn a_put_that_may_have_been_done_is_neither_ours_nor_anothers() -> Result<()> {
    let code = |code: &str| format!("<Error><Code>{code}</Code></Error>");
    let conflict = Fault::Refuse(409, code("ConditionalRequestConflict"));
    let unseen = Fault::LieAfter(412, code("PreconditionFailed"));
    for (of_put, of_get) in [
        // A request of ours stays under way for longer than the tries take.
        (conflict, None),
        // The name is taken, and by whom cannot be read.
        (unseen, Some(Fault::Refuse(503, code("SlowDown")))),
    ] {
        let tap = Tap::before(&moto()?.endpoint())?;
        let (put, get) = (of_put.clone(), of_get.clone());
        tap.weather(move |action| if action == PUT { Some(put.clone()) } else { get.clone() });
        let put = runtime()?.block_on(create(&store(&tap, BUCKET)?, &fresh(), "x"));
        let error = CatalogError::storage("writing", put.err().context("it was put")?);
        ensure!(error.class() == ErrorClass::Retry, "{of_put:?}, {of_get:?}: {error}");
    }
    Ok(())
}

#[test]
fn of_those_who_race_for_a_name_one_wins() -> Result<()> {
    // moto looks and puts in two steps, between which another may put; S3 does it in one.
    let (endpoint, step) = (moto()?.endpoint(), Mutex::new(()));
    let tap = Tap::on(move |request| {
        let _step = request.header("if-none-match").map(|_| step.lock());
        forward(&endpoint, request).ok()
    })?;
    runtime()?.block_on(async {
        for _ in 0..5 {
            let (store, key) = (store(&tap, BUCKET)?, fresh());
            let names = ["one", "two", "three", "four"];
            let tries = names.map(|bytes| {
                let (store, key) = (store.clone(), key.clone());
                tokio::spawn(async move { create(&store, &key, bytes).await.map(|_| bytes) })
            });
            let mut winners = Vec::new();
            for tried in tries {
                winners.extend(tried.await?.ok());
            }
            ensure!(winners.len() == 1, "{winners:?}");
            ensure!(read(&store, &key).await? == winners[0]);
        }
        Ok(())
    })
}

#[test]
fn refusals_have_their_class_and_say_what_to_do() -> Result<()> {
    let tap = Tap::before(&moto()?.endpoint())?;
    let refused = |bucket: &str, fault: Option<Fault>| {
        let store = store(&tap, bucket)?;
        if let Some(fault) = fault {
            tap.fault(PUT, fault);
        }
        let put = runtime()?.block_on(create(&store, &fresh(), "x"));
        let error = put.err().context("it was put")?;
        Ok::<_, anyhow::Error>(CatalogError::storage("writing", error))
    };
    let error = refused("nobodys-bucket", None)?;
    ensure!(error.class() == ErrorClass::BadConfig, "{error}");
    ensure!(error.message().contains("s3://nobodys-bucket/"), "{error}");
    let denied = Fault::Refuse(403, "<Error><Code>AccessDenied</Code></Error>".into());
    let error = refused(BUCKET, Some(denied))?;
    ensure!(error.class() == ErrorClass::Denied, "{error}");
    ensure!(error.message().contains("s3:PutObject on s3://lake/"), "{error}");
    Ok(())
}

#[test]
fn a_bucket_that_never_answers_is_given_up_after_some_tries() -> Result<()> {
    for fault in
        [Fault::Refuse(503, "<Error><Code>SlowDown</Code></Error>".into()), Fault::CutBefore]
    {
        let tap = Tap::before(&moto()?.endpoint())?;
        let always = fault.clone();
        tap.weather(move |_| Some(always.clone()));
        let store = store(&tap, BUCKET)?;
        let error =
            runtime()?.block_on(create(&store, &fresh(), "x")).err().context("it was put")?;
        let error = CatalogError::storage("writing", error);
        ensure!(error.class() == ErrorClass::Retry, "{error}");
        // Each try of ours may be several of the client's.
        let (calls, tries) = (tap.calls().len(), options().retries_max + 1);
        ensure!(calls >= tries && calls <= tries * tries, "{fault:?}: {calls} calls");
    }
    Ok(())
}

#[test]
fn a_role_is_renewed_before_it_expires() -> Result<()> {
    // Lent for five minutes and a bit, which is as good as over.
    let lent = AtomicU32::new(0);
    let sts = Tap::on(move |_| {
        let number = lent.fetch_add(1, Ordering::Relaxed);
        let until = chrono::Utc::now() + chrono::TimeDelta::seconds(301);
        Some(Reply { status: 200, body: role_xml(number, until).into(), ..Reply::default() })
    })?;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (noted, endpoint) = (seen.clone(), moto()?.endpoint());
    let tap = Tap::on(move |request| {
        let token = request.header("x-amz-security-token").unwrap_or("none").to_string();
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(token);
        forward(&endpoint, request).ok()
    })?;
    let arn = "arn:aws:iam::123456789012:role/weir".to_string();
    let role = AwsRole { arn, external_id: None, sts_endpoint: Some(sts.endpoint()) };
    let who = weir_catalog::aws::AwsOptions { role: Some(role), ..options() };
    runtime()?.block_on(async {
        let store = S3Store::new(BUCKET, &known(&who)?, &s3_at(&tap.endpoint()))?;
        create(&store, &fresh(), "x").await?;
        create(&store, &fresh(), "x").await?;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        create(&store, &fresh(), "x").await?;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(*seen == ["token-0", "token-0", "token-1"], "{seen:?}");
        Ok(())
    })
}

/// What STS answers when a role is assumed.
pub fn role_xml(number: u32, until: chrono::DateTime<chrono::Utc>) -> String {
    sts_xml("AssumeRole", number, until)
}

/// What STS answers to an action that gives credentials.
pub fn sts_xml(action: &str, number: u32, until: chrono::DateTime<chrono::Utc>) -> String {
    format!(
        "<{action}Response><{action}Result><Credentials><AccessKeyId>ASIA{number}</AccessKeyId>\
         <SecretAccessKey>s</SecretAccessKey><SessionToken>token-{number}</SessionToken>\
         <Expiration>{}</Expiration></Credentials></{action}Result></{action}Response>",
        until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    )
}

#[test]
fn objects_are_listed_and_deleted() -> Result<()> {
    listed_and_deleted(&moto()?.endpoint())
}

fn listed_and_deleted(endpoint: &str) -> Result<()> {
    use futures::TryStreamExt;
    let tap = Tap::before(endpoint)?;
    runtime()?.block_on(async {
        let (store, folder) = (store(&tap, BUCKET)?, fresh());
        for name in ["a", "b/c", "event_day=2026-11-21/d"] {
            create(&store, &format!("{folder}/{name}"), "x").await?;
        }
        let prefix = Path::from(folder.as_str());
        let list = || store.list(Some(&prefix)).map_ok(|o| o.location).try_collect::<Vec<_>>();
        ensure!(list().await?.len() == 3, "{:?}", list().await?);
        for path in list().await? {
            store.delete(&path).await?;
        }
        ensure!(list().await?.is_empty());
        let gone = store.get(&prefix.clone().join("a")).await;
        ensure!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
        Ok(())
    })
}

#[test]
fn a_role_is_assumed_for_every_call() -> Result<()> {
    let tap = Tap::before(&moto()?.endpoint())?;
    let arn = "arn:aws:iam::123456789012:role/weir".to_string();
    let role = AwsRole { arn, external_id: Some("x".into()), sts_endpoint: Some(tap.endpoint()) };
    let who = weir_catalog::aws::AwsOptions { role: Some(role), ..options() };
    runtime()?.block_on(async {
        let store = S3Store::new(BUCKET, &known(&who)?, &s3_at(&tap.endpoint()))?;
        let key = fresh();
        create(&store, &key, "by a role").await?;
        ensure!(read(&store, &key).await? == "by a role");
        let asked = tap.calls().iter().filter(|call| *call == "sts:AssumeRole").count();
        ensure!(asked == 1, "asked {asked} times: {:?}", tap.calls());
        let denied = Fault::Refuse(
            403,
            "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>".into(),
        );
        tap.fault("sts:AssumeRole", denied);
        let refused = known(&who).err().context("there is an identity")?;
        let error = refused.downcast_ref::<CatalogError>().context("another error")?;
        ensure!(error.class() == ErrorClass::Denied, "{error}");
        ensure!(error.message().contains("sts:AssumeRole of arn:aws:iam"), "{error}");
        ensure!(error.message().contains("AccessDenied"), "{error}");
        Ok(())
    })
}
