//! The config as a whole: a golden file, precedence, and every kind of mistake.

use super::*;
use weir_catalog::storage::Warehouse;
use weir_ingest::resume::Start;

use crate::config::raw::Inputs;

const SMALL: &str = r#"
warehouse = "lake"
[catalog]
uri = "sqlite:///catalog.db"
"#;

fn inputs(file: &str) -> Inputs {
    Inputs { file_name: "weir.toml".into(), file: file.into(), ..Inputs::default() }
}

fn mistakes(inputs: &Inputs) -> Vec<String> {
    match parse(inputs, Path::new("/srv/weir")) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    }
}

#[track_caller]
fn wrong(file: &str, expect: &[&str]) {
    assert_eq!(mistakes(&inputs(&format!("{SMALL}{file}"))), expect);
}

#[test]
fn the_golden_file_means_what_it_meant() {
    let config = parse(&inputs(include_str!("golden/weir.toml")), Path::new("/srv/weir")).unwrap();
    let resolved = format!("{config:#?}\n");
    if std::env::var_os("WEIR_BLESS").is_some() {
        std::fs::write(
            concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/golden/resolved.txt"),
            &resolved,
        )
        .unwrap();
    }
    assert_eq!(resolved, include_str!("golden/resolved.txt"));
}

#[test]
fn the_golden_file_holds_every_key() {
    let raw = raw::Raw::collect(&inputs(include_str!("golden/weir.toml")));
    // It excludes `rest.client_id`.
    for key in keys::KEYS.iter().filter(|key| key.path != "rest.token") {
        let path: Vec<&str> = key.path.split('.').collect();
        let given = match path.iter().position(|part| *part == "*") {
            None => raw.get(&path).is_some_and(|found| found.place != "default"),
            Some(1) => raw.named(path[0]).any(|(n, _)| raw.get(&[path[0], n, path[2]]).is_some()),
            Some(at) => raw.under(&path[..at]).next().is_some(),
        };
        assert!(given, "golden/weir.toml lacks {}", key.path);
    }
}

#[test]
fn a_small_file_gets_the_defaults() {
    let config = parse(&inputs(SMALL), Path::new("/srv/weir")).unwrap();
    assert_eq!(config.warehouse, WarehouseAt::Folder("/srv/weir/lake".into()));
    assert_eq!(config.catalog.place, CatalogPlace::Sqlite("/srv/weir/catalog.db".into()));
    assert_eq!(config.catalog.snapshots_max, 500);
    assert_eq!(config.kafka.bootstrap_servers, None);
    assert_eq!(config.ingest.memory_max, 160 << 20);
    assert_eq!(config.ingest.flush.rows_max, 250_000);
    assert_eq!(config.ingest.flush.bytes_max, 64 << 20);
    assert_eq!(config.ingest.flush.interval.as_secs(), 5);
    assert_eq!(config.ingest.start, Start::Earliest);
}

#[test]
fn flags_win_over_variables_over_the_file_over_defaults() {
    let rows =
        |inputs: &Inputs| parse(inputs, Path::new("/")).map(|config| config.ingest.flush.rows_max);
    let mut inputs = inputs(SMALL);
    assert_eq!(rows(&inputs), Ok(250_000));
    inputs.file.push_str("[ingest]\nflush.rows_max = 3\n");
    assert_eq!(rows(&inputs), Ok(3));
    inputs.env.push(("WEIR__INGEST__FLUSH__ROWS_MAX".into(), "4".into()));
    assert_eq!(rows(&inputs), Ok(4));
    inputs.flags.push(("--set".into(), "ingest.flush.rows_max".into(), "5".into()));
    assert_eq!(rows(&inputs), Ok(5));
}

#[test]
fn all_mistakes_are_told_at_once_each_with_its_place() {
    let mut inputs = inputs(
        "[catalog]\nuri = \"postgres://x\"\nnmae = \"a\"\n[ingest]\nflush.row_max = 5\n\
         flush.interval = \"5 parsecs\"\nmemory_max = 5\n[streams.a]\ntopic = \"a b\"\n",
    );
    inputs.env.push(("WEIR__LOG__LEVEL".into(), "loud".into()));
    inputs.env.push(("WEIR__LOG__LEVLE".into(), "info".into()));
    inputs.flags.push(("--set kafka.x".into(), "kafka.x".into(), "1".into()));
    let expect = [
        "weir.toml:2: `catalog.uri`: expected \"sqlite:///<file>\", \"glue://\", \"glue://<account of \
         12 digits>\" or the address of an Iceberg REST catalog, \"https://<host>/<path>\", found \
         \"postgres://x\"",
        "weir.toml:3: unknown key `catalog.nmae`; did you mean `catalog.name`?",
        "weir.toml:5: unknown key `ingest.flush.row_max`; did you mean `ingest.flush.rows_max`?",
        "weir.toml:6: `ingest.flush.interval`: expected a duration, a whole number with ms, s, m, h \
         or d such as \"5s\", found \"5 parsecs\"",
        "weir.toml:7: `ingest.memory_max`: expected a size such as \"64MiB\", found the number 5",
        "weir.toml:8: `streams.a.contract` is absent; it is a path",
        "weir.toml:9: `streams.a.topic`: a topic has at most 249 letters, digits, dots, underscores \
         and hyphens, found \"a b\"",
        "--set kafka.x: unknown key `kafka.x`",
        "WEIR__LOG__LEVEL: `log.level`: expected \"error\" or \"warn\" or \"info\" or \"debug\" or \
         \"trace\", found \"loud\"",
        "WEIR__LOG__LEVLE: no key has this variable; did you mean WEIR__LOG__LEVEL?",
        "weir.toml: `warehouse` is absent; it is a path",
    ];
    assert_eq!(mistakes(&inputs), expect);
}

#[test]
fn syntax_errors_have_lines_and_no_echo() {
    let found = mistakes(&inputs("warehouse = \n[catalog]\nuri = \"a\nname = 'x'\n"));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("weir.toml:1: "), "{found:?}");
    assert!(found[1].starts_with("weir.toml:3: "), "{found:?}");
    wrong("uri = \"sqlite:///b.db\"", &["weir.toml:5: duplicate key"]);
}

#[test]
fn forgotten_quotes_are_explained() {
    wrong(
        "[streams.vending.health]\ntopic = \"a\"\n",
        &["weir.toml:5: unknown key `streams.vending.health`; a name with dots is quoted: \
           streams.\"vending.health\""],
    );
    wrong(
        "[kafka.properties]\nsecurity.protocol = \"SSL\"\n",
        &["weir.toml:6: unknown key `kafka.properties.security`; a name with dots is quoted: \
           kafka.properties.\"security.protocol\""],
    );
}

#[test]
fn a_key_in_the_wrong_table_is_found_again() {
    wrong(
        "[ingest]\nrows_max = 5\n",
        &["weir.toml:6: unknown key `ingest.rows_max`; did you mean `ingest.flush.rows_max`?"],
    );
    wrong("[ingest]\nflush = 5\n", &["weir.toml:6: `ingest.flush` is a table, not a value"]);
    wrong("[vending]\na = 1\n", &["weir.toml:5: unknown key `vending`"]);
}

#[test]
fn streams_must_have_tables_of_their_own() {
    let stream = |name: &str| format!("[streams.{name:?}]\ntopic = \"t\"\ncontract = \"c.yaml\"\n");
    wrong(
        &format!("{}{}", stream("a.b"), stream("a_b")),
        &["weir.toml:8: the streams \"a.b\" and \"a_b\" would share the table raw.a_b"],
    );
    let found = mistakes(&inputs(&format!("{SMALL}{}", stream("Vending"))));
    assert!(found[0].starts_with("weir.toml:5: the stream \"Vending\" cannot name a table"));
    wrong(
        "[streams.\"a.b\"]\n",
        &[
            "weir.toml:5: `streams.\"a.b\".topic` is absent; it is text",
            "weir.toml:5: `streams.\"a.b\".contract` is absent; it is a path",
        ],
    );
}

#[test]
fn references_are_tables_of_ref() {
    let reference = |name: &str| format!("[references.{name:?}]\nfile = \"f\"\ncontract = \"c\"\n");
    wrong(
        &format!("{}{}", reference("machines"), reference("ref.sites")),
        &["weir.toml:5: the reference \"machines\" is no table of `ref`; write \"ref.machines\""],
    );
    wrong(
        "[references.\"ref.sites\"]\nfile = \"sites.csv\"\n",
        &["weir.toml:5: `references.\"ref.sites\".contract` is absent; it is a path"],
    );
    wrong(
        "[references.ref.sites]\nfile = \"sites.csv\"\n",
        &["weir.toml:5: unknown key `references.ref.sites`; a name with dots is quoted: \
           references.\"ref.sites\""],
    );
}

#[test]
fn a_batch_is_at_most_half_of_the_memory() {
    wrong(
        "[ingest]\nmemory_max = \"100MiB\"\n",
        &[
            "weir.toml:6: `ingest.flush.bytes_max` (64MiB) must be at most half of `ingest.memory_max` \
         (100MiB): the next batch fills while the last one is committed",
        ],
    );
}

#[test]
fn secrets_are_references_and_weirs_own_properties_are_refused() {
    wrong(
        "[kafka.properties]\n\"sasl.password\" = \"hunter2\"\n\"group.id\" = \"g\"\n\
         \"security.protocol\" = \"SASL_SSL\"\n\"sasl.mechanism\" = \"PLAIN\"\n\
         \"sasl.username\" = \"u\"\n",
        &[
            "weir.toml:6: `kafka.properties.\"sasl.password\"`: a secret is given by reference only: \
         \"env:NAME\" or \"file:/path\"",
            "weir.toml:7: `kafka.properties.\"group.id\"`: Weir sets \"group.id\" itself: use \
         `kafka.group_prefix`",
        ],
    );
}

#[test]
fn the_documents_examples_are_right() {
    let page = include_str!("../../../docs/kafka.md");
    let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks: Vec<&str> = blocks.collect();
    assert_eq!(blocks.len(), 4);
    for block in blocks {
        wrong(block, &[]);
    }
    let page = include_str!("../../../docs/rest.md");
    let block = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(mistakes(&inputs(block.unwrap())), [""; 0]);
}

#[test]
fn a_protection_that_has_no_effect_is_refused() {
    wrong(
        "[kafka.properties]\n\"ssl.ca.pem\" = \"file:ca.pem\"\n",
        &["weir.toml:6: `kafka.properties.\"ssl.ca.pem\"`: it has no effect while \
           \"security.protocol\" is PLAINTEXT; set SSL or SASL_SSL"],
    );
    let file = "[kafka.properties]\n\"security.protocol\" = \"SSL\"\n\
                \"ssl.ca.pem\" = \"file:../ca.pem\"\n";
    let config = parse(&inputs(&format!("{SMALL}{file}")), Path::new("/srv/weir")).unwrap();
    let ca = &config.kafka.properties["ssl.ca.pem"];
    assert_eq!(format!("{ca:?}"), "file:/srv/ca.pem");
}

#[test]
fn flags_reach_streams_and_variables_do_not() {
    let mut inputs = inputs(SMALL);
    for (key, value) in [("topic", "t"), ("contract", "c.yaml")] {
        let key = format!("streams.\"a.b\".{key}");
        inputs.flags.push((format!("--set {key}"), key, value.into()));
    }
    let config = parse(&inputs, Path::new("/srv")).unwrap();
    assert_eq!(config.streams["a.b"].contract, Path::new("/srv/c.yaml"));
    inputs.env.push(("WEIR__STREAMS__A__TOPIC".into(), "t".into()));
    assert_eq!(
        mistakes(&inputs),
        [
            "WEIR__STREAMS__A__TOPIC: `streams.*.topic` cannot be set by a variable; use weir.toml or \
         --set",
        ]
    );
}

#[test]
fn relative_paths_start_at_the_file() {
    assert_eq!(join(Path::new("/srv/weir"), "../lake/./x"), Path::new("/srv/lake/x"));
    assert_eq!(join(Path::new("/srv/weir"), "/abs"), Path::new("/abs"));
}

#[test]
fn every_value_is_shown_with_its_origin() {
    let mut inputs = inputs(&format!(
        "{SMALL}[kafka.properties]\n\"sasl.password\" = \"env:KAFKA_PASSWORD\"\n\
         [streams.\"a.b\"]\ntopic = \"t\"\ncontract = \"../c.yaml\"\n"
    ));
    inputs.env.push(("WEIR__INGEST__FLUSH__INTERVAL".into(), "90s".into()));
    inputs.flags.push(("--set log.level".into(), "log.level".into(), "debug".into()));
    let all = entries::entries(&raw::Raw::collect(&inputs), Path::new("/srv/weir"));
    let shown = |key: &str| {
        let entry = all.iter().find(|entry| entry.key == key).unwrap();
        (entry.value.as_deref().unwrap_or("-"), entry.origin.as_str())
    };
    let expect = [
        ("warehouse", ("/srv/weir/lake", "weir.toml:2")),
        ("catalog.uri", ("sqlite:////srv/weir/catalog.db", "weir.toml:4")),
        ("catalog.snapshots_max", ("500", "default")),
        ("kafka.bootstrap_servers", ("-", "unset")),
        ("kafka.properties.\"sasl.password\"", ("env:KAFKA_PASSWORD", "weir.toml:6")),
        ("ingest.memory_max", ("160MiB", "default")),
        ("ingest.flush.interval", ("90s", "WEIR__INGEST__FLUSH__INTERVAL")),
        ("log.level", ("debug", "--set log.level")),
        ("streams.\"a.b\".contract", ("/srv/c.yaml", "weir.toml:9")),
    ];
    for (key, value) in expect {
        assert_eq!(shown(key), value, "{key}");
    }
}

#[test]
fn a_lake_in_aws_needs_few_keys() {
    let small = "warehouse = \"s3://lake/weir\"\n[catalog]\nuri = \"glue://\"\n";
    let config = parse(&inputs(small), Path::new("/srv/weir")).unwrap();
    let warehouse = Warehouse::S3 { bucket: "lake".into(), prefix: "weir".into() };
    assert_eq!(config.warehouse, WarehouseAt::S3(warehouse));
    assert_eq!(config.catalog.place, CatalogPlace::Glue(None));
    assert_eq!((config.aws.keys, config.aws.timeout.as_secs()), (None, 60));
    let shown = entries::entries(&raw::Raw::collect(&inputs(small)), Path::new("/srv/weir"));
    assert_eq!(shown[0].value.as_deref(), Some("s3://lake/weir"));
}

#[test]
fn what_aws_cannot_mean_is_told() {
    let mistakes = |text: &str| {
        let found = parse(&inputs(text), Path::new("/")).unwrap_err();
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let told = mistakes(
        "warehouse = \"lake\"\n[catalog]\nuri = \"glue://\"\n[aws]\naccess_key_id = \"a\"\n\
         [glue]\nendpoint = \"glue.local\"\ndatabase_prefix = \"Prod-\"\n",
    );
    for part in [
        "weir.toml:3: `catalog.uri`: tables in Glue have their files in S3",
        "weir.toml:5: `aws.access_key_id` means nothing without `aws.secret_access_key`",
        "weir.toml:7: `glue.endpoint`: expected \"https://<host>\"",
        "weir.toml:8: `glue.database_prefix`: a database has lower case letters",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let told = mistakes(
        "warehouse = \"s3://x/\"\n[catalog]\nuri = \"glue://12\"\n[aws]\naccess_key_id = \"a\"\n\
         secret_access_key = \"plain\"\n",
    );
    for part in ["s3://<bucket>/<prefix>", "account of 12 digits", "by reference only"] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn a_rest_catalog_needs_its_address_and_one_way_to_be_known() {
    let lake = "warehouse = \"lake\"\n[catalog]\nuri = \"https://h/api\"\n[rest]\n";
    let parsed = |more: &str| parse(&inputs(&format!("{lake}{more}")), Path::new("/srv/weir"));
    let config = parsed("client_id = \"weir\"\nclient_secret = \"file:s\"\n").unwrap();
    assert_eq!(config.catalog.place, CatalogPlace::Rest("https://h/api".into()));
    let secret = Property::File("/srv/weir/s".into());
    assert_eq!(config.rest.client, Some((Property::Plain("weir".into()), secret)));
    assert_eq!((&*config.rest.scope, config.rest.retries_max), ("catalog", 5));
    let told = |more: &str| {
        parsed(more).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    for (more, part) in [
        ("token = \"plain\"", "weir.toml:5: `rest.token`: a secret is given by reference only"),
        ("client_id = \"a\"", "`rest.client_id` means nothing without `rest.client_secret`"),
        ("token_uri = \"h/token\"", "`rest.token_uri`: expected \"https://<host>/<path>\""),
        (
            "token = \"env:T\"\nclient_id = \"a\"\nclient_secret = \"env:S\"",
            "weir.toml:5: `rest.token` and `rest.client_id` are two ways to be known",
        ),
    ] {
        assert!(told(more).contains(part), "{part}\n{}", told(more));
    }
    let found = parse(&inputs(&lake.replace("https://h/api", "https://u:p@h")), Path::new("/"));
    assert!(found.is_err(), "a password in the address");
}
