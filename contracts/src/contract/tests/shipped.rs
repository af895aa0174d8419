//! The contracts that Weir ships.

use super::*;

const STREAMS: [(&str, &str); 12] = [
    ("vending.health", HEALTH),
    ("vending.sales", SALES),
    ("vending.inventory", INVENTORY),
    ("vending.faults", include_str!("../../../vending.faults.yaml")),
    ("vending.security", include_str!("../../../vending.security.yaml")),
    ("vending.configuration", include_str!("../../../vending.configuration.yaml")),
    ("vending.connectivity", include_str!("../../../vending.connectivity.yaml")),
    ("vending.logs", include_str!("../../../vending.logs.yaml")),
    ("store.sales", include_str!("../../../store.sales.yaml")),
    ("store.inventory", include_str!("../../../store.inventory.yaml")),
    ("store.operations", include_str!("../../../store.operations.yaml")),
    ("trades", include_str!("../../../trades.yaml")),
];

const REFERENCES: [(&str, &str, &[&str]); 5] = [
    ("ref.machines", include_str!("../../../ref.machines.yaml"), &["machine_id"]),
    ("ref.sites", include_str!("../../../ref.sites.yaml"), &["site_id"]),
    ("ref.products", include_str!("../../../ref.products.yaml"), &["product_id"]),
    ("ref.planogram", include_str!("../../../ref.planogram.yaml"), &["machine_id", "selection"]),
    ("ref.accounts", include_str!("../../../ref.accounts.yaml"), &["account_id"]),
];

#[test]
fn streams_share_the_envelope_and_what_the_collector_adds() {
    for (id, text) in STREAMS {
        let contract = parsed(text);
        assert_eq!((contract.id.as_str(), &contract.kind), (id, &Kind::Stream));
        let paths: Vec<String> = contract.fields.iter().map(|f| f.path.to_string()).collect();
        assert_eq!(paths[..5], ["id", "source", "type", "subject", "time"], "{id}");
        let added = &paths[paths.len() - 3..];
        assert_eq!(added, ["receivedat", "siteid", "traceid"], "{id}");
        for name in ["event_id", "event_source", "event_type", "event_time"] {
            assert_eq!(field(&contract, name).required, Requirement::Always, "{id}");
        }
        assert!(contract.event_types.iter().all(|t| t.starts_with(&format!("{id}."))), "{id}");
        let device = id.starts_with("vending.");
        assert_eq!(contract.index_of("machine_id").is_some(), device, "{id}");
        assert_eq!(contract.index_of("in_maintenance").is_some(), device, "{id}");
    }
}

#[test]
fn references_have_their_keys() {
    for (id, text, key) in REFERENCES {
        let contract = parsed(text);
        let Kind::Reference { key: found } = &contract.kind else { panic!("{id} is no reference") };
        let found: Vec<&str> = found.iter().map(|c| contract.fields[*c].name.as_str()).collect();
        assert_eq!(found, key, "{id}");
        assert_eq!(contract.table().to_string(), id);
    }
}

#[test]
fn every_column_and_rule_is_described() {
    let references = REFERENCES.map(|(id, text, _)| (id, text));
    for (id, text) in STREAMS.into_iter().chain(references) {
        let contract = parsed(text);
        for field in &contract.fields {
            assert!(!field.description.is_empty(), "{} of {id}", field.name);
            let amount = ["price", "amount", "cost"].iter().any(|word| field.name.contains(word));
            let money = FieldType::Decimal { precision: 18, scale: 4 };
            assert!(!amount || field.kind == money, "{} of {id} is money", field.name);
        }
        for rule in &contract.rules {
            let names: Vec<&str> =
                rule.columns().iter().map(|c| contract.fields[*c].name.as_str()).collect();
            assert!(!names.is_empty(), "{} of {id}", rule.name);
        }
        assert!(!contract.rules.is_empty(), "{id} has no rule");
    }
}
