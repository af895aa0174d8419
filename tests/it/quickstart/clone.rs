//! README's first command, as a newcomer types it: in a clean clone, with an empty home folder.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use weir_tests::lab::{self, Done, done, repository};

use super::proven;

/// What the build of a clone may take from the environment of the tests: where tools and packages
/// stand, and what decides whether dependencies that are built fit.
const KEPT: [&str; 5] = ["RUSTUP_TOOLCHAIN", "RUSTFLAGS", "CC", "CXX", "TMPDIR"];

/// What a machine with a C compiler may lack, by the beginnings of names.
const LACKING: [&str; 8] = ["make", "gmake", "c++", "g++", "clang++", "cmake", "perl", "python"];

/// What dependencies are, in cargo's `deps`: the rest are programs, and files of a build under way.
const LIBRARIES: [&str; 5] = ["rlib", "rmeta", "so", "dylib", "d"];

#[test]
fn the_readmes_command_runs_in_a_clean_clone_with_an_empty_home() -> Result<()> {
    let readme = fs::read_to_string(repository().join("README.md"))?;
    ensure!(readme.contains("\njobs/quickstart "), "README.md has another first command");
    // Beside the build folder, so that its files can be linked.
    let world =
        tempfile::Builder::new().prefix("clone-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (home, clone) = (world.path().join("home"), world.path().join("weir"));
    fs::create_dir(&home)?;
    make_clone(&clone)?;
    lend_dependencies(&clone.join("target/debug"))?;

    let begun = Instant::now();
    let mut command = Command::new("jobs/quickstart");
    command.args(["--for", "5s", "--fresh", "--output", "human", "--result-json"]);
    command.current_dir(&clone).env_clear().env("HOME", &home);
    command.env("PATH", tools(&world.path().join("tools"))?);
    // The toolchain and downloaded packages: a home that is really empty would fetch them anew.
    for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        let set = std::env::var_os(name).map(PathBuf::from);
        let usual = std::env::home_dir().context("no home folder")?.join(folder);
        command.env(name, set.unwrap_or(usual));
    }
    command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    let done = done(command.output()?);
    println!("built and run in {:?}", begun.elapsed());

    let compiled = done.stderr.lines().filter(|line| line.contains("Compiling "));
    // librdkafka without TLS is the one dependency that is another here.
    let expected = ["Compiling weir", "Compiling rdkafka"];
    let is_other = |line: &&str| !expected.iter().any(|known| line.contains(known));
    let others: Vec<&str> = compiled.filter(is_other).collect();
    ensure!(others.is_empty(), "it builds what the tests do not: {others:?}");
    ensure!(done.stdout.starts_with("Building Weir"), "no word about the minutes: {done:#?}");
    proven(&done)?;
    let tables = done.stdout.matches(": every record exactly once").count();
    ensure!(tables == 17, "{tables} tables are proven: {done:#?}");
    for table in ["raw.vending_health", "raw.trades", "ref.machines"] {
        ensure!(done.stdout.contains(&format!("\n{table}: snapshot")), "{done:#?}");
    }

    // What it leaves out says so.
    let lake = clone.join("weir-quickstart");
    let config = fs::read_to_string(lake.join("weir.toml"))?;
    let secured = "\n[kafka.properties]\n\"security.protocol\" = \"SSL\"\n";
    fs::write(lake.join("secured.toml"), config + secured)?;
    let mut command = Command::new(clone.join("target/debug/weir"));
    command.args(["--log-format", "human", "config", "--config"]).arg(lake.join("secured.toml"));
    let refused = lab::done(command.output()?).expect(2)?;
    refused.says(&["has neither TLS nor SASL", "cargo build --release"])?;

    let left: Vec<_> = fs::read_dir(&home)?.collect::<std::io::Result<_>>()?;
    ensure!(left.is_empty(), "left in the home folder: {left:?}");
    ensure!(clone.join("weir-quickstart/weir.toml").exists(), "no lake where the README says");
    let left = git(&clone, &["status", "--porcelain", "--ignored"])?.stdout;
    let mut left: Vec<&str> = left.lines().filter_map(|line| line.strip_prefix("!! ")).collect();
    left.sort_unstable();
    ensure!(left == ["target/", "weir-quickstart/"], "left in the clone: {left:?}");
    Ok(())
}

/// A folder with the tools of this machine, those left out that Weir promises not to need.
fn tools(folder: &Path) -> Result<PathBuf> {
    fs::create_dir(folder)?;
    let path = std::env::var_os("PATH").context("no PATH")?;
    for tool in std::env::split_paths(&path).filter_map(|place| fs::read_dir(place).ok()).flatten()
    {
        let tool = tool?;
        let name = tool.file_name();
        let name = name.to_string_lossy();
        // `x86_64-linux-gnu-g++-14` is g++ too.
        let plain = name.rsplit_once("-gnu-").map_or(name.as_ref(), |(_, plain)| plain);
        let link = folder.join(name.as_ref());
        if !LACKING.iter().any(|lacking| plain.starts_with(lacking))
            && link.symlink_metadata().is_err()
        {
            std::os::unix::fs::symlink(tool.path(), link)?;
        }
    }
    Ok(folder.to_path_buf())
}

fn git(folder: &Path, arguments: &[&str]) -> Result<Done> {
    let mut git = Command::new("git");
    done(git.args(["-c", "safe.directory=*", "-C"]).arg(folder).args(arguments).output()?).expect(0)
}

/// What a newcomer gets; while somebody works here, with what is not committed yet.
fn make_clone(clone: &Path) -> Result<()> {
    let here = repository();
    let (from, to) = (here.to_string_lossy(), clone.to_string_lossy());
    git(&here, &["clone", "--quiet", &from, &to])?;
    let changed = git(&here, &["diff", "--name-only", "-z", "HEAD"])?.stdout;
    let new = git(&here, &["ls-files", "--others", "--exclude-standard", "-z"])?.stdout;
    let mut count = 0;
    for name in changed.split('\0').chain(new.split('\0')).filter(|name| !name.is_empty()) {
        let (from, to) = (here.join(name), clone.join(name));
        if from.is_file() {
            fs::create_dir_all(to.parent().context("a file stands in a folder")?)?;
            fs::copy(&from, &to)?;
        } else if to.is_file() {
            fs::remove_file(&to)?;
        }
        count += 1;
    }
    if count > 0 {
        eprintln!("the clone has {count} files that are not committed");
        let author = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
        git(clone, &["add", "--all"])?;
        git(clone, &[&author[..], &["commit", "--quiet", "--message", "uncommitted"]].concat())?;
    }
    Ok(())
}

/// Gives the clone the dependencies that the tests have built, so that the test takes the minutes of
/// our crates alone; those themselves must be built, or it would test what is here.
///
/// Libraries are links: nobody writes into them, rustc makes a new file and renames it. What cargo and
/// build scripts do write into is copied.
fn lend_dependencies(target: &Path) -> Result<()> {
    let mut from = std::env::current_exe()?;
    ensure!(from.pop() && from.ends_with("debug/deps"), "{} is no cargo's", from.display());
    let mut libraries = dependencies(&from)?;
    libraries.retain(|file| file.extension().is_some_and(|e| LIBRARIES.iter().any(|l| e == *l)));
    ensure!(libraries.len() > 500, "{} libraries in {}", libraries.len(), from.display());
    let to = target.join("deps");
    fs::create_dir_all(&to)?;
    let link = |file: &PathBuf| fs::hard_link(file, to.join(file.file_name().unwrap_or_default()));
    if libraries.iter().try_for_each(link).is_err() {
        // Another file system, or one without links.
        fs::remove_dir_all(&to)?;
        copy(&libraries, &to)?;
    }
    from.pop();
    for part in [".fingerprint", "build"] {
        copy(&dependencies(&from.join(part))?, &target.join(part))?;
    }
    Ok(())
}

/// What the folder holds of other people's crates: ours and their tests have names of their own.
fn dependencies(folder: &Path) -> Result<Vec<PathBuf>> {
    let ours = |name: &OsStr| {
        let name = name.to_string_lossy();
        ["weir", "libweir", "it-"].iter().any(|begin| name.starts_with(begin))
    };
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<std::io::Result<Vec<_>>>()?;
    Ok(names.into_iter().filter(|name| !ours(name)).map(|name| folder.join(name)).collect())
}

/// Copies files and folders with their times, by which cargo tells what is fresh.
fn copy(files: &[PathBuf], to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    done(Command::new("cp").args(["-a", "-f"]).args(files).arg(to).output()?).expect(0)?;
    Ok(())
}
