//! A command that did not do what it was asked: what happened, where, and what to do next.

use std::fmt;

use serde_json::{Value, json};
use weir_catalog::CatalogError;
use weir_contract::class::ErrorClass;
use weir_fleet::error::FleetError;

/// Ends a command. It is printed once, by `main`, and decides the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Decides the exit code.
    pub class: ErrorClass,
    /// What happened: lower case, no full stop.
    pub what: String,
    /// Where: files with lines, tables, partitions; may be empty.
    pub places: Vec<String>,
    /// What to do next.
    pub next: String,
}

impl Failure {
    /// A failure with the advice of its class.
    pub fn new(class: ErrorClass, what: impl fmt::Display) -> Failure {
        Failure {
            class,
            what: what.to_string(),
            places: Vec::new(),
            next: class.advice().to_string(),
        }
    }

    /// The command, the config or a contract is wrong: exit code 2.
    pub fn config(what: impl fmt::Display) -> Failure {
        Failure::new(ErrorClass::BadConfig, what)
    }

    /// Permissions do not allow it.
    pub fn denied(what: impl fmt::Display) -> Failure {
        Failure::new(ErrorClass::Denied, what)
    }

    /// Weir itself is wrong.
    pub fn bug(what: impl fmt::Display) -> Failure {
        Failure::new(ErrorClass::Bug, what)
    }

    /// What the lake says.
    pub fn catalog(error: CatalogError) -> Failure {
        Failure::new(error.class(), error.message())
    }

    /// What the fleet says.
    pub fn fleet(error: FleetError) -> Failure {
        if error.reader_gone {
            return Failure::stdout(&std::io::ErrorKind::BrokenPipe.into());
        }
        Failure::new(error.class, error.message)
    }

    /// Names a place; may be called again.
    pub fn at(mut self, place: impl fmt::Display) -> Failure {
        self.places.push(place.to_string());
        self
    }

    /// Says what to do next, better than the class can.
    pub fn next(mut self, advice: impl fmt::Display) -> Failure {
        self.next = advice.to_string();
        self
    }

    /// For people: several lines.
    pub fn human(&self) -> String {
        let mut text = format!("error: {}\n", self.what);
        for place in &self.places {
            text.push_str(&format!("  where: {place}\n"));
        }
        text.push_str(&format!("  next: {}\n", self.next));
        text
    }

    /// For machines: the members of a log line.
    pub fn json(&self) -> Value {
        json!({
            "error_class": self.class.name(),
            "message": self.what,
            "where": self.places,
            "next": self.next,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_where_and_what_next() {
        let failure = Failure::config("2 mistakes in the config")
            .at("weir.toml:3: a")
            .at("weir.toml:9: b")
            .next("correct them");
        assert_eq!(
            failure.human(),
            "error: 2 mistakes in the config\n  where: weir.toml:3: a\n  where: weir.toml:9: b\n  \
             next: correct them\n"
        );
        assert_eq!(failure.json()["error_class"], "bad_config");
        assert_eq!(failure.class.exit_code(), 2);
    }

    #[test]
    fn without_better_advice_the_class_advises() {
        let failure = Failure::new(ErrorClass::Retry, "the broker is away");
        assert!(failure.human().contains("run the same command again"));
    }
}
