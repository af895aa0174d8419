//! Which of the metadata files in a table's folder is the table. Pure.
//!
//! Each commit writes a file of the next version, then moves the pointer. So the greatest version is
//! the table's last state, or one commit further: a commit whose pointer never moved holds whole,
//! durable data, and progress that goes with it. What cannot be told is which of two files of the
//! greatest version was the table's: their writers raced, and one of them lost.

/// What is known of one metadata file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// Where it stands.
    pub location: String,
    /// The number that its name begins with.
    pub version: u64,
    /// What it says, or why it cannot be read.
    pub content: Result<Content, String>,
}

/// What a metadata file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The table's id.
    pub uuid: String,
    /// The table's folder.
    pub table: String,
    /// When it was written, ms since the epoch.
    pub updated_at_ms: i64,
    /// The current snapshot.
    pub snapshot: Option<i64>,
    /// Rows of it.
    pub records: Option<i64>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Newest<'a> {
    /// There is no metadata file.
    None,
    /// This one.
    One(&'a FileFacts),
    /// A person must decide between these: why.
    Ambiguous(Vec<&'a FileFacts>, String),
}

/// The newest of the files in the metadata folder of the table whose folder is `table`.
pub fn newest<'a>(table: &str, files: &'a [FileFacts]) -> Newest<'a> {
    let Some(version) = files.iter().map(|file| file.version).max() else { return Newest::None };
    let top: Vec<&FileFacts> = files.iter().filter(|file| file.version == version).collect();
    if let Some(why) = top.iter().find_map(|file| file.content.as_ref().err()) {
        return Newest::Ambiguous(candidates(files), format!("the newest cannot be read: {why}"));
    }
    let of = |file: &&'a FileFacts| -> Option<&'a Content> { file.content.as_ref().ok() };
    if let Some(other) = top.iter().filter_map(of).find(|content| content.table != table) {
        let why = format!(
            "they were copied from {}, and the files that they name stand there",
            other.table
        );
        return Newest::Ambiguous(top, why);
    }
    let first = top.first().and_then(of).map(|content| &content.uuid);
    let another = files.iter().filter_map(|file| of(&file));
    if another.into_iter().any(|content| Some(&content.uuid) != first) {
        let why = "two tables have stood in this folder, one after the other".to_string();
        return Newest::Ambiguous(candidates(files), why);
    }
    match top[..] {
        [one] => Newest::One(one),
        _ => {
            let why = "their writers raced, and only one of them can have won".to_string();
            Newest::Ambiguous(top, why)
        }
    }
}

/// The newest readable file of each table, and what is newer and cannot be read.
fn candidates(files: &[FileFacts]) -> Vec<&FileFacts> {
    let mut sorted: Vec<&FileFacts> = files.iter().collect();
    sorted.sort_by(|a, b| (b.version, &b.location).cmp(&(a.version, &a.location)));
    let mut seen: Vec<(&String, u64)> = Vec::new();
    sorted.retain(|file| match &file.content {
        Err(_) => seen.is_empty(),
        Ok(content) => match seen.iter().find(|(uuid, _)| **uuid == content.uuid) {
            Some((_, version)) => *version == file.version,
            None => {
                seen.push((&content.uuid, file.version));
                true
            }
        },
    });
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u64, name: &str, uuid: &str) -> FileFacts {
        FileFacts {
            location: format!("/w/t/metadata/{version:05}-{name}.metadata.json"),
            version,
            content: Ok(Content {
                uuid: uuid.into(),
                table: "/w/t".into(),
                updated_at_ms: 0,
                snapshot: None,
                records: None,
            }),
        }
    }

    fn ambiguous(files: &[FileFacts], expect: &[usize], says: &str) {
        match newest("/w/t", files) {
            Newest::Ambiguous(found, why) => {
                let expect: Vec<_> = expect.iter().map(|i| &files[*i]).collect();
                assert_eq!(found, expect);
                assert!(why.contains(says), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_greatest_version_is_the_table() {
        assert_eq!(newest("/w/t", &[]), Newest::None);
        // A loser of an earlier race does not matter.
        let files = [file(3, "a", "u"), file(5, "b", "u"), file(4, "c", "u"), file(4, "d", "u")];
        assert_eq!(newest("/w/t", &files), Newest::One(&files[1]));
        // Nor does an old file that is damaged.
        let mut damaged = files.clone();
        damaged[0].content = Err("cut off".into());
        assert_eq!(newest("/w/t", &damaged), Newest::One(&damaged[1]));
    }

    #[test]
    fn what_cannot_be_told_is_left_to_people() {
        let race = [file(4, "a", "u"), file(5, "b", "u"), file(5, "c", "u")];
        ambiguous(&race, &[1, 2], "raced");
        // The second table of this folder is the newer one, though its versions are smaller.
        let two = [file(57, "a", "old"), file(3, "b", "new"), file(2, "c", "new")];
        ambiguous(&two, &[0, 1], "two tables");
        let mut damaged = [file(4, "a", "u"), file(5, "b", "u"), file(3, "c", "u")];
        damaged[1].content = Err("cut off".into());
        ambiguous(&damaged, &[1, 0], "cannot be read: cut off");
        assert!(matches!(newest("/moved/t", &race[..1]), Newest::Ambiguous(_, why)
            if why.contains("copied from /w/t")));
    }
}
