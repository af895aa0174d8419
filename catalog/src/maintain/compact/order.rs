//! In which order the rows of a file stand, so that readers skip what they do not seek. Pure.

use iceberg::spec::{PrimitiveType, Schema, SortOrder, Type};
use weir_contract::names::column;

use crate::schema::sorted_by;

/// The order of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Accepted rows: by hour of event time, then these columns, then event time.
    Events(Vec<String>),
    /// Rejected rows, which have no event time: by Kafka time.
    Rejects,
    /// Rows of a reference table: by its key.
    Reference(Vec<String>),
}

impl Order {
    /// The order of accepted rows (`day`) or rejected ones of a raw table. Where the table says no order, it
    /// is by machine, what most queries ask for; where an event has none, the Kafka key is the nearest to it.
    pub fn raw(schema: &Schema, said: &SortOrder, day: Option<i32>) -> Order {
        if day.is_none() {
            return Order::Rejects;
        }
        let by = sorted_by(schema, said);
        if !by.is_empty() {
            return Order::Events(by);
        }
        let sorts = |name: &&str| {
            let kind = schema.field_by_name(name).map(|field| &*field.field_type);
            matches!(kind, Some(Type::Primitive(PrimitiveType::String | PrimitiveType::Binary)))
        };
        let key = [column::MACHINE_ID, column::KEY].into_iter().find(sorts);
        Order::Events(key.map(str::to_string).into_iter().collect())
    }

    /// The columns to sort by; `hour` names that of the hour of event time. A record's position breaks
    /// ties, so that the same rows make the same files.
    pub fn columns(&self, hour: &str) -> Vec<String> {
        let position = [column::SOURCE, column::PARTITION, column::OFFSET].map(str::to_string);
        let text = |name: &str| name.to_string();
        match self {
            Order::Events(by) => [text(hour)]
                .into_iter()
                .chain(by.clone())
                .chain([text(column::EVENT_TIME)])
                .chain(position)
                .collect(),
            Order::Rejects => [text(column::KAFKA_TIME)].into_iter().chain(position).collect(),
            Order::Reference(key) => {
                key.iter().cloned().chain([column::VALID_FROM, column::LOAD].map(text)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{raw_iceberg_schema, sort_order};
    use crate::testing::contract;

    #[test]
    fn machines_come_before_kafka_keys_and_rejects_follow_kafka() {
        let mut contract = contract();
        let plain = raw_iceberg_schema(&contract).unwrap();
        let unsaid = SortOrder::unsorted_order();
        let key = Order::Events(vec!["_key".into()]);
        assert_eq!(Order::raw(&plain, &unsaid, Some(1)), key);
        contract.fields[0].name = column::MACHINE_ID.into();
        let schema = raw_iceberg_schema(&contract).unwrap();
        let order = Order::raw(&schema, &unsaid, Some(1));
        assert_eq!(
            order.columns("hour"),
            ["hour", "machine_id", "event_time", "_source", "_kafka_partition", "_offset"]
        );
        let said = sort_order(&schema, &["quantity".into(), "day".into()]).unwrap();
        let columns = Order::raw(&schema, &said, Some(1)).columns("hour");
        assert_eq!(columns[..4], ["hour", "quantity", "day", "event_time"]);
        assert_eq!(Order::raw(&schema, &said, None).columns("hour")[0], "_kafka_time");
        let reference = Order::Reference(vec!["machine_id".into()]);
        assert_eq!(reference.columns("hour"), ["machine_id", "valid_from", "_load"]);
    }
}
