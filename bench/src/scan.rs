//! DataFusion alone over the Parquet files of a folder: what the models' queries are compared with.

use std::path::PathBuf;

use anyhow::{Context, Result};
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use futures::TryStreamExt;

use crate::usage::Meter;

#[derive(clap::Args)]
pub struct Args {
    /// The folder; files below it count.
    folder: PathBuf,
    /// A query of the table `files`.
    sql: String,
}

pub fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let meter = Meter::start()?;
    let rows = runtime.block_on(async {
        let context = SessionContext::new();
        let folder = args.folder.to_str().context("a folder whose name is not UTF-8")?;
        context.register_parquet("files", folder, ParquetReadOptions::default()).await?;
        let mut batches = context.sql(&args.sql).await?.execute_stream().await?;
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows();
        }
        anyhow::Ok(rows)
    })?;
    println!("{}", serde_json::to_string(&meter.stop(rows as u64)?)?);
    Ok(())
}
