//! What a stream knows of its topic while nothing comes: written without a snapshot.

use std::collections::HashMap;

use iceberg::TableUpdate;
use weir_contract::coverage::Coverage;
use weir_contract::names::key;

use crate::commit::alter::{Alter, alter};
use crate::{Base, Lake, Result};

impl Lake {
    /// Writes down what is known of the topic of a raw table, whose newest version is returned.
    ///
    /// Errors: those of a commit. Nothing is lost with what was not written: less is known than could be.
    pub async fn cover(&self, base: Base, news: &Coverage) -> Result<Base> {
        let mut decide = |base: &Base| {
            let known = base.coverage().unwrap_or_default();
            let after = known.then(news, &base.progress()?);
            if after == known {
                return Ok(Alter::Nothing);
            }
            let updates = HashMap::from([(key::COVERAGE.to_string(), after.to_json())]);
            Ok(Alter::Updates(vec![TableUpdate::SetProperties { updates }]))
        };
        Ok(alter(self, base, "writing down the coverage", &mut decide).await?.base)
    }
}
