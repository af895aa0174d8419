//! From the config to the lake.

use tokio::runtime::Builder;
use weir_catalog::aws::{AwsKeys, AwsOptions, AwsRole, Identity};
use weir_catalog::backend::{GlueOptions, RestAuth, RestOptions, Secret};
use weir_catalog::storage::S3Options;
use weir_catalog::{CatalogAt, CatalogError, Lake, LakeOptions};
use weir_contract::names::{
    NAMESPACE_MART, NAMESPACE_RAW, NAMESPACE_REF, NAMESPACE_STAGING, TableName,
};

use crate::config::{Aws, CatalogPlace, Config, Property, Rest, WarehouseAt};
use crate::failure::Failure;

/// Opens the lake of the config; `create` makes what is missing of a local one.
pub fn open(config: &Config, create: bool) -> Result<Lake, Failure> {
    let (catalog, aws) = (&config.catalog, &config.aws);
    let options = LakeOptions {
        snapshots_max: catalog.snapshots_max,
        ladder: catalog.ladder,
        query_memory_max: config.query_memory_max,
        create,
        ..LakeOptions::default()
    };
    let opened = match (&config.warehouse, &catalog.place) {
        (WarehouseAt::Folder(folder), CatalogPlace::Sqlite(file)) => {
            Lake::open_local(folder, file, &catalog.name, options)
        }
        (WarehouseAt::S3(warehouse), place) => {
            let at = match place {
                CatalogPlace::Sqlite(file) => {
                    CatalogAt::Sqlite { file: file.clone(), name: catalog.name.clone() }
                }
                CatalogPlace::Glue(account) => CatalogAt::Glue(glue(account, aws)),
                CatalogPlace::Rest(uri) => CatalogAt::Rest(rest(uri, &config.rest)?),
            };
            Lake::open_s3(warehouse.clone(), &who(aws)?, &s3(aws), at, options)
        }
        (WarehouseAt::Folder(folder), CatalogPlace::Rest(uri)) => {
            Lake::open_rest(folder, rest(uri, &config.rest)?, options)
        }
        (WarehouseAt::Folder(_), CatalogPlace::Glue(_)) => {
            Err(CatalogError::bug("the config lets tables of Glue stand in a folder"))
        }
    };
    opened.map_err(Failure::catalog)
}

/// Whether there may be a lake to look at: a local catalog that nobody made is none.
pub fn exists(config: &Config) -> bool {
    match &config.catalog.place {
        CatalogPlace::Sqlite(file) => file.exists(),
        CatalogPlace::Glue(_) | CatalogPlace::Rest(_) => true,
    }
}

/// The tables that were named, or all that ingest, seed and models write.
pub async fn tables(lake: &Lake, named: &[String]) -> Result<Vec<TableName>, Failure> {
    if !named.is_empty() {
        return named
            .iter()
            .map(|name| name.parse().map_err(|e: String| Failure::config(e)))
            .collect();
    }
    let all = lake.tables().await.map_err(Failure::catalog)?;
    let ours = [NAMESPACE_RAW, NAMESPACE_REF, NAMESPACE_STAGING, NAMESPACE_MART];
    Ok(all.into_iter().filter(|name| ours.contains(&name.namespace.as_str())).collect())
}

/// What stands before the names of databases, as other engines see them.
pub fn database_prefix(config: &Config) -> &str {
    match &config.catalog.place {
        CatalogPlace::Glue(_) => config.aws.database_prefix.as_deref().unwrap_or_default(),
        CatalogPlace::Sqlite(_) | CatalogPlace::Rest(_) => "",
    }
}

/// Who we are in AWS, with credentials if they are to be had.
fn who(aws: &Aws) -> Result<Identity, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|e| Failure::denied(format!("a thread cannot be started: {e}")))?;
    runtime.block_on(Identity::new(&identity(aws)?)).map_err(Failure::catalog)
}

/// What the config says of who we are in AWS.
pub fn identity(aws: &Aws) -> Result<AwsOptions, Failure> {
    let keys = match &aws.keys {
        None => None,
        Some((id, secret)) => Some(AwsKeys {
            id: read("aws.access_key_id", id)?,
            secret: read("aws.secret_access_key", secret)?,
            token: aws.session_token.as_ref().map(|t| read("aws.session_token", t)).transpose()?,
        }),
    };
    let role = |arn: &String| AwsRole {
        arn: arn.clone(),
        external_id: aws.external_id.clone(),
        sts_endpoint: aws.sts_endpoint.clone(),
    };
    Ok(AwsOptions {
        region: aws.region.clone(),
        keys,
        role: aws.role_arn.as_ref().map(role),
        timeout: aws.timeout,
        retries_max: aws.retries_max,
    })
}

fn read(key: &str, property: &Property) -> Result<String, Failure> {
    property.read().map_err(|why| {
        Failure::config(format!("a key cannot be read: {why}"))
            .at(key)
            .next("set the variable or the file that the config names")
    })
}

fn s3(aws: &Aws) -> S3Options {
    S3Options {
        endpoint: aws.s3_endpoint.clone(),
        path_style: aws.path_style,
        kms_key: aws.kms_key.clone(),
    }
}

fn glue(account: &Option<String>, aws: &Aws) -> GlueOptions {
    GlueOptions {
        catalog_id: account.clone(),
        endpoint: aws.glue_endpoint.clone(),
        database_prefix: aws.database_prefix.clone().unwrap_or_default(),
    }
}

fn rest(uri: &str, rest: &Rest) -> Result<RestOptions, Failure> {
    let secret = |property: &Property| {
        let property = property.clone();
        Secret::by(move || property.read())
    };
    let auth = match (&rest.token, &rest.client) {
        (Some(token), _) => RestAuth::Token(secret(token)),
        (None, Some((id, client_secret))) => RestAuth::Client {
            id: read("rest.client_id", id)?,
            secret: secret(client_secret),
            scope: rest.scope.clone(),
            token_uri: rest.token_uri.clone(),
        },
        (None, None) => RestAuth::None,
    };
    Ok(RestOptions {
        uri: uri.into(),
        warehouse: rest.warehouse.clone(),
        auth,
        timeout: rest.timeout,
        retries_max: rest.retries_max,
    })
}
