//! The servers' jars: fetched once from Maven Central, kept outside the checkout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::process;

/// What a server is made of.
pub(super) struct Jars {
    /// What its folder's name begins with; its pom has its version as `<name>.version`.
    name: &'static str,
    title: &'static str,
    pom: &'static str,
    /// What to do where they cannot be fetched; may be empty.
    advice: &'static str,
}

/// The broker that tests and laptops use.
pub(super) const KAFKA: Jars = Jars {
    name: "kafka",
    title: "Apache Kafka",
    pom: include_str!("../../stack/kafka/pom.xml"),
    advice: "; set WEIR_TEST_KAFKA to use a running broker instead",
};
/// A broker of before topics had ids, and its ZooKeeper.
pub(super) const KAFKA_2_7: Jars =
    Jars { pom: include_str!("../../stack/kafka-2.7/pom.xml"), advice: "", ..KAFKA };
/// Iceberg's own REST catalog.
pub(super) const ICEBERG: Jars = Jars {
    name: "iceberg",
    title: "Apache Iceberg",
    pom: include_str!("../../stack/rest/pom.xml"),
    advice: "",
};

impl Jars {
    /// The version, as the pom says.
    fn version(&self) -> &str {
        let tag = format!("<{}.version>", self.name);
        let value = self.pom.split_once(&tag).and_then(|(_, rest)| rest.split_once('<'));
        value.map_or("unknown", |(version, _)| version)
    }

    /// Their folder, `<cache>/<name>-<version>/libs`; fetches them where they are missing.
    pub(super) fn folder(&self) -> Result<PathBuf> {
        fetch(&cache()?.join(format!("{}-{}", self.name, self.version())), self)
    }
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

fn fetch(folder: &Path, jars: &Jars) -> Result<PathBuf> {
    let Jars { name, title, pom, advice } = jars;
    let libs = folder.join("libs");
    if complete(folder, pom) {
        return Ok(libs);
    }
    process::require("mvn", "-v", "maven")?;
    let parent = folder.parent().context("the cache folder has no parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    // Everything is made beside the folder and renamed into place: a download that is killed
    // leaves nothing that looks complete.
    let new = tempfile::Builder::new().prefix(&format!(".{name}-")).tempdir_in(parent)?;
    eprintln!(
        "fetching the jars of {title} {} from Maven Central to {} (about 45 MB, once)",
        jars.version(),
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
            "maven could not fetch the jars of {title} {} ({}){advice}; maven said:\n{}{}",
            jars.version(),
            out.status,
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr),
        );
    }
    if folder.exists() && !complete(folder, pom) {
        let old = tempfile::Builder::new().prefix(".old-").tempdir_in(parent)?;
        fs::rename(folder, old.path().join(name))?;
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
        for (jars, begins) in [(KAFKA, "4."), (KAFKA_2_7, "2.7."), (ICEBERG, "1.")] {
            assert!(jars.version().starts_with(begins), "{}", jars.version());
        }
    }

    #[test]
    fn half_a_download_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!complete(folder.path(), KAFKA.pom));
        fs::create_dir(folder.path().join("libs")).unwrap();
        fs::write(folder.path().join("pom.xml"), "<project/>").unwrap();
        assert!(!complete(folder.path(), KAFKA.pom));
        fs::write(folder.path().join("pom.xml"), KAFKA.pom).unwrap();
        assert!(complete(folder.path(), KAFKA.pom));
    }
}
