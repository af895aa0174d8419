//! Whether a build makes all rows, what is new, or nothing. Pure.

use crate::cut::Cut;
use crate::project::{OnSchemaChange, Strategy};

/// Name and type of columns.
type Columns = Vec<(String, String)>;

/// What is known before a build.
#[derive(Debug, Clone)]
pub struct Facts<'f> {
    /// How an increment is made; none for a table that is made whole.
    pub strategy: Option<Strategy>,
    /// What another SQL means.
    pub on_change: OnSchemaChange,
    /// What the table was made of last; none before its first build.
    pub made_of: Option<&'f Cut>,
    /// What it can be made of now.
    pub roots: &'f Cut,
    /// Whether the SQL is that of the last build.
    pub is_same_sql: bool,
    /// The columns of the table, and those of the SQL.
    pub columns: (Columns, Columns),
    /// Whether the table's rows are those that builds made.
    pub is_whole: bool,
    /// Whether a reference table that it reads had another load.
    pub other_references: bool,
    /// Whether rows have been taken from a source of which the table may have been made.
    pub lost: bool,
    /// All rows are asked for.
    pub full: bool,
    /// Windows are asked for, from the inputs of the last build.
    pub between: bool,
}

/// What a build does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// Nothing.
    Nothing,
    /// It makes all rows, of an incremental model for this reason.
    Whole(Option<&'static str>),
    /// It makes what is new.
    Increment,
    /// It makes some windows anew.
    Repair,
}

/// What a build does.
///
/// # Errors
/// Why it cannot go on, and what to do.
pub fn decide(facts: &Facts<'_>) -> Result<How, String> {
    let Some(made_of) = facts.made_of else {
        return Ok(if facts.between { How::Nothing } else { How::Whole(None) });
    };
    if facts.full {
        return Ok(How::Whole(None));
    }
    if facts.between {
        return repair(facts);
    }
    let is_same = made_of.len() == facts.roots.len()
        && facts
            .roots
            .iter()
            .all(|(name, root)| made_of.get(name).is_some_and(|o| o.reads_as(root)));
    if is_same && facts.is_same_sql {
        return Ok(How::Nothing);
    }
    if facts.strategy.is_none() {
        return Ok(How::Whole(None));
    }
    let Some(why) = anew(facts, made_of)? else { return Ok(How::Increment) };
    if facts.lost {
        return Err(format!(
            "it would be made anew ({why}), and rows of its sources that it was made of are gone; if that \
             is meant: --full-refresh"
        ));
    }
    Ok(How::Whole(Some(why)))
}

fn repair(facts: &Facts<'_>) -> Result<How, String> {
    match facts.strategy {
        Some(Strategy::Microbatch) if !facts.is_same_sql => {
            Err("its SQL changed since its last build; build it first, without an interval".into())
        }
        Some(Strategy::Microbatch) if !facts.is_whole => {
            Err("another engine changed its rows; --full-refresh makes them anew".into())
        }
        Some(Strategy::Microbatch) => Ok(How::Repair),
        _ => Ok(How::Nothing),
    }
}

/// Why no increment would be right.
fn anew(facts: &Facts<'_>, made_of: &Cut) -> Result<Option<&'static str>, String> {
    if !facts.is_whole {
        return Ok(Some("another engine changed its rows"));
    }
    if made_of.len() != facts.roots.len()
        || facts.roots.keys().any(|name| !made_of.contains_key(name))
    {
        return Ok(Some("it reads other sources"));
    }
    if facts.roots.iter().any(|(name, root)| !root.covers(&made_of[name])) {
        return Ok(Some("a source was rolled back"));
    }
    if facts.other_references && facts.strategy != Some(Strategy::Microbatch) {
        return Ok(Some("a reference table had another load"));
    }
    if facts.is_same_sql {
        return Ok(None);
    }
    let (there, wanted) = &facts.columns;
    let other =
        wanted.iter().find(|(name, kind)| there.iter().any(|(n, k)| n == name && k != kind));
    match facts.on_change {
        OnSchemaChange::Refresh => Ok(Some("its SQL changed")),
        OnSchemaChange::Fail if there != wanted => Err(
            "its columns changed, and `on_schema_change` is \"fail\"; --full-refresh makes it anew"
                .into(),
        ),
        _ => match other {
            Some((name, kind)) => Err(format!(
                "column `{name}` becomes a {kind}, which the rows that stay do not have; --full-refresh \
                 makes them anew"
            )),
            None => Ok(None),
        },
    }
}

#[cfg(test)]
mod tests {
    use weir_contract::progress::Root;

    use super::*;

    fn cut(until: i64) -> Cut {
        let root =
            Root { until: [("s".to_string(), [(0, until)].into())].into(), ..Root::default() };
        [("raw.x".to_string(), root)].into()
    }

    fn facts<'f>(made_of: Option<&'f Cut>, roots: &'f Cut) -> Facts<'f> {
        let columns = vec![("n".to_string(), "long".to_string())];
        Facts {
            strategy: Some(Strategy::Microbatch),
            on_change: OnSchemaChange::Refresh,
            made_of,
            roots,
            is_same_sql: true,
            columns: (columns.clone(), columns),
            is_whole: true,
            lost: false,
            other_references: false,
            full: false,
            between: false,
        }
    }

    #[test]
    fn only_what_is_new_is_made_where_that_is_right() {
        let (old, new) = (cut(5), cut(9));
        let plain = facts(Some(&old), &new);
        let whole = |why| Ok(How::Whole(why));
        assert_eq!(decide(&plain), Ok(How::Increment));
        assert_eq!(decide(&facts(None, &new)), whole(None));
        assert_eq!(decide(&facts(Some(&new), &new)), Ok(How::Nothing));
        assert_eq!(decide(&facts(Some(&new), &old)), whole(Some("a source was rolled back")));
        assert_eq!(decide(&Facts { full: true, ..facts(Some(&new), &new) }), whole(None));
        assert_eq!(decide(&Facts { strategy: None, ..plain.clone() }), whole(None));
        let touched = Facts { is_whole: false, ..plain.clone() };
        assert_eq!(decide(&touched), whole(Some("another engine changed its rows")));
        assert!(decide(&Facts { lost: true, ..touched }).unwrap_err().contains("--full-refresh"));
        assert_eq!(decide(&Facts { lost: true, ..plain.clone() }), Ok(How::Increment));
        let loaded = Facts { other_references: true, ..plain.clone() };
        assert_eq!(decide(&loaded), Ok(How::Increment));
        let merge = Facts { strategy: Some(Strategy::Merge), ..loaded };
        assert_eq!(decide(&merge), whole(Some("a reference table had another load")));
        let fewer = Cut::new();
        assert_eq!(decide(&facts(Some(&old), &fewer)), whole(Some("it reads other sources")));
    }

    #[test]
    fn another_sql_means_what_the_model_says() {
        let (old, new) = (cut(5), cut(9));
        let of = |on_change, there: &str, wanted: &str| {
            let columns = |text: &str| text.split(' ').map(|n| (n.into(), "long".into())).collect();
            decide(&Facts {
                on_change,
                is_same_sql: false,
                columns: (columns(there), columns(wanted)),
                ..facts(Some(&old), &new)
            })
        };
        use OnSchemaChange::{AppendNewColumns, Fail, Ignore, Refresh, SyncAllColumns};
        assert_eq!(of(Refresh, "n", "n"), Ok(How::Whole(Some("its SQL changed"))));
        assert_eq!(of(Fail, "n", "n"), Ok(How::Increment));
        assert!(of(Fail, "n", "n m").unwrap_err().contains("columns changed"));
        for goes_on in [Ignore, AppendNewColumns, SyncAllColumns] {
            assert_eq!(of(goes_on, "n", "m"), Ok(How::Increment));
        }
        let other = Facts {
            on_change: SyncAllColumns,
            is_same_sql: false,
            columns: (vec![("n".into(), "long".into())], vec![("n".into(), "string".into())]),
            ..facts(Some(&old), &new)
        };
        assert!(decide(&other).unwrap_err().contains("column `n` becomes a string"));
    }

    #[test]
    fn a_repair_brings_no_news() {
        let (old, new) = (cut(5), cut(9));
        let ask = |facts: Facts<'_>| decide(&Facts { between: true, ..facts });
        assert_eq!(ask(facts(Some(&old), &old)), Ok(How::Repair));
        assert_eq!(ask(facts(None, &new)), Ok(How::Nothing));
        assert_eq!(ask(Facts { strategy: None, ..facts(Some(&old), &old) }), Ok(How::Nothing));
        assert!(ask(Facts { is_same_sql: false, ..facts(Some(&old), &old) }).is_err());
        assert!(ask(Facts { is_whole: false, ..facts(Some(&old), &old) }).is_err());
    }
}
