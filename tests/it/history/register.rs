//! A lost catalog.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::lab::{Lab, STREAM, TABLE};

use super::{readers_agree, rows};

fn lose_catalog(lab: &Lab) {
    for file in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        let _ = std::fs::remove_file(lab.path().join(file));
    }
}

#[test]
fn a_lost_catalog_is_made_again_from_the_warehouse() -> Result<()> {
    let mut lab = Lab::new("register", 1)?;
    let other = lab.add_other_stream("")?;
    for _ in 0..3 {
        lab.produce(0, 40)?;
        lab.ingest(&[])?;
    }
    let current = lab.table(STREAM)?.loaded.location;
    lose_catalog(&lab);
    let all = lab.result(&["register", "--all"])?["tables"].clone();
    ensure!(all.as_array().is_some_and(|all| all.len() == 2), "{other}: {all:#}");
    ensure!(all[0]["table"] == TABLE && all[0]["location"] == current, "{all:#}");
    lab.verify_clean()?;
    readers_agree(&lab, 120, None)?;
    lab.produce(0, 40)?;
    lab.ingest(&[])?;
    readers_agree(&lab, 160, None)?;
    ensure!(lab.result(&["register", "--all"])?["tables"][0]["outcome"] == "kept");

    // Two files that are equally new: somebody must choose.
    let current = lab.table(STREAM)?.loaded.location;
    let path = current.trim_start_matches("file://");
    let (folder, name) = path.rsplit_once('/').context("a path")?;
    let (version, _) = name.split_once('-').context("a name with a version")?;
    let twin = format!("{folder}/{version}-00000000-0000-0000-0000-000000000000.gz.metadata.json");
    std::fs::copy(path, &twin)?;
    lose_catalog(&lab);
    let done = lab.weir(&["--result-json", "register", "--all"])?.expect(2)?;
    done.says(&["raced", &current, "160 rows", "weir register TABLE METADATA"])?;
    let all: Value = done.result()?["tables"].clone();
    ensure!(all[0]["outcome"] == "ambiguous" && all[1]["outcome"] == "done", "{all:#}");
    lab.result(&["register", TABLE, path])?;
    lab.verify_clean()?;
    lab.weir(&["register", TABLE, &twin])?.expect(2)?.says(&["--replace"])?;
    lab.result(&["register", TABLE, &twin, "--replace"])?;
    ensure!(rows(&lab, &[])? == 160);
    lab.weir(&["register", TABLE])?.expect(2)?;
    Ok(())
}
