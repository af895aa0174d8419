//! Jars: fetched once from Maven Central, kept outside the checkout.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use super::cache::Recipe;
use super::process;

/// The broker that tests and laptops use.
pub(super) const KAFKA: &str = include_str!("../../stack/kafka/pom.xml");
/// A broker of before topics had ids, and its ZooKeeper.
pub(super) const KAFKA_2_7: &str = include_str!("../../stack/kafka-2.7/pom.xml");

/// Iceberg's own REST catalog.
pub(super) const ICEBERG: &str = include_str!("../../stack/rest/pom.xml");

/// The text of an element.
pub(super) fn element<'a>(pom: &'a str, name: &str) -> &'a str {
    let value = pom.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once('<'));
    value.map_or("unknown", |(version, _)| version)
}

/// The folder of a broker's jars, `<cache>/kafka-<version>/libs`; fetches them where they are missing.
pub(super) fn of(pom: &str) -> Result<PathBuf> {
    let otherwise = "set WEIR_TEST_KAFKA to use a running broker instead";
    named("kafka", "Apache Kafka", pom, otherwise)
}

/// The folder of a server's jars, `<cache>/<name>-<version>/libs`; the pom has its version as `<name>.version`.
pub(super) fn named(name: &str, title: &str, pom: &str, otherwise: &str) -> Result<PathBuf> {
    let version = element(pom, &format!("{name}.version"));
    let recipe = Recipe { name: format!("{name}-{version}"), file: "pom.xml", text: pom };
    let what = format!("the jars of {title} {version} (about 45 MB)");
    Ok(recipe.kept(|new| copy(new, &what, otherwise))?.join("libs"))
}

/// Fetches what the `pom.xml` of a folder names into its `libs`.
pub(super) fn copy(folder: &Path, what: &str, otherwise: &str) -> Result<()> {
    let copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=libs"];
    maven(folder, &copy, what, otherwise)
}

/// Runs maven in a folder.
pub(super) fn maven(folder: &Path, goal: &[&str], what: &str, otherwise: &str) -> Result<()> {
    process::require("mvn", "-v", "maven")?;
    eprintln!("fetching {what} from Maven Central, once");
    let mut command = Command::new("mvn");
    command.args(["-q", "-B"]).args(goal).current_dir(folder).stdin(Stdio::null());
    let out = command.output()?;
    if !out.status.success() {
        bail!(
            "maven could not fetch {what} ({}); {otherwise}; maven said:\n{}{}",
            out.status,
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_poms_name_versions() {
        for (pom, name, begins) in [
            (KAFKA, "kafka.version", "4."),
            (KAFKA_2_7, "kafka.version", "2.7."),
            (ICEBERG, "iceberg.version", "1."),
        ] {
            let version = element(pom, name);
            assert!(version.starts_with(begins), "{version}");
        }
    }
}
