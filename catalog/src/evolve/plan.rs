//! How a table must change so that it takes a contract's rows. Pure.
//!
//! What can be done needs no file to be written anew and breaks no reader and no writer that still has
//! the old contract: a new column (null in old rows), a wider type, a column that need no longer be
//! there, a comment. All else is refused, with the way out.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use iceberg::spec::{NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, Type};
use serde::Serialize;
use weir_contract::contract::Division;
use weir_contract::names::column;

use crate::schema::widens;
use crate::{CatalogError, Result};

/// One change of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Step {
    /// A new column.
    Add {
        /// Its name; that of a struct's member with the struct's before.
        column: String,
        /// Its type.
        kind: String,
    },
    /// A wider type.
    Widen {
        /// The column.
        column: String,
        /// The type it has.
        from: String,
        /// The type it gets.
        to: String,
    },
    /// The column may be null.
    Relax {
        /// The column.
        column: String,
    },
    /// Another comment.
    Document {
        /// The column; none: the table.
        column: Option<String>,
    },
    /// Another order of the rows that compaction writes.
    Sort {
        /// The columns of the order it has.
        from: Vec<String>,
        /// Those of the order it gets; none: as Weir sees fit.
        to: Vec<String>,
    },
    /// Another partitioning of the files that are written from then on.
    Partition {
        /// The spans of event time that it has.
        from: Division,
        /// Those that it gets.
        to: Division,
    },
    /// Another contract, or version of it, in the table's properties.
    Contract {
        /// What the table names, if anything.
        from: Option<String>,
        /// What it will name.
        to: String,
    },
}

/// Something that cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The column; none: the table.
    pub column: Option<String>,
    /// Why.
    pub why: String,
    /// What can be done instead.
    pub way_out: String,
}

/// A plan for the columns of a table.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What is done, in the order of the contract.
    pub steps: Vec<Step>,
    /// What cannot be done.
    pub refused: Vec<Refusal>,
    /// Columns that only the table has: they stay, and are null from now on.
    pub unused: Vec<String>,
    /// The schema afterwards; none if it stays.
    pub schema: Option<Schema>,
}

/// Compares a table's schema with the one that a contract asks for. `last_id` is the greatest field
/// id that the table ever gave.
///
/// Errors: bad config if the library refuses the schema that comes of it.
pub fn plan_evolution(table: &Schema, wanted: &Schema, last_id: i32) -> Result<Plan> {
    let mut planner = Planner { plan: Plan::default(), last_id };
    let fields = planner.merge(table.as_struct(), wanted.as_struct(), "");
    let mut plan = planner.plan;
    let known = |name: &str| wanted.as_struct().field_by_name(name).is_some();
    let names = table.as_struct().fields().iter().map(|field| field.name.clone());
    plan.unused = names.filter(|name| !known(name)).collect();
    if plan.steps.is_empty() || !plan.refused.is_empty() {
        return Ok(plan);
    }
    // A key of the rows must not be null; the library says so itself.
    let keys: HashSet<i32> = table.identifier_field_ids().collect();
    let built = Schema::builder().with_fields(fields).with_identifier_field_ids(keys).build();
    plan.schema = Some(built.map_err(|e| {
        CatalogError::bad_config(format!("the contract makes no valid schema of the table's: {e}"))
            .with_source(e)
    })?);
    Ok(plan)
}

struct Planner {
    plan: Plan,
    last_id: i32,
}

impl Planner {
    /// The table's fields with what `wanted` changes in them; new ones follow the last that both have.
    fn merge(
        &mut self,
        table: &StructType,
        wanted: &StructType,
        prefix: &str,
    ) -> Vec<NestedFieldRef> {
        let mut fields: Vec<NestedFieldRef> = table.fields().to_vec();
        let mut at = 0;
        for want in wanted.fields() {
            let name = format!("{prefix}{}", want.name);
            if let Some(found) = fields.iter().position(|field| field.name == want.name) {
                fields[found] = self.change(&fields[found].clone(), want, &name);
                at = found + 1;
                continue;
            }
            if let Some(like) = fields.iter().find(|f| f.name.eq_ignore_ascii_case(&want.name)) {
                let why =
                    format!("the table has a column {}, which some engines take for it", like.name);
                self.refuse(&name, why, "give the contract's column another name");
                continue;
            }
            if name == column::PARTITION {
                let why =
                    "the table is of a Weir that called it _partition, which Spark keeps for \
                           itself"
                        .to_string();
                self.refuse(&name, why, "ingest into a new warehouse");
                continue;
            }
            fields.insert(at, self.add(want, &name));
            at += 1;
        }
        fields
    }

    fn add(&mut self, want: &NestedFieldRef, name: &str) -> NestedFieldRef {
        let kind = want.field_type.to_string();
        self.plan.steps.push(Step::Add { column: name.to_string(), kind });
        self.last_id += 1;
        let id = self.last_id;
        let kind = match want.field_type.as_ref() {
            Type::Struct(members) => {
                let members = members.fields().iter().map(|member| {
                    self.last_id += 1;
                    let kind = member.field_type.as_ref().clone();
                    Arc::new(NestedField::optional(self.last_id, &member.name, kind))
                });
                Type::Struct(StructType::new(members.collect()))
            }
            kind => kind.clone(),
        };
        let field = NestedField::optional(id, &want.name, kind);
        Arc::new(match &want.doc {
            Some(doc) => field.with_doc(doc),
            None => field,
        })
    }

    fn change(
        &mut self,
        found: &NestedFieldRef,
        want: &NestedFieldRef,
        name: &str,
    ) -> NestedFieldRef {
        let mut field = NestedField::clone(found);
        match (found.field_type.as_ref(), want.field_type.as_ref()) {
            (Type::Struct(of), Type::Struct(wanted)) => {
                let members = self.merge(of, wanted, &format!("{name}."));
                field.field_type = Box::new(Type::Struct(StructType::new(members)));
            }
            (Type::Primitive(of), Type::Primitive(wanted)) => match fits(of, wanted) {
                Fit::Yes => {}
                Fit::Wider => {
                    let (from, to) = (of.to_string(), wanted.to_string());
                    self.plan.steps.push(Step::Widen { column: name.into(), from, to });
                    field.field_type = want.field_type.clone();
                }
                Fit::No => self.refuse_type(name, found, want),
            },
            _ => self.refuse_type(name, found, want),
        }
        if found.required && !want.required {
            self.plan.steps.push(Step::Relax { column: name.into() });
            field.required = false;
        }
        if want.doc.is_some() && want.doc != found.doc {
            self.plan.steps.push(Step::Document { column: Some(name.into()) });
            field.doc = want.doc.clone();
        }
        Arc::new(field)
    }

    fn refuse_type(&mut self, name: &str, found: &NestedField, want: &NestedField) {
        let why = format!(
            "it is {} in the table, the contract says {}: what stands there cannot be read so",
            found.field_type, want.field_type
        );
        let way = "give it a column of another name, with weir.path of the same member; or the events \
                   a stream of their own";
        self.refuse(name, why, way);
    }

    fn refuse(&mut self, column: &str, why: String, way_out: &str) {
        let column = Some(column.to_string());
        self.plan.refused.push(Refusal { column, why, way_out: way_out.into() });
    }
}

enum Fit {
    Yes,
    /// Once the column is widened.
    Wider,
    No,
}

fn fits(table: &PrimitiveType, wanted: &PrimitiveType) -> Fit {
    if table == wanted || widens(wanted, table) {
        Fit::Yes
    } else if widens(table, wanted) {
        Fit::Wider
    } else {
        Fit::No
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Add { column, kind } => write!(f, "add column {column} ({kind})"),
            Step::Widen { column, from, to } => {
                write!(f, "widen column {column} from {from} to {to}")
            }
            Step::Relax { column } => write!(f, "let column {column} be null"),
            Step::Document { column: Some(column) } => write!(f, "document column {column}"),
            Step::Document { column: None } => f.write_str("document the table"),
            Step::Sort { to, .. } if to.is_empty() => {
                f.write_str("sort the rows of an hour no more")
            }
            Step::Sort { to, .. } => write!(f, "sort the rows of an hour by {}", to.join(", ")),
            Step::Partition { from, to } => {
                write!(f, "partition new files by {}, not by {}", to.name(), from.name())
            }
            Step::Contract { from: Some(from), to } => write!(f, "go from contract {from} to {to}"),
            Step::Contract { from: None, to } => write!(f, "note contract {to}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "column {column}: {}; {}", self.why, self.way_out),
            None => write!(f, "{}; {}", self.why, self.way_out),
        }
    }
}

#[cfg(test)]
mod tests {
    use PrimitiveType::{Decimal, Double, Float, Int, Long, String as Text};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_table_without_todays_column_for_the_partition_is_refused() {
        let table = schema(&[(1, "a", Text), (2, "_partition", Int)]);
        let wanted = schema(&[(1, "a", Text), (2, column::PARTITION, Int)]);
        let plan = plan_evolution(&table, &wanted, 2).unwrap();
        assert!(plan.steps.is_empty() && plan.schema.is_none(), "{plan:?}");
        assert!(plan.refused[0].to_string().contains("new warehouse"), "{plan:?}");
    }

    fn schema(fields: &[(i32, &str, PrimitiveType)]) -> Schema {
        let field = |(id, name, kind): &(i32, &str, PrimitiveType)| {
            NestedField::optional(*id, *name, Type::Primitive(kind.clone())).into()
        };
        Schema::builder().with_fields(fields.iter().map(field)).build().unwrap()
    }

    fn decimal(precision: u32, scale: u32) -> PrimitiveType {
        Decimal { precision, scale }
    }

    fn said(plan: &Plan) -> Vec<String> {
        plan.steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn columns_are_added_in_their_place_with_ids_that_were_never_used() {
        let table = schema(&[(1, "a", Text), (2, "b", Int), (5, "_offset", Long)]);
        let wanted = schema(&[
            (1, "a", Text),
            (2, "x", Long),
            (3, "b", Int),
            (4, "y", Text),
            (5, "_offset", Long),
        ]);
        let plan = plan_evolution(&table, &wanted, 9).unwrap();
        assert_eq!(said(&plan), ["add column x (long)", "add column y (string)"]);
        let after = plan.schema.unwrap();
        let fields: Vec<_> =
            after.as_struct().fields().iter().map(|f| (f.id, f.name.as_str())).collect();
        assert_eq!(fields, [(1, "a"), (10, "x"), (2, "b"), (11, "y"), (5, "_offset")]);
    }

    #[test]
    fn types_may_grow_and_nothing_else() {
        let table =
            schema(&[(1, "n", Int), (2, "f", Float), (3, "d", decimal(9, 2)), (4, "old", Text)]);
        let wanted = schema(&[(1, "n", Long), (2, "f", Double), (3, "d", decimal(12, 2))]);
        let plan = plan_evolution(&table, &wanted, 4).unwrap();
        assert_eq!(
            said(&plan),
            [
                "widen column n from int to long",
                "widen column f from float to double",
                "widen column d from decimal(9, 2) to decimal(12, 2)",
            ]
        );
        assert_eq!(plan.unused, ["old"]);
        // Whoever still has the old contract fits the wider table.
        let back = plan_evolution(&plan.schema.unwrap(), &table, 4).unwrap();
        assert!(back.steps.is_empty() && back.refused.is_empty() && back.schema.is_none());

        for other in [Text, decimal(12, 3), Double] {
            let plan = plan_evolution(&table, &schema(&[(1, "d", other)]), 4).unwrap();
            assert!(plan.schema.is_none() && plan.steps.is_empty());
            assert!(plan.refused[0].to_string().contains("another name"), "{}", plan.refused[0]);
        }
        let like =
            plan_evolution(&schema(&[(1, "Price", Text)]), &schema(&[(1, "price", Text)]), 1);
        assert!(like.unwrap().refused[0].why.contains("Price"));
    }

    #[test]
    fn what_must_be_there_may_be_null_and_comments_change() {
        let field = |required, doc: &str| {
            let field = NestedField::new(1, "a", Type::Primitive(Text), required).with_doc(doc);
            Schema::builder().with_fields([Arc::new(field)]).build().unwrap()
        };
        let plan = plan_evolution(&field(true, "x"), &field(false, "y"), 1).unwrap();
        assert_eq!(said(&plan), ["let column a be null", "document column a"]);
        let after = plan.schema.unwrap();
        assert!(!after.as_struct().fields()[0].required);
        assert_eq!(after.as_struct().fields()[0].doc.as_deref(), Some("y"));
    }

    fn kind() -> impl Strategy<Value = PrimitiveType> {
        prop_oneof![
            Just(Int),
            Just(Long),
            Just(Float),
            Just(Double),
            Just(Text),
            (1u32..12, 0u32..2).prop_map(|(precision, scale)| decimal(precision + scale, scale)),
        ]
    }

    proptest! {
        #[test]
        fn a_plan_done_leaves_nothing_to_do_and_moves_no_field(
            table in prop::collection::btree_map("[a-e]", kind(), 1..5),
            wanted in prop::collection::btree_map("[a-e]", kind(), 1..5),
        ) {
            let of = |columns: &std::collections::BTreeMap<String, PrimitiveType>| {
                let columns: Vec<_> = (1..).zip(columns).map(|(i, (n, k))| (i, n.as_str(), k.clone())).collect();
                schema(&columns)
            };
            let (table, wanted) = (of(&table), of(&wanted));
            let plan = plan_evolution(&table, &wanted, 7).unwrap();
            prop_assert_eq!(plan.schema.is_some(), plan.refused.is_empty() && !plan.steps.is_empty());
            let Some(after) = plan.schema else { return Ok(()) };
            for field in table.as_struct().fields() {
                let kept = after.field_by_id(field.id).unwrap();
                prop_assert_eq!(&kept.name, &field.name);
            }
            let again = plan_evolution(&after, &wanted, 20).unwrap();
            prop_assert!(again.steps.is_empty() && again.refused.is_empty());
        }
    }
}
