//! What a REST catalog's refusals, silences and lies do to a commit, and what pins one there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use weir_catalog::backend::{Outcome, RestAuth, Secret};
use weir_catalog::commit::Receipt;
use weir_catalog::look::which::Which;
use weir_catalog::tag::tag;
use weir_catalog::{CatalogError, Lake, LakeOptions};
use weir_contract::class::ErrorClass;
use weir_contract::names::TAG_TURN_PREFIX;
use weir_tests::stack::{Fault, HttpServer, Reply, Request, RestCatalog, Tap, forward};

use super::faults::commit_with;
use super::place::{Place, TIMEOUT, client, rest_at, runtime};
use super::table;
use crate::readers::table::Filler;

const UPDATE: &str = "rest:updateTable";
const LOAD: &str = "rest:loadTable";

fn refused(kind: &str) -> String {
    json!({"error": {"message": "as the test wants it", "type": kind, "code": 400}}).to_string()
}

/// A commit that met the fault, and how many requests committed.
fn met(place: &Place, action: &str, fault: Fault) -> Result<(Receipt, usize)> {
    let receipt = runtime()?.block_on(commit_with(place, action, fault))?;
    let updates = place.tap().calls().iter().filter(|call| *call == UPDATE).count();
    Ok((receipt, updates))
}

#[test]
fn a_commit_whose_answer_was_lost_is_found() -> Result<()> {
    for fault in [
        Fault::CutAfter,
        Fault::LieAfter(500, refused("CommitStateUnknownException")),
        Fault::LieAfter(503, refused("SlowDownException")),
        Fault::LieAfter(504, "<html>".into()),
        Fault::LieAfter(200, "<html>".into()),
        Fault::Slow(TIMEOUT + Duration::from_millis(500)),
    ] {
        let place = Place::rest()?;
        let (r, updates) =
            met(&place, UPDATE, fault.clone()).with_context(|| format!("{fault:?}"))?;
        let found = r.unknowns == 1 && r.already && r.conflicts == 0 && updates == 2;
        ensure!(found, "{fault:?}: {updates} updates, {r:?}");
    }
    Ok(())
}

#[test]
fn a_commit_that_got_lost_or_was_refused_is_made_again() -> Result<()> {
    let conflict = Fault::Refuse(409, refused("CommitFailedException"));
    let wait = Fault::Refuse(429, refused("TooManyRequestsException"));
    for (fault, unknowns, conflicts) in [
        (Fault::CutBefore, 1, 0),
        (Fault::Refuse(500, refused("InternalServerError")), 1, 0),
        (Fault::Refuse(502, "<html>".into()), 1, 0),
        (conflict, 0, 1),
        (wait, 0, 0),
    ] {
        let place = Place::rest()?;
        let (r, updates) =
            met(&place, UPDATE, fault.clone()).with_context(|| format!("{fault:?}"))?;
        let again = r.unknowns == unknowns && r.conflicts == conflicts && !r.already;
        ensure!(again && updates == 3, "{fault:?}: {updates} updates, {r:?}");
    }
    // A look is repeated by the client itself.
    let busy = Fault::Refuse(503, refused("SlowDownException"));
    let (r, updates) = met(&Place::rest()?, LOAD, busy)?;
    ensure!(r.unknowns == 0 && updates == 2, "{updates} updates, {r:?}");
    Ok(())
}

#[test]
fn what_is_denied_names_the_call_and_what_to_do() -> Result<()> {
    for (action, status, advice) in [
        (UPDATE, 403, "allow updateTable"),
        (LOAD, 403, "allow loadTable"),
        ("rest:getToken", 401, "rest.client_secret"),
        ("rest:getConfig", 404, "catalog.uri"),
    ] {
        let place = Place::rest()?;
        let body = if status == 404 { "<html>".into() } else { refused("ForbiddenException") };
        let fault = Fault::Refuse(status, body);
        let error = runtime()?.block_on(commit_with(&place, action, fault)).err();
        let error = error.with_context(|| format!("{action} went by"))?;
        let error = error.downcast_ref::<CatalogError>().context("another error")?;
        let class = if status == 404 { ErrorClass::BadConfig } else { ErrorClass::Denied };
        ensure!(error.class() == class, "{action}: {error}");
        ensure!(error.message().contains(advice), "{action}: {error}");
        ensure!(!error.message().contains("hush"), "a secret was told: {error}");
    }
    Ok(())
}

#[test]
fn a_token_that_is_refused_is_renewed_once() -> Result<()> {
    let place = Place::rest()?;
    let expired = Fault::Refuse(401, refused("NotAuthorizedException"));
    let (r, updates) = met(&place, UPDATE, expired.clone())?;
    ensure!(updates == 3 && r.conflicts + r.unknowns == 0 && !r.already, "{updates}, {r:?}");
    let tokens = || place.tap().calls().iter().filter(|call| *call == "rest:getToken").count();
    // Of the two lakes that the commit was made and looked at by, and one anew.
    ensure!(tokens() == 3, "{} tokens", tokens());
    let lake = place.lake()?;
    for _ in 0..2 {
        place.tap().fault(LOAD, expired.clone());
    }
    let error = runtime()?.block_on(lake.table(&table())).err().context("it was let in")?;
    ensure!(error.class() == ErrorClass::Denied, "{error}");
    ensure!(error.message().contains("rest.token"), "{error}");
    Ok(())
}

/// A catalog that lets nobody in but the bearer of `good`.
fn guarded(server: &RestCatalog, good: &'static str) -> Result<Tap> {
    let endpoint = server.endpoint();
    Tap::on(move |request: &Request| {
        let bearer = request.header("authorization").and_then(|a| a.strip_prefix("Bearer "));
        if bearer == Some(good) {
            return forward(&endpoint, request).ok();
        }
        let body = refused("NotAuthorizedException").into_bytes();
        Some(Reply { status: 401, body, ..Reply::default() })
    })
}

#[test]
fn a_static_token_is_read_anew_when_somebody_has_renewed_it() -> Result<()> {
    let server = RestCatalog::start()?;
    let tap = guarded(&server, "second")?;
    let reads = Arc::new(AtomicUsize::new(0));
    let open = |names: &'static [&'static str]| {
        let reads = reads.clone();
        let token = Secret::by(move || {
            let read = reads.fetch_add(1, Ordering::Relaxed).min(names.len() - 1);
            Ok(names[read].to_string())
        });
        let rest = rest_at(&tap.endpoint(), RestAuth::Token(token));
        Lake::open_rest(&server.folder().join("lake"), rest, LakeOptions::default())
    };
    let lake = open(&["first", "second"])?;
    ensure!(runtime()?.block_on(lake.tables())?.is_empty());
    reads.store(0, Ordering::Relaxed);
    let error = runtime()?.block_on(open(&["first"])?.tables()).err().context("it was let in")?;
    ensure!(error.class() == ErrorClass::Denied, "{error}");
    ensure!(!error.message().contains("first"), "a secret was told: {error}");
    Ok(())
}

#[test]
fn tokens_are_issued_elsewhere_and_asked_for_by_the_catalog() -> Result<()> {
    let server = RestCatalog::start()?;
    let tap = guarded(&server, "issued")?;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    let issuer = HttpServer::start(move |request| {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let knows = form.contains("client_id=weir") && form.contains("client_secret=hush");
        noted.lock().unwrap_or_else(PoisonError::into_inner).push((request.target, form));
        let (status, body) = match knows {
            true => (200, r#"{"access_token":"issued","token_type":"bearer","expires_in":3600}"#),
            false => (401, r#"{"error":"invalid_client","error_description":"who is that"}"#),
        };
        Some(Reply { status, body: body.into(), ..Reply::default() })
    })?;
    let open = |secret: &'static str| {
        let auth = RestAuth::Client {
            id: "weir".into(),
            secret: Secret::by(move || Ok(secret.into())),
            scope: "lake".into(),
            token_uri: Some(format!("{}/realm/token", issuer.endpoint())),
        };
        let rest = rest_at(&tap.endpoint(), auth);
        Lake::open_rest(&server.folder().join("lake"), rest, LakeOptions::default())
    };
    runtime()?.block_on(async {
        let lake = open("hush")?;
        let mut filler = Filler::new()?;
        let base = filler.table(&lake).await?;
        filler.commit(&lake, base, 0, 0).await?;
        let error = open("wrong")?.tables().await.err().context("it was let in")?;
        ensure!(error.class() == ErrorClass::Denied, "{error}");
        ensure!(!error.message().contains("wrong"), "a secret was told: {error}");
        Ok::<_, anyhow::Error>(())
    })?;
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    let (target, form) = asked.first().context("nobody was asked")?;
    ensure!(target == "/realm/token", "{target}");
    for part in ["grant_type=client_credentials", "scope=lake"] {
        ensure!(form.contains(part), "{form}");
    }
    Ok(())
}

#[test]
fn changes_without_a_snapshot_pin_each_other() -> Result<()> {
    let place = Place::rest()?;
    runtime()?.block_on(async {
        let lake = place.lake()?;
        let mut filler = Filler::new()?;
        let base = filler.table(&lake).await?;
        let first = filler.commit(&lake, base, 0, 0).await?.base;
        let turn = |base: &weir_catalog::Base| {
            let names = base.loaded.refs.keys();
            names.filter(|name| name.starts_with(TAG_TURN_PREFIX)).cloned().collect::<Vec<_>>()
        };
        ensure!(turn(&first) == ["weir-turn-1"], "{:?}", turn(&first));
        // Somebody tags what the writer has read; its commit could expire that snapshot.
        tag(&place.lake()?, &table(), "audit", &Which::Current).await?;
        let second = filler.commit(&lake, first.clone(), 0, 1).await?;
        ensure!(second.conflicts == 1, "it did not see the tag: {second:?}");
        ensure!(second.base.loaded.refs.contains_key("audit"), "the tag is lost");
        ensure!(turn(&second.base) == ["weir-turn-2"], "{:?}", turn(&second.base));
        // Two changes of properties from one base.
        let loaded = &second.base.loaded;
        let one = lake.backend.commit(&table(), loaded, vec![]).await;
        let Outcome::Committed(one) = one else { anyhow::bail!("{one:?}") };
        let two = lake.backend.commit(&table(), loaded, vec![]).await;
        ensure!(matches!(two, Outcome::Conflict(_)), "{two:?}");
        let next = lake.backend.commit(&table(), &one, vec![]).await;
        ensure!(matches!(next, Outcome::Committed(_)), "{next:?}");
        place.verify_clean().await
    })
}

#[test]
fn a_table_that_stands_elsewhere_is_refused_by_name() -> Result<()> {
    let place = Place::rest()?;
    let Place::Rest(tap, server) = &place else { unreachable!() };
    let other = Lake::open_rest(
        &server.folder().join("other"),
        rest_at(&tap.endpoint(), client()),
        LakeOptions::default(),
    )?;
    runtime()?.block_on(async {
        Filler::new()?.table(&other).await?;
        let lake = place.lake()?;
        ensure!(lake.tables().await?.is_empty(), "it is listed");
        let error = lake.table(&table()).await.err().context("it was read")?;
        ensure!(error.class() == ErrorClass::BadConfig, "{error}");
        let stands = format!("{}/raw/all_types", other.warehouse.location());
        ensure!(error.message().contains(&stands), "{error}");
        Ok(())
    })
}
