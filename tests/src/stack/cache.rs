//! What is fetched once and kept outside the checkout, in `${WEIR_CACHE:-~/.cache/weir}`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What a kept folder is made of: a file in it says so, and another recipe makes it anew.
pub(super) struct Recipe<'a> {
    /// The folder's name in the cache.
    pub(super) name: String,
    /// The name of the file.
    pub(super) file: &'static str,
    /// Its text.
    pub(super) text: &'a str,
}

impl Recipe<'_> {
    /// The folder; `make` fills it where it is missing, and finds the recipe's file there.
    pub(super) fn kept(&self, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        self.kept_in(&cache()?, make)
    }

    fn kept_in(&self, cache: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let folder = cache.join(&self.name);
        if self.complete(&folder) {
            return Ok(folder);
        }
        fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
        // Everything is made beside the folder and renamed into place: a download that is killed
        // leaves nothing that looks complete.
        let new = tempfile::Builder::new().prefix(".new-").tempdir_in(cache)?;
        fs::write(new.path().join(self.file), self.text)?;
        make(new.path())?;
        if folder.exists() && !self.complete(&folder) {
            let old = tempfile::Builder::new().prefix(".old-").tempdir_in(cache)?;
            fs::rename(&folder, old.path().join("old"))?;
        }
        match fs::rename(new.path(), &folder) {
            Ok(()) => Ok(folder),
            // Another process was faster.
            Err(_) if self.complete(&folder) => Ok(folder),
            Err(error) => Err(error).with_context(|| format!("cannot create {}", folder.display())),
        }
    }

    /// Whether `folder` is of this very recipe.
    fn complete(&self, folder: &Path) -> bool {
        fs::read_to_string(folder.join(self.file)).is_ok_and(|found| found == self.text)
    }
}

fn cache() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("WEIR_CACHE") {
        return Ok(PathBuf::from(folder));
    }
    let home = std::env::var_os("HOME").context("neither WEIR_CACHE nor HOME is set")?;
    Ok(PathBuf::from(home).join(".cache/weir"))
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn half_a_download_does_not_count() {
        let cache = tempfile::tempdir().unwrap();
        let recipe = Recipe { name: "k".into(), file: "pom.xml", text: "<whole/>" };
        let broken = recipe.kept_in(cache.path(), |_| bail!("killed"));
        assert!(broken.is_err() && !cache.path().join("k").exists());
        let old = cache.path().join("k");
        fs::create_dir(&old).unwrap();
        fs::write(old.join("pom.xml"), "<half/>").unwrap();
        let make = |folder: &Path| Ok(fs::write(folder.join("jar"), "")?);
        assert_eq!(recipe.kept_in(cache.path(), make).unwrap(), old);
        assert!(old.join("jar").exists());
        recipe.kept_in(cache.path(), |_| bail!("it is complete")).unwrap();
    }
}
