//! A first contract, drafted from records that were seen: a start for people, who know more.
//!
//! [`Observer`] counts what records hold, in bounded memory; [`Observer::draft`] writes the YAML.

mod draft;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use self::seen::Seen;
use crate::contract::Path;

/// How many members are told apart; a contract with more is not for people.
const MEMBERS_MAX: usize = 1000;
/// How many event types are told apart.
const TYPES_MAX: usize = 32;

/// What records held.
#[derive(Debug, Default)]
pub struct Observer {
    records: usize,
    tombstones: usize,
    /// Records that are no JSON object.
    strangers: usize,
    /// Records that hold a member twice: the decoder rejects them.
    twins: usize,
    /// Members in the order in which they were met, and where each stands there.
    members: Vec<(Path, Seen)>,
    places: BTreeMap<Path, usize>,
    /// Members that were passed over because there were too many.
    beyond: usize,
    /// Event types, and how many records are of each; none if there were too many.
    types: Option<Vec<(String, usize)>>,
    /// Records whose `type` is a string.
    typed: usize,
}

impl Observer {
    /// An observer that has seen nothing.
    pub fn new() -> Observer {
        Observer { types: Some(Vec::new()), ..Observer::default() }
    }

    /// How many records were seen.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Looks at the value of a record.
    pub fn observe(&mut self, value: Option<&[u8]>) {
        self.records += 1;
        let Some(value) = value else {
            self.tombstones += 1;
            return;
        };
        let Ok(Members(members)) = serde_json::from_slice(value) else {
            self.strangers += 1;
            return;
        };
        let inside: Vec<_> = members
            .iter()
            .map(|(_, value)| serde_json::from_str::<Members<'_>>(value).ok())
            .collect();
        if repeats(&members) || inside.iter().flatten().any(|Members(inside)| repeats(inside)) {
            self.twins += 1;
            return;
        }
        let event_type = members.iter().find(|(name, _)| name == "type");
        let event_type = event_type.and_then(|(_, value)| serde_json::from_str(value).ok());
        let event_type = event_type.and_then(|event_type| self.event_type(event_type));
        for ((name, value), inside) in members.into_iter().zip(inside) {
            if let Some(Members(inside)) = inside {
                for (member, value) in inside {
                    let path = Path { object: Some(name.clone()), member };
                    self.member(path, value, event_type);
                }
            }
            self.member(Path { object: None, member: name }, value, event_type);
        }
    }

    /// Counts the event type, and says its number.
    fn event_type(&mut self, name: String) -> Option<usize> {
        self.typed += 1;
        let types = self.types.as_mut()?;
        let place = types.iter().position(|(known, _)| *known == name);
        match place {
            Some(place) => types[place].1 += 1,
            None if types.len() == TYPES_MAX => self.types = None,
            None => {
                types.push((name, 1));
                return Some(types.len() - 1);
            }
        }
        place
    }

    fn member(&mut self, path: Path, value: &str, event_type: Option<usize>) {
        let place = match self.places.get(&path) {
            Some(place) => *place,
            None if self.members.len() == MEMBERS_MAX => {
                self.beyond += 1;
                return;
            }
            None => {
                self.places.insert(path.clone(), self.members.len());
                self.members.push((path, Seen::default()));
                self.members.len() - 1
            }
        };
        self.members[place].1.add(value, event_type);
    }

    /// Records that were looked into.
    fn objects(&self) -> usize {
        self.records - self.tombstones - self.strangers - self.twins
    }

    fn seen(&self, object: Option<&str>, member: &str) -> Option<&Seen> {
        let path = Path { object: object.map(str::to_owned), member: member.to_owned() };
        self.places.get(&path).map(|place| &self.members[*place].1)
    }
}

/// Whether a name stands there twice.
fn repeats(members: &[(String, &str)]) -> bool {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

/// An object's members in their order, each value as its text.
struct Members<'a>(Vec<(String, &'a str)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}
