//! A contract, prepared for decoding: which member is which column, and what each type requires.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field as ArrowField, Fields, Schema, SchemaRef, TimeUnit};

use crate::contract::{Contract, FieldType, Path, Requirement};
use crate::names::column;

/// CloudEvents members that describe the envelope; no part of `_extra` where no column claims them.
const ENVELOPE: [&str; 3] = ["specversion", "datacontenttype", "dataschema"];

/// What a member's name stands for. A *token* numbers every known member: first the columns, then
/// the objects, then what is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    /// The column of this number.
    Column(usize),
    /// An object that holds columns.
    Object(usize),
    /// A member that is read and not stored.
    Unstored(usize),
}

/// An object of the record that holds columns.
#[derive(Debug)]
pub(super) struct Object {
    pub name: String,
    /// The name as a JSON string.
    pub quoted: String,
    /// The column that holds the object itself, verbatim, if any.
    pub column: Option<usize>,
    /// Where its first column stands in the order of checks.
    pub rank: usize,
    /// Does it hold a member that is hashed or dropped?
    pub protected: bool,
}

/// The prepared contract.
#[derive(Debug)]
pub(super) struct Plan {
    /// Members of the record, then of each object.
    pub scopes: Vec<Names>,
    pub objects: Vec<Object>,
    /// How many columns there are.
    pub columns: usize,
    /// How many tokens there are.
    pub tokens: usize,
    /// Per event type, behind the set for an unknown or absent type: the columns it requires.
    required: Vec<TokenSet>,
    /// The columns in the order of checks: the event's type, then as in the contract.
    pub order: Vec<usize>,
    /// Each column's place in `order`.
    pub ranks: Vec<usize>,
    /// The columns of [`column::IDENTITY`].
    pub identity: [Option<usize>; 4],
    /// Per column: is it hashed?
    pub hashed: Vec<bool>,
    /// Scopes of the members that are not stored: those that the contract drops, then the envelope.
    unstored: Vec<usize>,
    /// How many of them the contract drops.
    dropped: usize,
}

/// The scope of the record itself.
pub(super) const TOP: usize = 0;

/// The scope of an object's members.
pub(super) fn scope_of(object: usize) -> usize {
    object + 1
}

impl Plan {
    pub fn new(contract: &Contract) -> Plan {
        let fields = &contract.fields;
        let mut order: Vec<usize> = (0..fields.len()).collect();
        order.sort_by_key(|&c| fields[c].name != column::EVENT_TYPE);
        let mut ranks = vec![0; fields.len()];
        for (rank, &c) in order.iter().enumerate() {
            ranks[c] = rank;
        }
        let paths = fields.iter().map(|f| &f.path).chain(&contract.dropped);
        let names: BTreeSet<&String> = paths.filter_map(|path| path.object.as_ref()).collect();
        let inside = |object: &str, c: usize| fields[c].path.object.as_deref() == Some(object);
        let hashed = fields.iter().filter(|f| f.hashed).map(|f| &f.path);
        let protected: Vec<&Path> = hashed.chain(&contract.dropped).collect();
        let objects: Vec<Object> = names
            .into_iter()
            .map(|name| Object {
                name: name.clone(),
                quoted: serde_json::Value::from(name.as_str()).to_string(),
                column: fields
                    .iter()
                    .position(|f| f.path.object.is_none() && f.path.member == *name),
                rank: order.iter().position(|&c| inside(name, c)).unwrap_or(order.len()),
                protected: protected.iter().any(|path| path.object.as_ref() == Some(name)),
            })
            .collect();
        let columns = fields.len();
        let scope = |path: &Path| {
            let object = objects.iter().position(|o| Some(&o.name) == path.object.as_ref());
            object.map_or(TOP, scope_of)
        };
        let unstored: Vec<usize> =
            contract.dropped.iter().map(scope).chain(ENVELOPE.map(|_| TOP)).collect();
        Plan {
            scopes: scopes(contract, &objects),
            columns,
            tokens: columns + objects.len() + unstored.len(),
            objects,
            required: required(contract),
            order,
            ranks,
            identity: column::IDENTITY.map(|name| contract.index_of(name)),
            hashed: fields.iter().map(|f| f.hashed).collect(),
            unstored,
            dropped: contract.dropped.len(),
        }
    }

    /// The token of a member.
    #[inline]
    pub fn token(&self, member: Member) -> usize {
        match member {
            Member::Column(c) => c,
            Member::Object(o) => self.columns + o,
            Member::Unstored(u) => self.columns + self.objects.len() + u,
        }
    }

    /// The scope of a token that is not stored; of any other, the record's.
    #[inline]
    pub fn unstored_scope(&self, token: usize) -> usize {
        let number = token.wrapping_sub(self.columns + self.objects.len());
        self.unstored.get(number).copied().unwrap_or(TOP)
    }

    /// Must the member not be stored as it came?
    pub fn protects(&self, member: Member) -> bool {
        match member {
            Member::Column(c) => self.hashed[c],
            Member::Object(o) => self.objects[o].protected,
            Member::Unstored(u) => u < self.dropped,
        }
    }

    /// The columns that an event of this type (an index into the contract's types) must hold.
    #[inline]
    pub fn required(&self, event_type: Option<usize>) -> &TokenSet {
        &self.required[event_type.map_or(0, |t| t + 1)]
    }
}

fn scopes(contract: &Contract, objects: &[Object]) -> Vec<Names> {
    let columns = |object: Option<&str>| -> Vec<(String, Member)> {
        let fields = contract.fields.iter().enumerate();
        let inside = fields.filter(|(_, f)| f.path.object.as_deref() == object);
        let columns = inside.map(|(c, f)| (f.path.member.clone(), Member::Column(c)));
        let dropped = contract.dropped.iter().enumerate();
        let inside = dropped.filter(|(_, path)| path.object.as_deref() == object);
        columns.chain(inside.map(|(u, path)| (path.member.clone(), Member::Unstored(u)))).collect()
    };
    let envelope = (contract.dropped.len()..).zip(ENVELOPE);
    let named = objects.iter().enumerate();
    let mut top: Vec<_> =
        named.map(|(o, object)| (object.name.clone(), Member::Object(o))).collect();
    top.extend(columns(None));
    top.extend(envelope.map(|(u, name)| (name.to_string(), Member::Unstored(u))));
    let mut scopes = vec![Names::new(top)];
    scopes.extend(objects.iter().map(|object| Names::new(columns(Some(&object.name)))));
    scopes
}

fn required(contract: &Contract) -> Vec<TokenSet> {
    let set = |event_type: Option<usize>| {
        let mut set = TokenSet::new(contract.fields.len());
        for (c, field) in contract.fields.iter().enumerate() {
            let needed = match &field.required {
                Requirement::Never => false,
                Requirement::Always => true,
                Requirement::For(types) => event_type.is_some_and(|t| types.contains(&t)),
            };
            // The event's time partitions the table: no accepted row can be without it.
            if needed || field.name == column::EVENT_TIME {
                set.insert(c);
            }
        }
        set
    };
    let mut sets = vec![set(None)];
    sets.extend((0..contract.event_types.len()).map(|t| set(Some(t))));
    sets
}

/// A set of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenSet {
    words: Vec<u64>,
}

impl TokenSet {
    /// An empty set for tokens below `tokens`.
    pub fn new(tokens: usize) -> TokenSet {
        TokenSet { words: vec![0; tokens.div_ceil(64)] }
    }

    /// Adds a token; false if it was there (or can never be).
    #[inline(always)]
    pub fn insert(&mut self, token: usize) -> bool {
        let Some(word) = self.words.get_mut(token / 64) else { return false };
        let bit = 1 << (token % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    #[inline]
    pub fn contains(&self, token: usize) -> bool {
        self.words.get(token / 64).is_some_and(|word| word & 1 << (token % 64) != 0)
    }

    #[inline]
    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    /// Is all of this set in `some`, but nothing of it in `none`?
    #[inline]
    pub fn within(&self, some: &TokenSet, none: &TokenSet) -> bool {
        let others = some.words.iter().zip(&none.words);
        self.words.iter().zip(others).all(|(word, (some, none))| word & !(some & !none) == 0)
    }
}

/// The known members of one scope: a hash table over names.
#[derive(Debug)]
pub(super) struct Names {
    slots: Vec<Option<(Box<[u8]>, Member)>>,
}

impl Names {
    /// Where a name occurs twice, the first counts.
    fn new(members: Vec<(String, Member)>) -> Names {
        let mut names = Names { slots: vec![None; (members.len() * 4).next_power_of_two()] };
        for (name, member) in members {
            let slot = names.slot(name.as_bytes());
            if names.slots[slot].is_none() {
                names.slots[slot] = Some((name.into_bytes().into(), member));
            }
        }
        names
    }

    /// What the member of this name is, if known.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<Member> {
        self.slots[self.slot(name)].as_ref().map(|(_, member)| *member)
    }

    /// The slot that holds the name, or the free one where it would stand.
    #[inline]
    fn slot(&self, name: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash(name) as usize & mask;
        while let Some((held, _)) = &self.slots[slot]
            && **held != *name
        {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// Length, first and last bytes, mixed: members of one contract seldom share all three.
#[inline]
fn hash(name: &[u8]) -> u64 {
    let word = match (name.first_chunk(), name.last_chunk()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
        }
        _ => name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    let mixed = (word ^ name.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ mixed >> 32
}

/// The Arrow type of a contract column.
pub(super) fn arrow_type(kind: FieldType) -> DataType {
    match kind {
        FieldType::String | FieldType::Json => DataType::Utf8,
        FieldType::Boolean => DataType::Boolean,
        FieldType::Int => DataType::Int32,
        FieldType::Long => DataType::Int64,
        FieldType::Double => DataType::Float64,
        FieldType::Decimal { precision, scale } => DataType::Decimal128(precision, scale as i8),
        FieldType::Timestamp => timestamp_type(),
        FieldType::Date => DataType::Date32,
    }
}

/// Microseconds, UTC.
pub(super) fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Members of `_error`.
pub(super) fn error_fields() -> Fields {
    column::ERROR_MEMBERS.iter().map(|m| ArrowField::new(*m, DataType::Utf8, true)).collect()
}

/// The Arrow schema of a raw table: the contract's columns in order, then the reserved ones.
/// Without field ids: the catalog aligns by name.
pub fn raw_schema(contract: &Contract) -> SchemaRef {
    let columns = contract.fields.iter().map(|f| (f.name.as_str(), arrow_type(f.kind)));
    let reserved = [
        (column::SOURCE, DataType::Utf8),
        (column::PARTITION, DataType::Int32),
        (column::OFFSET, DataType::Int64),
        (column::KAFKA_TIME, timestamp_type()),
        (column::INGESTED_AT, timestamp_type()),
        (column::KEY, DataType::Binary),
        (column::TRACE_ID, DataType::Utf8),
        (column::EXTRA, DataType::Utf8),
        (column::ERROR, DataType::Struct(error_fields())),
        (column::VALUE, DataType::Binary),
        (column::HEADERS, DataType::Binary),
        (column::REV, DataType::Int32),
    ];
    let fields = columns.chain(reserved).map(|(name, kind)| ArrowField::new(name, kind, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
