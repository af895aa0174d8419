//! A document as a test reads it: its fenced blocks, the commands in them, and what they show.

use anyhow::{Result, ensure};
use weir_tests::lab::repository;

/// A document.
pub struct Page {
    /// Its path in the repository.
    pub name: String,
    /// Its fenced blocks in order.
    pub blocks: Vec<Block>,
}

/// A fenced block.
pub struct Block {
    /// What stands behind the fence.
    pub lang: String,
    /// Its lines.
    pub text: String,
    /// The block of output that follows, if one does before the next block of another kind.
    pub shown: String,
    /// Its first line in the page.
    pub line: usize,
}

/// One command.
#[derive(Debug, PartialEq)]
pub struct Step {
    /// As it is run.
    pub command: String,
    /// Without its comment.
    pub bare: String,
    /// The exit code that its comment names (`# exits 1: …`), else 0.
    pub code: i32,
}

impl Page {
    /// Reads a document.
    pub fn read(name: &str) -> Result<Page> {
        let text = std::fs::read_to_string(repository().join(name))?;
        let mut blocks: Vec<Block> = Vec::new();
        let mut open: Option<Block> = None;
        for (number, line) in text.lines().enumerate() {
            match (&mut open, line.trim_start().strip_prefix("```")) {
                (None, Some(lang)) => {
                    let (lang, line) = (lang.trim().to_string(), number + 2);
                    open = Some(Block { lang, text: String::new(), shown: String::new(), line });
                }
                (Some(block), None) => {
                    block.text += line;
                    block.text.push('\n');
                }
                (Some(_), Some(_)) => match (open.take(), blocks.last_mut()) {
                    (Some(shown), Some(sh)) if shown.lang == "text" && sh.lang == "sh" => {
                        // What the README shows is of a longer run than its test.
                        if name == "docs/tutorial.md" {
                            sh.shown = shown.text;
                        }
                    }
                    (block, _) => blocks.extend(block),
                },
                (None, None) => {}
            }
        }
        ensure!(open.is_none(), "{name}: a block has no end");
        Ok(Page { name: name.to_string(), blocks })
    }
}

/// The name in the first line of a block that is a file: `# weir.toml`.
pub fn named(text: &str) -> Option<&str> {
    text.lines().next()?.strip_prefix("# ").filter(|name| name.ends_with(".toml"))
}

/// The commands of a block: a line each, with the lines of its quotes, here-documents and `\`.
pub fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut command = line.to_string();
        let mut more = |command: &mut String| {
            let line = lines.next();
            command.extend(["\n", line.unwrap_or_default()]);
            line
        };
        while command.ends_with('\\') || command.matches('"').count() % 2 == 1 {
            if more(&mut command).is_none() {
                break;
            }
        }
        if let Some((_, end)) = line.split_once("<<'") {
            let end = end.trim_end_matches('\'');
            while more(&mut command).is_some_and(|line| line != end) {}
        }
        let (bare, comment) = match command.split_once("  #") {
            Some((bare, comment)) if !command.contains('\n') => (bare.trim(), comment.trim()),
            _ => (command.as_str(), ""),
        };
        let code = comment.strip_prefix("exits ").and_then(|text| text.split(':').next());
        let code = code.and_then(|code| code.parse().ok()).unwrap_or(0);
        steps.push(Step { bare: bare.to_string(), code, command });
    }
    steps
}

/// The words of a line that are the same in every run: no numbers, times, ids, paths, frames.
fn words(line: &str) -> Vec<&str> {
    let stable = |word: &&str| {
        word.chars().any(char::is_alphabetic)
            && !word.chars().any(|c| c.is_ascii_digit() || c == '/')
    };
    line.split_whitespace().filter(stable).collect()
}

/// The first line that is shown and whose words, in their order, are in no line that was said.
pub fn missing<'a>(shown: &'a str, said: &str) -> Option<&'a str> {
    let holds = |said: &str, shown: &[&str]| {
        let mut said = said.split_whitespace();
        shown.iter().all(|word| said.any(|other| other == *word))
    };
    let mut said = said.lines();
    shown.lines().find(|line| {
        let words = words(line);
        !words.is_empty() && !said.any(|other| holds(other, &words))
    })
}

#[test]
fn commands_are_told_apart() {
    let text = "# a comment\nweir a \"b\n c\"   # why\n\ncat > x <<'END'\nweir no\nEND\n\
                weir d \\\n  --e\nweir f   # exits 99: idle\n";
    let steps = steps(text);
    let bare: Vec<&str> = steps.iter().map(|step| step.bare.as_str()).collect();
    let here = "cat > x <<'END'\nweir no\nEND";
    assert_eq!(bare, ["weir a \"b\n c\"   # why", here, "weir d \\\n  --e", "weir f"]);
    assert_eq!(steps.iter().map(|step| step.code).collect::<Vec<_>>(), [0, 0, 0, 99]);
}

#[test]
fn what_is_shown_must_be_said() {
    let said = "x\n| EUR | 7 |\nraw.a: partition 3, accepted\n";
    assert_eq!(missing("| EUR | 50 |\n...\nraw.a: partition 0, accepted\n", said), None);
    assert_eq!(missing("raw.a: accepted\n| EUR | 7 |\n", said), Some("| EUR | 7 |"));
    assert_eq!(missing("raw.a: rejected\n", said), Some("raw.a: rejected"));
}
