//! Projects for tests.

use std::collections::BTreeMap;

use super::{Project, SourceFile};

/// Describes and tests a mart `b` with a column `n` that is made of `a`.
pub const NOTE: &str = "\
models:
  - name: b
    description: Numbers.
    config: {meta: {owner: sales, readers: [tests]}}
    columns:
      - name: n
        description: A number.
        data_type: long
        data_tests: [not_null, unique]
    data_tests:
      - expression: {arguments: {expression: n >= 0}, config: {severity: warn}}
unit_tests:
  - name: n_is_kept
    model: b
    given:
      - {input: ref('a'), rows: [{n: 3}]}
    expect: {rows: [{n: 3}]}
";

fn read(files: &[(&str, &str)]) -> Result<Project, Vec<String>> {
    let mut files: Vec<SourceFile> = files
        .iter()
        .map(|(p, t)| SourceFile { path: p.to_string(), text: t.to_string() })
        .collect();
    // What a mart needs besides, where a test is not about it.
    if files.iter().any(|f| f.path == "marts/sales/c.sql") {
        let text = "models: [{name: c, config: {meta: {readers: [tests]}}}]".to_string();
        files.push(SourceFile { path: "marts/_c.yml".into(), text });
    }
    let sources = ["raw.x".parse().unwrap(), "ref.m_history".parse().unwrap()].into();
    Project::read(&files, &sources, &BTreeMap::new())
        .map_err(|all| all.iter().map(ToString::to_string).collect())
}

/// The project of `files`, which has no mistake.
pub fn project(files: &[(&str, &str)]) -> Project {
    read(files).unwrap()
}

/// The mistakes of `files`.
pub fn mistakes(files: &[(&str, &str)]) -> Vec<String> {
    read(files).unwrap_err()
}
