//! How other engines read a past state: by the snapshot's id, which all of them take.

use serde::Serialize;
use weir_contract::names::TableName;

/// One query for each engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reads {
    /// Athena.
    pub athena: String,
    /// Trino, in a session whose catalog is this lake's.
    pub trino: String,
    /// Spark, the same.
    pub spark: String,
    /// Our own command.
    pub weir: String,
}

/// The queries that read `table` as of snapshot `id`; `prefix` stands before the names of databases in
/// Glue.
pub fn reads(table: &TableName, prefix: &str, id: i64) -> Reads {
    let name = &table.name;
    let namespace = format!("{prefix}{}", table.namespace);
    Reads {
        athena: format!(r#"SELECT * FROM "{namespace}"."{name}" FOR VERSION AS OF {id}"#),
        trino: format!(r#"SELECT * FROM "{namespace}"."{name}" FOR VERSION AS OF {id}"#),
        spark: format!("SELECT * FROM `{namespace}`.`{name}` VERSION AS OF {id}"),
        weir: format!("weir query --snapshot {id} \"SELECT * FROM {table}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_has_its_own_words() {
        let prefixed = reads(&TableName::raw("vending.health"), "prod_", 7);
        assert!(prefixed.athena.contains(r#"FROM "prod_raw"."vending_health" FOR"#));
        let reads = reads(&TableName::raw("vending.health"), "", 7);
        assert_eq!(reads.trino, r#"SELECT * FROM "raw"."vending_health" FOR VERSION AS OF 7"#);
        assert_eq!(reads.spark, "SELECT * FROM `raw`.`vending_health` VERSION AS OF 7");
        assert_eq!(reads.weir, "weir query --snapshot 7 \"SELECT * FROM raw.vending_health\"");
    }
}
