//! DataFusion's errors in words for people.

use datafusion::common::DataFusionError;
use weir_contract::class::ErrorClass;

use crate::CatalogError;
use crate::error::read_class;

/// The class and the message of `error`, without DataFusion's layers around it. `memory_max` is the setting
/// that bounds what it may hold.
pub fn clean(error: DataFusionError, memory_max: &str) -> CatalogError {
    let root = innermost(&error);
    if let DataFusionError::External(external) = root {
        if let Some(ours) = external.downcast_ref::<CatalogError>() {
            return CatalogError::new(ours.class(), ours.message()).with_source(error);
        }
        if let Some(iceberg) = external.downcast_ref::<iceberg::Error>() {
            let (class, text) = (read_class(iceberg), format!("reading the table: {iceberg}"));
            return CatalogError::new(class, text).with_source(error);
        }
    }
    let (class, message) = match root {
        DataFusionError::ResourcesExhausted(what) => (
            ErrorClass::BadConfig,
            format!(
                "the query needs more memory than it may hold; raise `{memory_max}`, or ask for less at once: {}",
                first_line(what)
            ),
        ),
        DataFusionError::ObjectStore(e) => {
            (read_class(&**e), format!("reading a file of the table: {e}"))
        }
        DataFusionError::ParquetError(e) => {
            (read_class(&**e), format!("reading a file of the table: {e}"))
        }
        DataFusionError::IoError(e) => (ErrorClass::Retry, e.to_string()),
        DataFusionError::SQL(e, _) => (ErrorClass::BadConfig, e.to_string()),
        DataFusionError::Internal(what) => (ErrorClass::Bug, first_line(what).to_string()),
        other => (ErrorClass::BadConfig, first_line(&other.strip_backtrace()).to_string()),
    };
    let message = lower_case(&message);
    let message = missing_table(&message).unwrap_or(message);
    CatalogError::new(class, message).with_source(error)
}

/// What we say where DataFusion misses a table of the lake.
fn missing_table(message: &str) -> Option<String> {
    let name = message.strip_prefix("table '")?.strip_suffix("' not found")?;
    let name = name.strip_prefix(super::CATALOG)?.strip_prefix('.')?;
    Some(format!("there is no table {name}; `weir tables` lists them"))
}

fn innermost(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            innermost(inner)
        }
        DataFusionError::Shared(inner) => innermost(inner),
        DataFusionError::Collection(all) => all.first().map_or(error, innermost),
        DataFusionError::External(external) => match external.downcast_ref::<DataFusionError>() {
            Some(inner) => innermost(inner),
            None => error,
        },
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            arrow::error::ArrowError::ExternalError(external) => {
                match external.downcast_ref::<DataFusionError>() {
                    Some(inner) => innermost(inner),
                    None => error,
                }
            }
            _ => error,
        },
        other => other,
    }
}

/// What DataFusion puts before its messages says nothing to whoever wrote the query.
const PREFIXES: [&str; 8] = [
    "Error during planning: ",
    "Schema error: ",
    "SQL error: ",
    "Execution error: ",
    "Arrow error: ",
    "This feature is not implemented: ",
    "Invalid or Unsupported Configuration: ",
    "External error: ",
];

fn lower_case(message: &str) -> String {
    let mut text = message;
    while let Some(rest) = PREFIXES.iter().find_map(|p| text.strip_prefix(p)) {
        text = rest;
    }
    let text = text.trim_end().trim_end_matches('.');
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        // Not of an acronym or a quoted name.
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_string(),
    }
}

fn first_line(text: &str) -> &str {
    text.split("\n\nbacktrace").next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(error: DataFusionError) -> (ErrorClass, String) {
        let error = clean(error, crate::session::QUERY_MEMORY);
        (error.class(), error.to_string())
    }

    #[test]
    fn planning_errors_are_the_query_s() {
        let wrapped = DataFusionError::Context(
            "type_coercion".into(),
            Box::new(DataFusionError::Plan("Table 'x' not found.".into())),
        );
        assert_eq!(cleaned(wrapped), (ErrorClass::BadConfig, "table 'x' not found".into()));
    }

    #[test]
    fn an_error_of_ours_keeps_its_class_through_every_layer() {
        let ours = DataFusionError::External(Box::new(CatalogError::denied("no entry")));
        let layers = DataFusionError::Shared(std::sync::Arc::new(DataFusionError::Context(
            "scan".into(),
            Box::new(DataFusionError::External(Box::new(ours))),
        )));
        assert_eq!(cleaned(layers), (ErrorClass::Denied, "no entry".into()));
    }

    #[test]
    fn memory_names_its_bound() {
        let (class, text) = cleaned(DataFusionError::ResourcesExhausted("sort wants 9".into()));
        assert_eq!(class, ErrorClass::BadConfig);
        assert!(text.contains("raise `sql.memory_max`") && text.contains("sort wants 9"), "{text}");
    }
}
