//! A rule's text → words, numbers, texts and signs.

use super::RuleError;

/// One token, and where it begins: characters from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub kind: Kind<'a>,
    pub at: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A keyword or a column.
    Word(&'a str),
    /// Digits, with a point between or not.
    Number(&'a str),
    /// What stands between quotes; two of them inside mean one.
    Text(String),
    Sign(&'static str),
    End,
}

/// The most tokens of one rule.
const TOKENS_MAX: usize = 1000;

/// Longer ones first, so that `<=` is not read as `<`.
const SIGNS: [&str; 13] = ["<>", "!=", "<=", ">=", "=", "<", ">", "(", ")", ",", "+", "-", "*"];

/// The tokens of a text, [`Kind::End`] last.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, RuleError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let at = text[..text.len() - rest.len()].chars().count() + 1;
        if tokens.len() == TOKENS_MAX {
            let message = format!("a rule has at most {TOKENS_MAX} words and signs");
            return Err(RuleError { at, message });
        }
        let Some(first) = rest.chars().next() else {
            tokens.push(Token { kind: Kind::End, at });
            return Ok(tokens);
        };
        let (kind, length) = match first {
            '\'' => quoted(rest, at)?,
            '0'..='9' => number(rest, at)?,
            'a'..='z' | 'A'..='Z' => {
                let other = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
                let length = rest.find(other).unwrap_or(rest.len());
                (Kind::Word(&rest[..length]), length)
            }
            _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Kind::Sign(sign), sign.len()),
                None => return Err(RuleError { at, message: stranger(first) }),
            },
        };
        tokens.push(Token { kind, at });
        rest = &rest[length..];
    }
}

fn stranger(found: char) -> String {
    let advice = match found {
        '"' | '`' => "write columns without quotes, and texts between ' '",
        '_' => "Weir's own columns cannot stand in a rule",
        '/' | '%' => "rules can add, subtract and multiply",
        _ => "docs/contracts.md says what a rule may hold",
    };
    format!("{found:?} does not belong here; {advice}")
}

fn quoted(text: &str, at: usize) -> Result<(Kind<'_>, usize), RuleError> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((place, character)) = characters.next() {
        if character != '\'' {
            value.push(character);
        } else if characters.next_if(|(_, next)| *next == '\'').is_some() {
            value.push('\'');
        } else {
            return Ok((Kind::Text(value), place + 1));
        }
    }
    Err(RuleError { at, message: "the text has no closing quote".into() })
}

fn number(text: &str, at: usize) -> Result<(Kind<'_>, usize), RuleError> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(text);
    if text[length..].starts_with('.') {
        let fraction = digits(&text[length + 1..]);
        if fraction == 0 {
            let message = "a digit is missing behind the point".into();
            return Err(RuleError { at, message });
        }
        length += 1 + fraction;
    }
    let next = text[length..].chars().next();
    if next.is_some_and(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | '.')) {
        let message = "a number is digits, with one point between or none".into();
        return Err(RuleError { at, message });
    }
    Ok((Kind::Number(&text[..length]), length))
}
