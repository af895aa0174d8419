//! Bounds of string columns, cut short: manifests are read by every query.

/// Characters of a string bound; what Iceberg's `truncate(16)` keeps.
const CHARS_MAX: usize = 16;

/// At most the first 16 characters: a prefix is never greater than what it begins.
pub(super) fn cut_lower(text: &str) -> String {
    text.chars().take(CHARS_MAX).collect()
}

/// The text, or the least string of at most 16 characters that is greater than everything that
/// begins like it; none if there is no such string.
pub(super) fn cut_upper(text: &str) -> Option<String> {
    let mut kept: Vec<char> = text.chars().take(CHARS_MAX + 1).collect();
    if kept.len() <= CHARS_MAX {
        return Some(text.to_string());
    }
    kept.truncate(CHARS_MAX);
    while let Some(last) = kept.pop() {
        // The next code point; surrogates are none. UTF-8 sorts as code points do.
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            other => char::from_u32(u32::from(other) + 1),
        };
        if let Some(next) = next {
            kept.push(next);
            return Some(kept.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_strings_are_their_own_bounds() {
        for text in ["", "a", "sixteen chars !!", "äöüäöüäöüäöüäöüä"] {
            assert_eq!(cut_lower(text), text);
            assert_eq!(cut_upper(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn upper_bounds_are_rounded_up() {
        assert_eq!(cut_upper("sixteen chars !! and more").as_deref(), Some("sixteen chars !\""));
        let highest = "\u{10FFFF}".repeat(20);
        assert_eq!(cut_upper(&highest), None);
        let text = format!("a{highest}");
        assert_eq!(cut_upper(&text).as_deref(), Some("b"));
        let text = format!("{}{}", "a".repeat(15), "\u{D7FF}x");
        assert_eq!(cut_upper(&text), Some(format!("{}\u{E000}", "a".repeat(15))));
    }

    proptest! {
        #[test]
        fn bounds_enclose_the_text(text in any::<String>()) {
            prop_assert!(cut_lower(&text).as_bytes() <= text.as_bytes());
            prop_assert!(cut_lower(&text).chars().count() <= 16);
            if let Some(upper) = cut_upper(&text) {
                prop_assert!(upper.as_bytes() >= text.as_bytes());
                prop_assert!(upper.chars().count() <= 16);
            }
        }
    }
}
