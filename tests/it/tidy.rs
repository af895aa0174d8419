//! Style and layers, as tests: what a reviewer should not have to look for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which crates of the workspace a crate may name. What is not listed may name none.
const ARROWS: [(&str, &[&str]); 8] = [
    ("weir-contract", &[]),
    ("weir-catalog", &["weir-contract"]),
    ("weir-ingest", &["weir-contract", "weir-catalog"]),
    ("weir-transforms", &["weir-contract", "weir-catalog"]),
    ("weir-fleet", &["weir-contract"]),
    ("weir", &["weir-contract", "weir-catalog", "weir-ingest", "weir-transforms", "weir-fleet"]),
    ("weir-tests", &["weir-contract", "weir-catalog", "weir-ingest", "weir-fleet", "weir"]),
    ("weir-bench", &["weir-contract", "weir-catalog", "weir-ingest", "weir", "weir-tests"]),
];

/// Heavy dependencies, and the only crates that may name them; tests and benches may name all.
const HEAVY: [(&str, &[&str]); 6] = [
    ("iceberg", &["weir-catalog"]),
    ("datafusion", &["weir-catalog", "weir-transforms"]),
    ("object_store", &["weir-catalog"]),
    ("rusqlite", &["weir-catalog"]),
    // One reads, the other writes.
    ("rdkafka", &["weir-ingest", "weir-fleet"]),
    ("rdkafka-sys", &["weir-ingest"]),
];

/// All that the pure crate may name.
const PURE: [&str; 18] = [
    "arrow-array",
    "arrow-buffer",
    "arrow-row",
    "arrow-schema",
    "arrow-select",
    "chrono",
    "crc32fast",
    "csv",
    "fast-float2",
    "hmac",
    "memchr",
    "saphyr",
    "saphyr-parser",
    "serde",
    "serde_json",
    "sha2",
    "simdutf8",
    "thiserror",
];

/// Lines of a file before its inline tests.
const LINES_MAX: usize = 700;
/// Lines of a command's file: it reads, calls and prints.
const COMMAND_LINES_MAX: usize = 150;

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("the crate stands in the repository").to_path_buf()
}

/// The repository's files with this extension, hidden folders and build folders apart.
fn files(extension: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            let hidden = name.to_string_lossy().starts_with('.');
            // A build folder says so itself.
            if path.is_dir() && !hidden && !path.join("CACHEDIR.TAG").exists() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                let text = fs::read_to_string(&path).unwrap();
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no file ends in {extension}");
    found
}

#[track_caller]
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n  {}\n", findings.join("\n  "));
}

fn cargo(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(args).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What each crate's manifest names: (crate, dependency, is it for tests only).
fn dependencies() -> Vec<(String, String, bool)> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        for dependency in package["dependencies"].as_array().unwrap() {
            let dev = dependency["kind"] == "dev";
            found.push((text(&package["name"]), text(&dependency["name"]), dev));
        }
    }
    assert!(found.len() > 20, "{found:?}");
    found
}

#[test]
fn every_file_opens_with_its_purpose() {
    let silent = files("rs").into_iter().filter(|(_, text)| !text.starts_with("//! "));
    none(silent.map(|(name, _)| format!("{name} does not open with //!")).collect());
}

#[test]
fn files_are_short() {
    let mut long = Vec::new();
    for (name, text) in files("rs") {
        let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        let lines = text[..tests].lines().count();
        let command = name.starts_with("jobs/src/commands/");
        let most = if command { COMMAND_LINES_MAX } else { LINES_MAX };
        if lines > most {
            long.push(format!("{name} has {lines} lines before its tests; at most {most}"));
        }
    }
    none(long);
}

#[test]
fn nothing_is_left_for_later() {
    // Spelled so that this file does not find itself.
    let words =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("to", "do!(")];
    let mut found = Vec::new();
    for extension in ["rs", "toml", "md"] {
        for (name, text) in files(extension) {
            for (number, line) in text.lines().enumerate() {
                if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                    found.push(format!("{name}:{}: {word}", number + 1));
                }
            }
        }
    }
    none(found);
}

#[test]
fn crates_depend_in_one_direction() {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let wrong = dependencies().into_iter().filter(|(from, to, _)| {
        to.starts_with("weir") && !arrows.get(from.as_str()).is_some_and(|to_| to_.contains(&&**to))
    });
    none(wrong.map(|(from, to, _)| format!("{from} names {to}")).collect());
}

#[test]
fn heavy_dependencies_are_named_once() {
    let mut wrong = Vec::new();
    for (from, to, _) in dependencies() {
        let Some((_, owners)) = HEAVY.iter().find(|(heavy, _)| *heavy == to) else { continue };
        let free = matches!(from.as_str(), "weir-tests" | "weir-bench");
        if !owners.contains(&&*from) && !free {
            let owners = owners.join(" and ");
            wrong.push(format!("{from} names {to}, which is the business of {owners}"));
        }
    }
    none(wrong);
}

#[test]
fn the_pure_crate_stays_pure() {
    let wrong = dependencies()
        .into_iter()
        .filter(|(from, to, dev)| from == "weir-contract" && !dev && !PURE.contains(&&**to));
    none(wrong.map(|(_, to, _)| format!("weir-contract names {to}")).collect());
}

/// Where the tests ask for more features of a dependency than the binary does, `cargo run` and the
/// tests each build DataFusion and its like.
#[test]
fn the_binary_and_the_tests_share_one_build_of_dependencies() {
    let tree = |select: &[&str]| -> BTreeSet<String> {
        let mut args = vec!["tree", "--offline", "--prefix", "none", "--format", "{p} [{f}]"];
        args.extend(select);
        let text = cargo(&args);
        text.lines().map(|line| line.trim_end_matches(" (*)").to_string()).collect()
    };
    let all = tree(&["--workspace", "--edges", "normal,build,dev"]);
    let binary = tree(&["--package", "weir", "--edges", "normal,build"]);
    let built_twice = binary.into_iter().filter(|package| !all.contains(package));
    none(built_twice.map(|p| format!("{p}: the tests ask for other features")).collect());
}

#[test]
fn the_python_packages_are_pinned() {
    let mut loose = Vec::new();
    for name in ["tests/requirements.txt", "tests/dbt/requirements.txt"] {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let pinned = |line: &str| line.starts_with(['#', '-']) || line.contains("==");
        let lines = text.lines().filter(|line| !pinned(line));
        loose.extend(lines.map(|line| format!("{name}: {line} has no exact version")));
    }
    none(loose);
}

#[test]
fn decisions_follow_the_template() {
    let mut wrong = Vec::new();
    for (name, text) in files("md") {
        let Some(file) = name.strip_prefix("docs/decisions/") else { continue };
        if !file.get(..4).is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())) {
            wrong.push(format!("{name} does not begin with four digits"));
        }
        for heading in ["## Context", "## Decision", "## Alternatives", "## Consequences"] {
            if !text.contains(heading) {
                wrong.push(format!("{name} lacks {heading:?}"));
            }
        }
    }
    none(wrong);
}
