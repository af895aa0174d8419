//! What somebody who mistyped a word meant.

/// Longer texts are nobody's typing mistake.
const LENGTH_MAX: usize = 128;

/// The entry of `known` that `text` is most likely meant to be.
pub fn nearest<'k>(text: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let text = text.to_ascii_lowercase();
    if text.len() > LENGTH_MAX {
        return None;
    }
    let allowed = (text.chars().count() / 3).max(1);
    known
        .map(|k| (distance(&text, &k.to_ascii_lowercase()), k))
        .filter(|(d, _)| *d <= allowed)
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Insertions, deletions, substitutions and swaps of neighbours from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_forgives_case_swaps_and_a_letter_or_two() {
        let known = ["logicalType", "physicalType", "name", "enum"];
        let of = |text: &str| nearest(text, known.iter().copied());
        assert_eq!(of("logicaltype"), Some("logicalType"));
        assert_eq!(of("naem"), Some("name"));
        assert_eq!(of("phisicalTyp"), Some("physicalType"));
        assert_eq!(of("colour"), None);
    }
}
