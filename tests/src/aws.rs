//! Who the tests are in AWS, and how they reach what stands in for it.

use std::time::Duration;

use anyhow::Result;
use weir_catalog::aws::{AwsKeys, AwsOptions, Identity};
use weir_catalog::backend::GlueOptions;
use weir_catalog::storage::{S3Options, Warehouse};

use crate::stack::BUCKET;

/// How long the tests let a request take.
pub const TIMEOUT: Duration = Duration::from_secs(4);

/// Who the tests are.
pub fn identity() -> Result<Identity> {
    known(&options())
}

/// An identity, wherever it is asked for: within a runtime, too.
pub fn known(options: &AwsOptions) -> Result<Identity> {
    let made = || -> Result<Identity> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(Identity::new(options))?)
    };
    std::thread::scope(|scope| scope.spawn(made).join())
        .map_err(|_| anyhow::anyhow!("making an identity panicked"))?
}

/// What the tests say of themselves.
pub fn options() -> AwsOptions {
    AwsOptions {
        region: Some("us-east-1".into()),
        keys: Some(AwsKeys { id: "test".into(), secret: "test".into(), token: None }),
        role: None,
        timeout: TIMEOUT,
        retries_max: 3,
    }
}

/// The server at `endpoint`, for S3.
pub fn s3_at(endpoint: &str) -> S3Options {
    S3Options { endpoint: Some(endpoint.into()), path_style: true, ..S3Options::default() }
}

/// The server at `endpoint`, for Glue; databases with this prefix.
pub fn glue_at(endpoint: &str, prefix: &str) -> GlueOptions {
    GlueOptions {
        endpoint: Some(endpoint.into()),
        database_prefix: prefix.into(),
        ..GlueOptions::default()
    }
}

/// `s3://lake/<prefix>`.
pub fn s3_warehouse(prefix: &str) -> Result<Warehouse> {
    let parsed = Warehouse::parse_s3(&format!("s3://{BUCKET}/{prefix}"));
    parsed.map_err(|why| anyhow::anyhow!("{why}"))
}
