//! A contract that changes while its stream runs.

use std::sync::Arc;

use weir_contract::contract::Contract;

/// Where a stream's contract comes from.
pub trait News: Send {
    /// The contract, if it changed since this was last asked, or why it cannot be used. Cheap where
    /// nothing changed: it is asked between every two batches.
    fn look(&mut self) -> Option<Result<Arc<Contract>, String>>;
}

/// What is known of a contract that is not in use yet.
#[derive(Default)]
pub(crate) struct Pending {
    contract: Option<Arc<Contract>>,
    /// Why it waits, as it was told last.
    told: Option<String>,
}

impl Pending {
    /// Takes note of what came, while `current` is in use; why it cannot be used, if it cannot.
    pub fn hear(
        &mut self,
        current: &Contract,
        news: Result<Arc<Contract>, String>,
    ) -> Option<String> {
        *self = Pending::default();
        let contract = match news {
            Ok(contract) => contract,
            Err(why) => return Some(why),
        };
        if contract.id != current.id {
            return Some(format!("it is that of {}, not of {}", contract.id, current.id));
        }
        self.contract = (*contract != *current).then_some(contract);
        None
    }

    /// The contract that waits.
    pub fn contract(&self) -> Option<Arc<Contract>> {
        self.contract.clone()
    }

    /// Whether `why` it waits is to be told: each reason once.
    pub fn waits(&mut self, why: &str) -> bool {
        let new = self.told.as_deref() != Some(why);
        self.told = Some(why.to_string());
        new
    }

    /// It is in use.
    pub fn taken(&mut self) {
        *self = Pending::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(id: &str, version: &str) -> Arc<Contract> {
        Arc::new(Contract { id: id.into(), version: version.into(), ..Contract::default() })
    }

    #[test]
    fn only_another_version_of_the_same_contract_waits() {
        let current = contract("a", "1.0.0");
        let mut pending = Pending::default();
        assert_eq!(pending.hear(&current, Ok(contract("a", "1.0.0"))), None);
        assert!(pending.contract().is_none());
        assert_eq!(pending.hear(&current, Ok(contract("a", "1.1.0"))), None);
        assert!(pending.contract().is_some());
        assert!(pending.waits("a column is missing") && !pending.waits("a column is missing"));
        assert!(pending.waits("another one"));
        // Whatever comes next replaces it, be it a mistake.
        let other = pending.hear(&current, Ok(contract("b", "1.0.0")));
        assert!(other.is_some_and(|why| why.contains("not of a")) && pending.contract().is_none());
        assert_eq!(pending.hear(&current, Err("line 7".into())), Some("line 7".into()));
    }
}
