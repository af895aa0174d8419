//! Every command that the documents show is run, in the order in which it stands there, by the real binary
//! against a real Kafka, in a copy of the repository. What cannot run here is listed, with the reason.

mod page;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use page::{Block, Page, Step};
use weir_tests::lab::{Done, binary, done, permissions, repository};
use weir_tests::running::Running;
use weir_tests::stack::{Kafka, KafkaOptions};

/// The documents with commands.
const PAGES: [&str; 9] = [
    "README.md",
    "docs/tutorial.md",
    "docs/contracts.md",
    "docs/models.md",
    "docs/history.md",
    "docs/maintenance.md",
    "docs/fleet.md",
    "CONTRIBUTING.md",
    "bench/README.md",
];
/// Where the documents say that Kafka is.
const KAFKA: &str = "127.0.0.1:9092";
/// How long a command may take to end after ctrl-c.
const END: Duration = Duration::from_secs(90);

/// What happens to a command that does not simply run.
enum Instead {
    /// It runs elsewhere, as the reason says.
    Elsewhere,
    /// It would go on for ever, or for minutes: ctrl-c ends it, and it ends well.
    Stopped,
    /// This runs in its place.
    Run(&'static str),
}
use Instead::{Elsewhere, Run, Stopped};

/// Commands that do not simply run: page, command, what happens instead, why.
const SPECIAL: [(&str, &str, Instead, &str); 17] = [
    (
        "README.md",
        "jobs/quickstart",
        Elsewhere,
        "it builds; the suite quickstart runs what it starts",
    ),
    ("README.md", "tests/run", Elsewhere, "this test is a part of it"),
    ("README.md", "weir ingest", Stopped, "it has no end"),
    (
        "docs/tutorial.md",
        "jobs/quickstart",
        Run("weir quickstart --for 8s"),
        "it builds, and then runs this for longer",
    ),
    (
        "docs/tutorial.md",
        "python3 -m venv venv && venv/bin/pip install --quiet -r ../tests/requirements.txt",
        Run(r#"mkdir -p venv/bin && ln -s "$WEIR_PYTHON_LAUNCHER" venv/bin/python"#),
        "tests/run has installed the same",
    ),
    (
        "docs/tutorial.md",
        "target/debug/weir-stack kafka --port 9092 --foreground",
        Elsewhere,
        "the test has started the same on a free port",
    ),
    ("docs/fleet.md", "weir simulate --kafka", Stopped, "it has no end"),
    (
        "docs/fleet.md",
        "weir simulate --kafka --machines 2000 --for 1h --speed-up 60",
        Stopped,
        "it takes a minute",
    ),
    ("bench/README.md", "cargo build --release --workspace", Elsewhere, "it builds for minutes"),
    (
        "bench/README.md",
        "target/release/weir-bench ingest",
        Run("weir-bench ingest --records 20000 --runs 1"),
        "its figures take minutes",
    ),
    (
        "bench/README.md",
        "target/release/weir-bench ingest --partitions 1,8,64 --records 2000000",
        Run("weir-bench ingest --partitions 1,3 --records 10000 --runs 1"),
        "its figures take minutes",
    ),
    (
        "bench/README.md",
        "target/release/weir-bench commits",
        Run("weir-bench commits --commits 40 --caps 5,10"),
        "its figures take minutes",
    ),
    (
        "bench/README.md",
        "target/release/weir-bench commits --caps 500 --maintain-every 60",
        Run("weir-bench commits --commits 62 --caps 5 --maintain-every 60"),
        "its figures take minutes",
    ),
    (
        "bench/README.md",
        "target/release/weir-bench compact",
        Run("weir-bench compact --files 6 --rows 200"),
        "its figures take minutes",
    ),
    (
        "bench/README.md",
        "target/release/weir-bench freshness",
        Run(
            "weir-bench freshness --on sqlite --flush 1s --rate 500 --seconds 10 --maintain-every 4",
        ),
        "its figures take minutes, and versitygw is built with Go",
    ),
    (
        "bench/README.md",
        "python bench/marts.py target/release/weir 127.0.0.1:9092 /tmp/weir-marts",
        Elsewhere,
        "it takes minutes; the suite dbt makes such lakes and runs the same project",
    ),
    (
        "bench/README.md",
        "python bench/windows.py target/release/weir target/release/weir-stack /tmp/weir-windows",
        Elsewhere,
        "it takes minutes and gigabytes; the suite increments checks what increments read",
    ),
];

/// A copy of the repository in which a page's commands run one after another, as in one shell.
struct Shell {
    folder: tempfile::TempDir,
    kafka: Option<Kafka>,
}

impl Shell {
    fn new() -> Result<Shell> {
        let folder = tempfile::Builder::new().prefix("weir-docs-").tempdir()?;
        let shell = Shell { folder, kafka: None };
        for name in files()? {
            let (from, to) = (repository().join(&name), shell.root().join(&name));
            std::fs::create_dir_all(to.parent().context("a parent")?)?;
            std::fs::copy(from, to)?;
        }
        let weir = binary().display().to_string();
        // A person at a terminal gets tables; here nothing is a terminal.
        shell.script(
            "weir",
            &format!(
                "case \" $* \" in *' --output '*) exec '{weir}' \"$@\";; esac\n\
                 exec '{weir}' --output human --log-format human \"$@\"\n"
            ),
        )?;
        let bench = binary().with_file_name("weir-bench");
        shell.script("weir-bench", &format!("exec '{}' \"$@\"\n", bench.display()))?;
        shell.script("python", "exec \"$WEIR_PYTHON\" \"$@\"\n")?;
        Ok(shell)
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("weir")
    }

    fn script(&self, name: &str, text: &str) -> Result<()> {
        let bin = self.folder.path().join("bin");
        std::fs::create_dir_all(&bin)?;
        std::fs::write(bin.join(name), format!("#!/bin/sh\n{text}"))?;
        permissions(&bin.join(name), 0o755)
    }

    /// The text with the address of the Kafka that is there, which is started where it is asked for.
    fn with_address(&mut self, text: &str) -> Result<String> {
        if !text.contains(KAFKA) {
            return Ok(text.to_string());
        }
        if self.kafka.is_none() {
            self.kafka = Some(Kafka::start_own(&KafkaOptions::default())?);
        }
        let kafka = self.kafka.as_ref().context("a Kafka")?;
        Ok(text.replace(KAFKA, kafka.bootstrap()))
    }

    /// bash with the folder and the variables that the last command left.
    fn bash(&self, script: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = self.folder.path().join("bin");
        let mut command = Command::new("bash");
        command.args(["-c", script]).current_dir(self.root());
        command.env("PATH", format!("{}:{path}", bin.display()));
        command.env("WEIR_PYTHON_LAUNCHER", bin.join("python")).env_remove("WEIR_CONFIG");
        command.env("SHELL_STATE", self.folder.path().join("state"));
        command
    }

    fn run(&mut self, command: &str) -> Result<Done> {
        let command = self.with_address(command)?;
        let script = format!(
            "touch \"$SHELL_STATE\"; . \"$SHELL_STATE\"\n{command}\ncode=$?\n\
             {{ declare -p | grep -E '^declare -[-x]+ [a-z_]+=' ; export -p; \
             printf 'cd %q\\n' \"$PWD\"; }} > \"$SHELL_STATE\"\nexit $code\n"
        );
        Ok(done(self.bash(&script).output()?))
    }

    /// Starts a command that goes on, and ends it with ctrl-c once it has said something.
    fn stop(&mut self, command: &str) -> Result<()> {
        let command = self.with_address(command)?;
        let script = format!("touch \"$SHELL_STATE\"; . \"$SHELL_STATE\"\nexec {command}\n");
        let mut running = Running::start(&mut self.bash(&script))?;
        running.until("it says something", Running::has_spoken)?;
        running.signal("INT")?;
        running.end(END)?.expect(0)?;
        Ok(())
    }

    /// Runs the commands of a page; what they show must be what the page shows.
    fn follow(&mut self, page: &Page) -> Result<()> {
        let mut special: Vec<_> = SPECIAL.iter().filter(|one| one.0 == page.name).collect();
        for block in &page.blocks {
            let place = format!("{}:{}", page.name, block.line);
            match block {
                Block { lang, text, .. } if lang == "toml" => {
                    if let Some(name) = page::named(text) {
                        let text = self.with_address(text)?;
                        std::fs::write(self.root().join(name), text)?;
                    }
                }
                Block { lang, .. } if lang == "sh" => {
                    let mut said = String::new();
                    for Step { command, bare, code } in page::steps(&block.text) {
                        let at = special.iter().position(|one| one.1 == bare);
                        let instead = at.map(|at| &special.remove(at).2);
                        let command = match instead {
                            Some(Elsewhere) => continue,
                            Some(Stopped) => {
                                self.stop(&bare).with_context(|| format!("{place}: {bare}"))?;
                                continue;
                            }
                            Some(Run(other)) => *other,
                            None => command.as_str(),
                        };
                        let done = self.run(command)?;
                        ensure!(done.code == Some(code), "{place}: {command}\n{done:#?}");
                        said += &done.stdout;
                        said += &done.stderr;
                    }
                    let missing = page::missing(&block.shown, &said);
                    ensure!(missing.is_none(), "{place}: {missing:?} is not in:\n{said}");
                }
                _ => {}
            }
        }
        let left: Vec<_> = special.iter().map(|one| one.1).collect();
        ensure!(left.is_empty(), "{} has these no more: {left:#?}", page.name);
        Ok(())
    }
}

/// The files of the repository that are, or may be, under version control.
fn files() -> Result<Vec<String>> {
    let mut list = Command::new("git");
    list.args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others"]);
    list.arg("--exclude-standard").current_dir(repository());
    let listed = done_of(&mut list)?.expect(0)?.stdout;
    let there = listed.split('\0').filter(|name| repository().join(name).is_file());
    Ok(there.map(str::to_string).collect())
}

fn follow(name: &str) -> Result<()> {
    Shell::new()?.follow(&Page::read(name)?)
}

#[test]
fn readme() -> Result<()> {
    follow("README.md")
}

#[test]
fn tutorial() -> Result<()> {
    follow("docs/tutorial.md")
}

#[test]
fn contracts() -> Result<()> {
    follow("docs/contracts.md")
}

#[test]
fn models() -> Result<()> {
    follow("docs/models.md")
}

#[test]
fn history() -> Result<()> {
    follow("docs/history.md")
}

#[test]
fn maintenance() -> Result<()> {
    follow("docs/maintenance.md")
}

#[test]
fn contributing() -> Result<()> {
    follow("CONTRIBUTING.md")
}

#[test]
fn bench() -> Result<()> {
    follow("bench/README.md")
}

/// Its commands go on from a config with the topics made, and from a file that is not ours to hand on:
/// the rows of the unit tests stand in for it.
#[test]
fn fleet() -> Result<()> {
    let mut shell = Shell::new()?;
    let mut config = format!(
        "warehouse = \"lake\"\ncatalog.uri = \"sqlite:///catalog.db\"\n\
         kafka.bootstrap_servers = \"{KAFKA}\"\n"
    );
    for stream in ["vending.health", "vending.sales"] {
        config += &format!(
            "[streams.\"{stream}\"]\ntopic = \"{stream}\"\ncontract = \"contracts/{stream}.yaml\"\n"
        );
    }
    std::fs::write(shell.root().join("weir.toml"), shell.with_address(&config)?)?;
    let sample = shell.root().join("fleet/src/from_csv/sample.csv");
    std::fs::copy(sample, shell.root().join("vending_sales_2022_h1.csv"))?;
    shell.run("weir topics --create")?.expect(0)?;
    shell.follow(&Page::read("docs/fleet.md")?)
}

/// The repository's pages with a block for a shell are those that are tested.
#[test]
fn no_page_with_commands_is_left_out() -> Result<()> {
    let mut left_out = Vec::new();
    for name in files()?.iter().filter(|name| name.ends_with(".md")) {
        let shell = |block: &Block| matches!(&*block.lang, "sh" | "bash" | "shell" | "console");
        if Page::read(name)?.blocks.iter().any(shell) && !PAGES.contains(&name.as_str()) {
            left_out.push(name.clone());
        }
    }
    ensure!(left_out.is_empty(), "add a test of their commands: {left_out:?}");
    let stray = SPECIAL.iter().find(|one| !PAGES.contains(&one.0));
    ensure!(stray.is_none(), "a special command of no page: {:?}", stray.map(|one| one.1));
    Ok(())
}

#[test]
fn configs_and_contracts_that_are_whole_are_right() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (config, contract) = (folder.path().join("weir.toml"), folder.path().join("c.yaml"));
    let weir = |arguments: &[&Path]| done_of(Command::new(binary()).args(arguments));
    let mut found = [0, 0];
    for name in PAGES {
        for block in Page::read(name)?.blocks {
            let (what, done) = match &*block.lang {
                "toml" if block.text.contains("warehouse") => {
                    std::fs::write(&config, &block.text)?;
                    (0, weir(&["--config".as_ref(), &config, "config".as_ref()])?)
                }
                "yaml" if block.text.contains("apiVersion") => {
                    std::fs::write(&contract, &block.text)?;
                    (1, weir(&["contracts".as_ref(), "check".as_ref(), &contract])?)
                }
                _ => continue,
            };
            found[what] += 1;
            ensure!(done.code == Some(0), "{name}:{}: {done:#?}", block.line);
        }
    }
    ensure!(found.iter().all(|n| *n > 0), "{found:?}: no config, or no contract");
    Ok(())
}

fn done_of(command: &mut Command) -> Result<Done> {
    Ok(done(command.output()?))
}

/// A command that no guide speaks of is one that nobody finds.
#[test]
fn every_command_is_spoken_of() -> Result<()> {
    let mut guides = String::new();
    for name in &PAGES[..5] {
        guides += &std::fs::read_to_string(repository().join(name))?;
    }
    let mut commands = Vec::new();
    for (parent, arguments) in [("weir", &["--help"][..]), ("weir contracts", &["contracts", "-h"])]
    {
        let help = done_of(Command::new(binary()).args(arguments))?.expect(0)?.stdout;
        let list = help.split_once("Commands:\n").context("no commands")?.1;
        let lines = list.lines().take_while(|line| !line.is_empty());
        let words = lines.filter_map(|line| line.split_whitespace().next());
        commands
            .extend(words.filter(|word| *word != "help").map(|word| format!("{parent} {word}")));
    }
    ensure!(commands.len() > 15, "{commands:?}");
    commands.retain(|command| !guides.contains(command.as_str()));
    ensure!(commands.is_empty(), "no guide speaks of {commands:?}");
    Ok(())
}
