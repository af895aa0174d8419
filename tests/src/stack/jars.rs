//! The broker's jars: fetched once from Maven Central, kept outside the checkout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::process;

/// The broker that tests and laptops use.
pub(super) const KAFKA: &str = include_str!("../../stack/kafka/pom.xml");
/// A broker of before topics had ids, and its ZooKeeper.
pub(super) const KAFKA_2_7: &str = include_str!("../../stack/kafka-2.7/pom.xml");

/// The broker's version, as the pom says.
fn version(pom: &str) -> &str {
    let value = pom.split_once("<kafka.version>").and_then(|(_, rest)| rest.split_once('<'));
    value.map_or("unknown", |(version, _)| version)
}

/// The folder of a pom's jars, `<cache>/kafka-<version>/libs`; fetches them where they are missing.
pub(super) fn of(pom: &str) -> Result<PathBuf> {
    fetch(&cache()?.join(format!("kafka-{}", version(pom))), pom)
}

fn cache() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("WEIR_CACHE") {
        return Ok(PathBuf::from(folder));
    }
    let home = std::env::var_os("HOME").context("neither WEIR_CACHE nor HOME is set")?;
    Ok(PathBuf::from(home).join(".cache/weir"))
}

/// Whether `folder` holds the jars of this very pom.
fn complete(folder: &Path, pom: &str) -> bool {
    fs::read_to_string(folder.join("pom.xml")).is_ok_and(|found| found == pom)
}

fn fetch(folder: &Path, pom: &str) -> Result<PathBuf> {
    let libs = folder.join("libs");
    if complete(folder, pom) {
        return Ok(libs);
    }
    process::require("mvn", "-v", "maven")?;
    let parent = folder.parent().context("the cache folder has no parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    // Everything is made beside the folder and renamed into place: a download that is killed
    // leaves nothing that looks complete.
    let new = tempfile::Builder::new().prefix(".kafka-").tempdir_in(parent)?;
    eprintln!(
        "fetching the jars of Apache Kafka {} from Maven Central to {} (about 45 MB, once)",
        version(pom),
        folder.display()
    );
    fs::write(new.path().join("pom.xml"), pom)?;
    let out = Command::new("mvn")
        .args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg("-DoutputDirectory=libs")
        .current_dir(new.path())
        .stdin(Stdio::null())
        .output()?;
    if !out.status.success() {
        bail!(
            "maven could not fetch the jars of Apache Kafka {} ({}); set WEIR_TEST_KAFKA to use a \
             running broker instead; maven said:\n{}{}",
            version(pom),
            out.status,
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr),
        );
    }
    if folder.exists() && !complete(folder, pom) {
        let old = tempfile::Builder::new().prefix(".old-").tempdir_in(parent)?;
        fs::rename(folder, old.path().join("kafka"))?;
    }
    match fs::rename(new.path(), folder) {
        Ok(()) => Ok(libs),
        // Another process was faster.
        Err(_) if complete(folder, pom) => Ok(libs),
        Err(error) => Err(error).with_context(|| format!("cannot create {}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_poms_name_versions() {
        assert!(version(KAFKA).starts_with("4."), "{}", version(KAFKA));
        assert!(version(KAFKA_2_7).starts_with("2.7."), "{}", version(KAFKA_2_7));
    }

    #[test]
    fn half_a_download_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!complete(folder.path(), KAFKA));
        fs::create_dir(folder.path().join("libs")).unwrap();
        fs::write(folder.path().join("pom.xml"), "<project/>").unwrap();
        assert!(!complete(folder.path(), KAFKA));
        fs::write(folder.path().join("pom.xml"), KAFKA).unwrap();
        assert!(complete(folder.path(), KAFKA));
    }
}
