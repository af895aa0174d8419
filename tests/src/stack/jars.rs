//! The broker's jars: fetched once from Maven Central, kept outside the checkout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::process;

const POM: &str = include_str!("../../stack/kafka/pom.xml");

/// The broker's version, as the pom says.
pub(super) fn kafka_version() -> &'static str {
    let value = POM.split_once("<kafka.version>").and_then(|(_, rest)| rest.split_once('<'));
    value.map_or("unknown", |(version, _)| version)
}

/// The folder of the jars, `<cache>/kafka-<version>/libs`; fetches them where they are missing.
pub(super) fn kafka() -> Result<PathBuf> {
    fetch(&cache()?.join(format!("kafka-{}", kafka_version())))
}

fn cache() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("WEIR_CACHE") {
        return Ok(PathBuf::from(folder));
    }
    let home = std::env::var_os("HOME").context("neither WEIR_CACHE nor HOME is set")?;
    Ok(PathBuf::from(home).join(".cache/weir"))
}

/// Whether `folder` holds the jars of this very pom.
fn complete(folder: &Path) -> bool {
    fs::read_to_string(folder.join("pom.xml")).is_ok_and(|pom| pom == POM)
}

fn fetch(folder: &Path) -> Result<PathBuf> {
    let libs = folder.join("libs");
    if complete(folder) {
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
        kafka_version(),
        folder.display()
    );
    fs::write(new.path().join("pom.xml"), POM)?;
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
            kafka_version(),
            out.status,
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr),
        );
    }
    if folder.exists() && !complete(folder) {
        let old = tempfile::Builder::new().prefix(".old-").tempdir_in(parent)?;
        fs::rename(folder, old.path().join("kafka"))?;
    }
    match fs::rename(new.path(), folder) {
        Ok(()) => Ok(libs),
        // Another process was faster.
        Err(_) if complete(folder) => Ok(libs),
        Err(error) => Err(error).with_context(|| format!("cannot create {}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pom_names_a_version() {
        assert!(kafka_version().starts_with("4."), "{}", kafka_version());
    }

    #[test]
    fn half_a_download_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!complete(folder.path()));
        fs::create_dir(folder.path().join("libs")).unwrap();
        fs::write(folder.path().join("pom.xml"), "<project/>").unwrap();
        assert!(!complete(folder.path()));
        fs::write(folder.path().join("pom.xml"), POM).unwrap();
        assert!(complete(folder.path()));
    }
}
