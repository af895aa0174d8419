//! docs/readers.md: its tables are what the suite saw. A run fails where it sees otherwise, and writes
//! them anew with `WEIR_BLESS=1`.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use weir_tests::lab;

/// A table of the page: features down, readers across.
pub struct Table {
    name: &'static str,
    readers: Vec<&'static str>,
    rows: Vec<(String, Vec<String>)>,
}

/// What an engine cannot do, and why; `says` is part of what it says.
pub struct Known {
    /// The reader.
    pub reader: &'static str,
    /// How the feature begins.
    pub feature: &'static str,
    /// What is said.
    pub says: &'static str,
    /// For the page.
    pub why: &'static str,
}

impl Table {
    /// An empty one, for the mark `<!-- seen: NAME -->` of the page.
    pub fn new(name: &'static str, readers: &[&'static str]) -> Table {
        Table { name, readers: readers.to_vec(), rows: Vec::new() }
    }

    /// Notes what a reader did with a feature. What is not known to be refused fails.
    pub fn see(
        &mut self,
        reader: &str,
        feature: &str,
        seen: Result<Value>,
        known: &[Known],
    ) -> Result<()> {
        let cell = match seen {
            Ok(seen) => {
                println!("{}: {reader}: {feature}: yes {seen}", self.name);
                "yes".to_string()
            }
            Err(error) => {
                let text = format!("{error:#}");
                println!("{}: {reader}: {feature}: {text}", self.name);
                let of = |k: &&Known| k.reader == reader && feature.starts_with(k.feature);
                let Some(known) = known.iter().filter(of).find(|k| text.contains(k.says)) else {
                    bail!("{reader}: {feature}: {text}");
                };
                format!("no: {}", known.why)
            }
        };
        self.note(reader, feature, cell)
    }

    /// A cell as it stands.
    pub fn note(&mut self, reader: &str, feature: &str, cell: String) -> Result<()> {
        let column = self.readers.iter().position(|r| *r == reader).context("no such reader")?;
        let row = match self.rows.iter_mut().find(|(named, _)| named == feature) {
            Some(row) => row,
            None => {
                self.rows.push((feature.into(), vec!["–".into(); self.readers.len()]));
                self.rows.last_mut().context("a row")?
            }
        };
        row.1[column] = cell;
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = format!("| | {} |\n|", self.readers.join(" | "));
        text += &" --- |".repeat(self.readers.len() + 1);
        for (feature, cells) in &self.rows {
            text += &format!("\n| {feature} | {} |", cells.join(" | "));
        }
        text
    }

    /// Compares with the page, or writes the page.
    pub fn settle(&self) -> Result<()> {
        let path = lab::repository().join("docs/readers.md");
        let page = fs::read_to_string(&path).context("docs/readers.md")?;
        let (begin, end) = (format!("<!-- seen: {} -->\n", self.name), "\n<!-- end -->");
        let (before, rest) = page.split_once(&begin).with_context(|| format!("no {begin}"))?;
        let (stands, after) = rest.split_once(end).with_context(|| format!("no end of {begin}"))?;
        let seen = self.text();
        if std::env::var_os("WEIR_BLESS").is_some() {
            return Ok(fs::write(&path, format!("{before}{begin}{seen}{end}{after}"))?);
        }
        ensure!(
            stands == seen,
            "docs/readers.md says otherwise (WEIR_BLESS=1 writes it anew); seen:\n{seen}"
        );
        Ok(())
    }
}
