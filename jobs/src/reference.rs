//! `docs/reference.md`, made from the command line and the table of keys, so that neither can be
//! changed without it.

use clap::CommandFactory;

use crate::cli::Cli;
use crate::config::keys::{Default, KEYS, Key};

/// The whole page.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Reference\n\nMade from the program itself; a test compares. `WEIR_BLESS=1 tests/run --only \
         reference` writes it anew.\n\n## Commands\n",
    );
    let mut root = Cli::command().term_width(100);
    root.build();
    commands(&mut page, &mut root, "weir");
    page.push_str(
        "\n## Config\n\n`weir.toml`, over it environment variables, over these flags (`--set \
         KEY=VALUE`). Unknown keys are refused, and all mistakes are told at once. Durations are \
         whole numbers with `ms`, `s`, `m`, `h` or `d`, sizes with `B`, `KiB`, `MiB` or `GiB`. `*` \
         stands for a name of your choice; with dots in it, it is quoted.\n",
    );
    for key in KEYS {
        page.push_str(&entry(key));
    }
    page
}

fn commands(page: &mut String, command: &mut clap::Command, name: &str) {
    let help = command.render_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    page.push_str(&format!("\n### `{name}`\n\n```text\n{}\n```\n", lines.join("\n").trim_end()));
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        let name = format!("{name} {}", sub.get_name());
        commands(page, sub, &name);
    }
}

fn entry(key: &Key) -> String {
    let default = match key.default {
        Default::Text(text) => format!("default `{text}`"),
        Default::Required => "required".to_string(),
        Default::Unset => "unset by default".to_string(),
    };
    let mut facts = vec![key.kind.to_string().replace('"', "`"), default];
    facts.extend(key.kind.bounds());
    facts.extend(key.env_name().map(|name| format!("variable `{name}`")));
    format!("\n### `{}`\n\n{}\n\n*{}*\n", key.path, key.doc, facts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference.md");
        if std::env::var_os("WEIR_BLESS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap();
        assert!(written == markdown(), "docs/reference.md is old; WEIR_BLESS=1 writes it anew");
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
