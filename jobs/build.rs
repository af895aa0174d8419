//! Finds the SQL models of the repository, which `weir quickstart` writes into its folder.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../transforms/sql").canonicalize()?;
    println!("cargo::rerun-if-changed={}", root.display());
    let (mut open, mut found): (Vec<PathBuf>, Vec<String>) = (vec![root.clone()], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            // What `weir compile` writes is no model.
            match path.is_dir() {
                true if path == root.join("target") => {}
                true => open.push(path),
                false => {
                    let below = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
                    found.push(format!("    ({below:?}, include_str!({path:?})),\n"));
                }
            }
        }
    }
    found.sort();
    let text = format!("const MODELS: &[(&str, &str)] = &[\n{}];\n", found.concat());
    fs::write(PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("models.rs"), text)
}
