//! Values of a column in `_extra`: what came as an unknown member before the contract named it.

use arrow_array::ArrayRef;
use arrow_schema::DataType;

use super::general::{Findings, NameScratch, Reader};
use super::plan::{Plan, arrow_type};
use super::shapes::{Trace, UNKNOWN_MAX};
use super::sink::Sink;
use crate::contract::{Contract, Requirement};

/// Reads one column out of `_extra`, row by row, by the same rules as a decoder reads it out of records.
#[derive(Debug)]
pub struct Promoted {
    plan: Plan,
    sink: Sink,
    trace: Trace,
    names: NameScratch,
    rows: usize,
}

impl Promoted {
    /// The column of this number. None for one that is hashed: the value must not be seen.
    pub fn new(contract: &Contract, column: usize) -> Option<Promoted> {
        let field = contract.fields.get(column).filter(|field| !field.hashed)?;
        let mut field = field.clone();
        field.required = Requirement::Never;
        let alone = Contract {
            fields: vec![field],
            limits: contract.limits.clone(),
            event_types: contract.event_types.clone(),
            ..Contract::default()
        };
        let plan = Plan::new(&alone);
        let sink = Sink::new(&alone, plan.tokens + UNKNOWN_MAX);
        let (trace, names) = (Trace::default(), NameScratch::default());
        Some(Promoted { plan, sink, trace, names, rows: 0 })
    }

    /// Its type.
    pub fn data_type(contract: &Contract, column: usize) -> Option<DataType> {
        contract.fields.get(column).map(|field| arrow_type(field.kind))
    }

    /// Adds a row: null without `_extra`, without the member in it, or with a value that the contract refuses.
    pub fn push(&mut self, extra: Option<&str>) {
        self.sink.begin(self.rows, i64::MAX);
        if let Some(text) = extra {
            let mut reader = Reader {
                plan: &self.plan,
                sink: &mut self.sink,
                trace: &mut self.trace,
                names: &mut self.names,
                findings: Findings::default(),
                text: text.as_bytes(),
            };
            let read = reader.read();
            let Findings { duplicate, wrong, .. } = reader.findings;
            if read.is_err() || duplicate.is_some() || wrong.is_some() {
                self.sink.roll_back();
            }
        }
        self.rows += 1;
    }

    /// Takes the rows.
    pub fn finish(&mut self) -> Option<ArrayRef> {
        self.sink.finish(std::mem::take(&mut self.rows)).pop()
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Decimal128Type, Float64Type};

    use super::*;
    use crate::contract::{Allowed, Bound, Field, FieldType, Path};

    fn contract(member: &str, kind: FieldType, allowed: Allowed) -> Contract {
        let (object, member) = match member.split_once('.') {
            Some((object, member)) => (Some(object.to_string()), member.to_string()),
            None => (None, member.to_string()),
        };
        let field = |name: &str, path: Path| Field {
            name: name.into(),
            path,
            kind,
            required: Requirement::Always,
            allowed: allowed.clone(),
            hashed: false,
            description: String::new(),
        };
        let known = Path { object: None, member: "known".into() };
        Contract {
            fields: vec![field("known", known), field("new", Path { object, member })],
            ..Contract::default()
        }
    }

    fn read(contract: &Contract, extras: &[Option<&str>]) -> ArrayRef {
        let mut promoted = Promoted::new(contract, 1).unwrap();
        extras.iter().for_each(|extra| promoted.push(*extra));
        promoted.finish().unwrap()
    }

    #[test]
    fn a_member_is_read_as_its_column_would_be() {
        let allowed = Allowed { minimum: Some(Bound::Double(0.0)), ..Allowed::default() };
        let contract = contract("data.humidity", FieldType::Double, allowed);
        let extras = [
            Some(r#"{"other":"{\"data\":1}","data":{"humidity":40.5,"x":[1]}}"#),
            None,
            Some(r#"{"humidity":1}"#),
            Some(r#"{"data":{"humidity":null}}"#),
            Some(r#"{"data":{"humidity":"wet"}}"#),
            Some(r#"{"data":{"humidity":-1}}"#),
            Some(r#"{"data":{"humidity":7}}"#),
        ];
        let found = read(&contract, &extras);
        let found: Vec<Option<f64>> = found.as_primitive::<Float64Type>().iter().collect();
        assert_eq!(found, [Some(40.5), None, None, None, None, None, Some(7.0)]);
    }

    #[test]
    fn decimals_are_exact_and_hashed_columns_are_not_read() {
        let kind = FieldType::Decimal { precision: 18, scale: 4 };
        let mut contract = contract("price", kind, Allowed::default());
        let found = read(&contract, &[Some(r#"{"price":0.1000}"#), Some(r#"{"price":0.00001}"#)]);
        let found: Vec<Option<i128>> = found.as_primitive::<Decimal128Type>().iter().collect();
        assert_eq!(found, [Some(1000), None]);
        contract.fields[1].hashed = true;
        assert!(Promoted::new(&contract, 1).is_none());
    }
}
