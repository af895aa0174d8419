//! Tags that people set: a name for a state of a table that must not expire.

use iceberg::TableUpdate;
use serde::Serialize;
use weir_contract::names::{TAG_PREFIX, TableName};

use crate::commit::alter::{Alter, Altered, alter};
use crate::commit::keep::set_tag;
use crate::look::no_table;
use crate::look::which::{Found, Which, find, no_tag};
use crate::{Base, CatalogError, Lake, Result};

/// Characters of a tag's name at most.
const NAME_MAX: usize = 100;

/// What came of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tagged {
    /// The tag.
    pub tag: String,
    /// What it keeps, or kept.
    #[serde(flatten)]
    pub found: Found,
    /// Whether this call changed anything.
    pub changed: bool,
}

/// Whether people may give a tag this name: one that no engine takes for anything else, and that the
/// ladder does not use.
pub fn check_name(tag: &str) -> Result<(), String> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let letter = tag.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    if !letter || tag.len() > NAME_MAX || !tag.bytes().all(valid) {
        return Err(format!(
            "a tag begins with a letter and has at most {NAME_MAX} letters, digits, dots, \
             underscores and hyphens, found {tag:?}"
        ));
    }
    if tag.starts_with(TAG_PREFIX) {
        return Err(format!(
            "tags that begin with {TAG_PREFIX} are set and taken away by the commits themselves; \
             choose another name"
        ));
    }
    if tag.eq_ignore_ascii_case("main") {
        return Err("main is the name of the table's branch; choose another one".into());
    }
    Ok(())
}

/// Tags a state of a table. A tag is never moved: where it names another state, that is an error.
///
/// Errors: bad config (name, no such table or state, the name is taken), and those of a commit.
pub async fn tag(lake: &Lake, table: &TableName, tag: &str, which: &Which) -> Result<Tagged> {
    check_name(tag).map_err(CatalogError::bad_config)?;
    let base = lake.table(table).await?.ok_or_else(|| no_table(table))?;
    let found = find(&base, which)?;
    let id = found.snapshot;
    let Altered { changed, base } = alter(lake, base, &format!("tag {tag}"), &mut |base| {
        match base.loaded.refs.get(tag) {
            Some(there) if !there.is_branch() && there.snapshot_id == id => Ok(Alter::Nothing),
            Some(there) => Err(taken(base, tag, there.is_branch(), there.snapshot_id)),
            // It may have expired meanwhile.
            None => {
                find(base, &Which::Snapshot(id)).map(|_| Alter::Updates(vec![set_tag(tag, id)]))
            }
        }
    })
    .await?;
    let tags = find(&base, &Which::Snapshot(id))?.tags;
    Ok(Tagged { tag: tag.into(), found: Found { tags, ..found }, changed })
}

/// Takes a tag away; what it kept expires like any other snapshot.
///
/// Errors: bad config (no such table or tag, a tag of the ladder), and those of a commit.
pub async fn untag(lake: &Lake, table: &TableName, tag: &str) -> Result<Tagged> {
    check_name(tag).map_err(CatalogError::bad_config)?;
    let base = lake.table(table).await?.ok_or_else(|| no_table(table))?;
    let found = find(&base, &Which::Tag(tag.into()))?;
    let Altered { changed, .. } =
        alter(lake, base, &format!("taking away tag {tag}"), &mut |base| match base
            .loaded
            .refs
            .get(tag)
        {
            None => Ok(Alter::Nothing),
            Some(there) if there.is_branch() => Err(no_tag(base, tag)),
            Some(_) => {
                Ok(Alter::Updates(vec![TableUpdate::RemoveSnapshotRef { ref_name: tag.into() }]))
            }
        })
        .await?;
    Ok(Tagged { tag: tag.into(), found, changed })
}

fn taken(base: &Base, tag: &str, branch: bool, id: i64) -> CatalogError {
    let kind = if branch { "branch" } else { "tag" };
    let way = match branch {
        true => "choose another name".to_string(),
        false => format!("choose another name, or `weir tag {} {tag} --delete` first", base.name),
    };
    CatalogError::bad_config(format!(
        "table {} has a {kind} {tag} at snapshot {id} already; {way}",
        base.name
    ))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use weir_contract::class::ErrorClass;

    use super::*;
    use crate::testing::*;

    #[tokio::test]
    async fn a_tag_keeps_its_snapshot_until_it_is_taken_away() {
        let folder = TempDir::new().unwrap();
        let lake = lake(&folder);
        let mut base = lake.ensure_raw(&contract(), &name()).await.unwrap();
        base = done(append(&lake, base, "first", 0, 0, 5).await).base;
        let first = base.metadata().current_snapshot_id().unwrap();
        let set = tag(&lake, &name(), "audit", &Which::Current).await.unwrap();
        assert!(set.changed && set.found.snapshot == first && set.found.tags == ["audit"]);
        assert!(!tag(&lake, &name(), "audit", &Which::Snapshot(first)).await.unwrap().changed);
        // The writer's base is older: it must not take the tag back.
        for n in 1..20 {
            base = done(append(&lake, base, &format!("{n}"), 0, n * 5, n * 5 + 5).await).base;
        }
        assert_eq!(base.metadata().snapshots().len(), options().snapshots_max + 1);
        assert_eq!(find(&base, &Which::Tag("audit".into())).unwrap().snapshot, first);
        let error = tag(&lake, &name(), "audit", &Which::Current).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::BadConfig);
        assert!(error.to_string().contains(&first.to_string()), "{error}");

        assert!(untag(&lake, &name(), "audit").await.unwrap().changed);
        base = done(append(&lake, base, "last", 0, 100, 105).await).base;
        assert!(base.metadata().snapshot_by_id(first).is_none(), "it expires now");
        let error = untag(&lake, &name(), "audit").await.unwrap_err();
        assert!(error.to_string().contains("it has none"), "{error}");
    }

    #[test]
    fn names_that_mislead_are_refused() {
        check_name("release-2026.11_a").unwrap();
        for wrong in ["", "7", "main", "weir-day-2026-11-28", "a b", "ä", &"a".repeat(101)] {
            assert!(check_name(wrong).is_err(), "{wrong:?}");
        }
    }
}
