//! Models from files to rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use proptest::prelude::*;

use crate::compile::{Compiled, Sources, compile};
use crate::lineage::columns;
use crate::project::Project;
use crate::project::testing::{NOTE, project};
use crate::unit_test::{Outcome, run};

fn sources() -> Sources {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let reference = vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("valid_from", time.clone(), true),
        Field::new("valid_to", time.clone(), true),
    ];
    let fields = vec![
        Field::new("n", DataType::Int64, true),
        Field::new("id", DataType::Utf8, true),
        Field::new("price", DataType::Decimal128(18, 4), true),
        Field::new("event_time", time, true),
        Field::new("_source", DataType::Utf8, true),
        Field::new("_kafka_partition", DataType::Int32, true),
        Field::new("_offset", DataType::Int64, true),
    ];
    [
        ("raw.x".parse().unwrap(), Arc::new(Schema::new(fields))),
        ("ref.m_history".parse().unwrap(), Arc::new(Schema::new(reference))),
    ]
    .into()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn compiled(
    project: &Project,
) -> Result<std::collections::BTreeMap<String, Compiled>, Vec<String>> {
    let compiled = block_on(compile(project, &sources())).unwrap();
    compiled.map_err(|all| all.iter().map(ToString::to_string).collect())
}

fn mistakes(sql: &str) -> Vec<String> {
    compiled(&project(&[("staging/a.sql", sql)])).unwrap_err()
}

#[test]
fn mistakes_are_found_before_anything_runs() {
    let from = "from {{ source('raw', 'x') }}";
    for (sql, says) in [
        (format!("select n,\n  nn as m\n{from}"), "staging/a.sql:2:3: "),
        (format!("select n + interval '1 day' as m {from}"), "staging/a.sql:1:1: "),
        (format!("select count(*) {from}"), "column 1 is called \"count(*)\"; give it a name"),
        (format!("select n as \"N\" {from}"), "column 1 is called \"N\""),
        ("select null as n".into(), "column `n`: always null, without a type"),
        (format!("select event_time - event_time as d {from}"), "column `d`: tables have no type"),
        (format!("select cast(event_time as timestamp) as t {from}"), "a time without its zone"),
        (format!("select price * 0.5e0 as p {from}"), "becomes a floating number"),
        (
            format!("select n,\n  cast(price as double) as p {from}"),
            "staging/a.sql:2:8: the decimal `raw.x.price` becomes a floating number",
        ),
        (format!("select try_cast(price as double) as p {from}"), "becomes a floating number"),
        (format!("select arrow_cast(price, 'Float64') as p {from}"), "becomes a floating number"),
        (
            format!("select n,\n  event_time - event_time as d {from}"),
            "staging/a.sql:2:3: column `d`",
        ),
        (
            format!("{{{{ config(dedup=['id']) }}}} select id, event_time {from}"),
            "`_source` is missing",
        ),
    ] {
        let found = mistakes(&sql);
        assert!(found.iter().any(|m| m.contains(says)), "{sql}: {found:#?}");
    }
}

const RECORD: &str = "_source, _kafka_partition, _offset";

/// A model that is built by increments of this strategy.
fn incremental(strategy: &str, select: &str) -> String {
    let more = match strategy {
        "microbatch" => ", event_time='event_time', batch_size='hour'",
        "merge" => ", unique_key=['id']",
        _ => "",
    };
    format!(
        "{{{{ config(materialized='incremental', incremental_strategy='{strategy}'{more}) }}}}\n{select}"
    )
}

const RAW: &str = "from {{ source('raw', 'x') }} as x";

/// A strategy, a SELECT, and what is said of it.
type Refused = (&'static str, String, &'static str);

fn no_microbatch() -> Vec<Refused> {
    let raw = RAW;
    vec![
        (
            "microbatch",
            format!("select n {raw}"),
            "`event_time` names the column `event_time`, which",
        ),
        ("microbatch", format!("select n as event_time {raw}"), "which is no time or date"),
        (
            "microbatch",
            "select event_time, n from {{ ref('made') }}".into(),
            "it reads made, of which nobody can tell which times a build changed",
        ),
        (
            "microbatch",
            "select event_time, n from {{ ref('twice') }}".into(),
            "twice is deduplicated, and its rows are not those of one source as they came",
        ),
        (
            "microbatch",
            format!(
                "select event_time, h.valid_to {raw} join {{{{ source('ref', 'm_history') }}}} as h on h.id = x.id"
            ),
            "column `valid_to` says until when a row of a reference holds",
        ),
        (
            "microbatch",
            format!(
                "select event_time {raw} join {{{{ ref('current') }}}} as c on c.id = x.id where c.is_current"
            ),
            "it asks what is current",
        ),
    ]
}

fn no_append() -> Vec<Refused> {
    let raw = RAW;
    vec![
        ("append", format!("select n, _source, _offset {raw}"), "`_kafka_partition` is missing"),
        (
            "append",
            format!("select n, {RECORD} from {{{{ ref('made') }}}}"),
            "it reads made, and append models",
        ),
        (
            "append",
            format!("select n, {RECORD} from {{{{ ref('once') }}}}"),
            "it reads once, which is dedup",
        ),
        (
            "append",
            format!(
                "select x.n, x._source, x._kafka_partition, x._offset {raw} join {{{{ source('ref', 'm_history') }}}} as h on h.id = x.id"
            ),
            "a load of a reference would change rows that were appended",
        ),
        (
            "append",
            format!(
                "select a.n, a._source, a._kafka_partition, a._offset {raw} join {{{{ source('raw', 'x') }}}} as a on a.id = x.id"
            ),
            "this has a join",
        ),
        (
            "append",
            format!("select max(n) as n, {RECORD} {raw} group by {RECORD}"),
            "this has GROUP BY or DISTINCT",
        ),
        ("append", format!("select distinct n, {RECORD} {raw}"), "this has GROUP BY or DISTINCT"),
        (
            "append",
            format!("select row_number() over (order by {RECORD}) as n, {RECORD} {raw}"),
            "this has a window function",
        ),
        (
            "append",
            format!("select n, {RECORD} {raw} order by {RECORD} limit 3"),
            "this has ORDER BY or LIMIT",
        ),
        (
            "append",
            format!("select n, {RECORD} {raw} except select n, {RECORD} {raw}"),
            "append model gives rows record by record",
        ),
    ]
}

fn no_merge() -> Vec<Refused> {
    let raw = RAW;
    vec![
        (
            "merge",
            format!("select n {raw}"),
            "`unique_key` names the column `id`, which is not there",
        ),
        (
            "merge",
            "select id, max(n) as n from {{ ref('made') }} group by id".into(),
            "it reads made, and merge models",
        ),
        (
            "merge",
            "select id, max(n) as n from {{ ref('once') }} group by id".into(),
            "it reads once, which is dedup",
        ),
        (
            "merge",
            format!(
                "select id, {{% if is_incremental() %}} max(n) {{% else %}} 'x' {{% endif %}} as n {raw} group by id"
            ),
            "with is_incremental() the columns are id string, n long, without it id string, n string",
        ),
    ]
}

#[test]
fn what_no_increment_can_get_right_is_refused_where_it_is_asked_for() {
    let (raw, held) =
        ("from {{ source('raw', 'x') }} as x", "from {{ source('ref', 'm_history') }}");
    let table =
        format!("{{{{ config(materialized='table') }}}} select n, id, event_time, {RECORD} {raw}");
    let current = format!(
        "{{{{ config(materialized='table') }}}} select id, valid_to is null as is_current {held}"
    );
    let once = format!("{{{{ config(dedup=['id']) }}}} select n, id, event_time, {RECORD} {raw}");
    let twice = format!(
        "{{{{ config(dedup=['id']) }}}} select n, id, event_time, {RECORD} from {{{{ ref('once') }}}}"
    );
    let models = [
        ("staging/made.sql", table.as_str()),
        ("staging/current.sql", &current),
        ("staging/once.sql", &once),
        ("staging/twice.sql", &twice),
    ];
    for (strategy, select, says) in [no_microbatch(), no_append(), no_merge()].concat() {
        let sql = incremental(strategy, &select);
        let mut files = vec![("staging/a.sql", sql.as_str())];
        files.extend(models.iter().filter(|(path, _)| match *path {
            // Not read, but by the last of them.
            "staging/once.sql" => select.contains("'once'") || select.contains("'twice'"),
            path => select.contains(&path["staging/".len()..path.len() - ".sql".len()]),
        }));
        let found = compiled(&project(&files)).map(|_| ()).expect_err(&sql);
        let placed = |m: &&String| m.starts_with("staging/a.sql:1:4: ") && m.contains(says);
        assert!(found.iter().any(|m| placed(&m)), "{sql}\n{says}: {found:#?}");
    }
    // What can be right is not refused.
    for (strategy, select) in [
        ("microbatch", format!("select event_time, count(*) as n {raw} group by event_time")),
        ("append", format!("select n + 1 as n, {RECORD} {raw} where n > 3")),
        ("merge", format!("select id, max(n) as n {raw} group by id")),
    ] {
        let sql = incremental(strategy, &select);
        let found = compiled(&project(&[("staging/a.sql", &sql)]));
        assert!(found.is_ok(), "{sql}: {:?}", found.err());
    }
}

#[test]
fn marts_have_flat_columns() {
    let files = [(
        "marts/sales/c.sql",
        "select n, make_array(n) as list, struct(n as a) as s from {{ source('raw', 'x') }}",
    )];
    let found = compiled(&project(&files)).map(|_| ()).unwrap_err();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("column `list` is a list<long>; a mart has flat columns"),
        "{found:?}"
    );
    assert!(found[1].contains("column `s` is a struct<"), "{found:?}");
}

#[test]
fn what_a_description_promises_is_held_against_the_sql() {
    let mart = "select n {{ ', 1 as extra' }} from {{ ref('a') }}";
    let of = |note: &str, a: &str| {
        let files = [("staging/a.sql", a), ("marts/b.sql", mart), ("marts/b.yml", note)];
        compiled(&project(&files)).err().unwrap_or_default()
    };
    assert_eq!(of(NOTE, "select 3 as n"), Vec::<String>::new());
    let found = of(NOTE, "select 'x' as n");
    assert!(found[0].starts_with("marts/b.yml:6:15: column `n` of b is long by"), "{found:?}");
    let found = of(&NOTE.replace("name: n\n", "name: nn\n"), "select 3 as n");
    assert!(found[0].contains("model b has no column `nn`; did you mean `n`?"), "{found:?}");
}

#[test]
fn tests_are_planned_too() {
    let of = |note: &str, test: &str| {
        let files = [
            ("staging/a.sql", "select n from {{ source('raw', 'x') }}"),
            ("staging/a.yml", note),
            ("tests/t.sql", test),
        ];
        compiled(&project(&files)).unwrap_err()
    };
    let note = "models:\n  - name: a\n    columns: [{name: n, data_tests: [not_null]}]\n    data_tests:\n      \
                - expression: {arguments: {expression: nn > 0}}\n";
    let found = of(note, "select n\nfrom {{ ref('a') }}\nwhere m = 1");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("staging/a.yml:5:9: test expression_a_2: "), "{found:?}");
    assert!(found[1].starts_with("tests/t.sql:3:7: "), "{found:?}");
}

#[test]
fn columns_know_where_they_come_from() {
    let project = project(&[
        ("staging/a.sql", "select n, price * 2 as double_price, id from {{ source('raw', 'x') }}"),
        (
            "staging/b.sql",
            "with s as (select id, sum(double_price) as total, max(n) as n from {{ ref('a') }} \
             group by id) select s.id, total, coalesce(s.n, a.n) as m, row_number() over (order by \
             s.id, a._source, a._kafka_partition, a._offset) as r from s left join \
             {{ source('raw', 'x') }} as a on a.id = s.id where a.price > 1",
        ),
    ]);
    let compiled = compiled(&project).unwrap();
    let shown = |name: &str| -> Vec<String> {
        let one =
            |(column, origins): (String, std::collections::BTreeSet<crate::lineage::Origin>)| {
                let from: Vec<String> =
                    origins.iter().map(|o| format!("{}.{}", o.table, o.column)).collect();
                format!("{column} <- {}", from.join(" "))
            };
        columns(&compiled[name].plan).into_iter().map(one).collect()
    };
    assert_eq!(shown("a"), ["n <- raw.x.n", "double_price <- raw.x.price", "id <- raw.x.id"]);
    assert_eq!(
        shown("b"),
        [
            "id <- staging.a.id",
            "total <- staging.a.double_price",
            "m <- raw.x.n staging.a.n",
            "r <- raw.x._kafka_partition raw.x._offset raw.x._source staging.a.id",
        ]
    );
}

fn outcome(files: &[(&str, &str)]) -> Outcome {
    let project = project(files);
    let compiled = compiled(&project).unwrap();
    block_on(run(&project, &compiled, &sources(), &project.unit_tests[0])).unwrap()
}

#[test]
fn a_unit_test_passes_or_says_which_rows_differ() {
    let of = |mart: &str, note: &str| {
        outcome(&[
            ("staging/a.sql", "select n, id from {{ source('raw', 'x') }}"),
            ("marts/b.sql", mart),
            ("marts/b.yml", note),
        ])
    };
    let mart = "select n, id from {{ ref('a') }} where n > 0";
    assert_eq!(of(mart, NOTE), Outcome::Passed);
    let wrong = "select n + 1 as n, id from {{ ref('a') }}";
    let failed = Outcome::Failed { missing: vec!["n=3".into()], surplus: vec!["n=4".into()] };
    assert_eq!(of(wrong, NOTE), failed);
    for (from, to, says) in [
        ("ref('a'), rows", "\"source('raw', 'x')\", rows", "b does not read raw.x"),
        ("rows: [{n: 3}]}\n    expect", "rows: [{nn: 3}]}\n    expect", "did you mean `n`?"),
        ("rows: [{n: 3}]}\n    expect", "rows: [{n: x}]}\n    expect", "column `n`: "),
        (
            "given:\n      - {input: ref('a'), rows: [{n: 3}]}\n",
            "given: []\n",
            "reads staging.a, whose rows are not",
        ),
    ] {
        assert!(NOTE.contains(from), "{from}");
        let Outcome::Wrong(why) = of(mart, &NOTE.replace(from, to)) else { panic!("{to}") };
        assert!(why.contains(says), "{to}: {why}");
    }
}

/// (identity or none, day, source, partition), all small so that they meet.
fn records() -> impl Strategy<Value = Vec<(Option<u8>, i64, u8, i32)>> {
    let identity = prop::option::weighted(0.9, 0u8..2);
    prop::collection::vec((identity, 0i64..6, 0u8..2, 0i32..2), 1..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Against the definition, taken literally.
    #[test]
    fn of_the_records_of_an_event_the_first_survives(records in records()) {
        let mut rows = String::new();
        for (offset, (id, day, source, partition)) in records.iter().enumerate() {
            let id = id.map_or("null".to_string(), |id| format!("i{id}"));
            rows += &format!(
                "          - {{id: {id}, event_time: \"2026-03-0{}T23:00:00Z\", _source: s{source}, \
                 _kafka_partition: {partition}, _offset: {offset}}}\n", day + 1
            );
        }
        let key = |n: usize| (records[n].2, records[n].3, n);
        let mut expect = String::new();
        for n in 0..records.len() {
            let dropped = (0..records.len()).any(|m| {
                records[m].0.is_some()
                    && records[m].0 == records[n].0
                    && (records[m].1 - records[n].1).abs() <= 1
                    && key(m) < key(n)
            });
            if !dropped {
                expect += &format!("        - {{_offset: {n}}}\n");
            }
        }
        let note = format!(
            "unit_tests:\n  - name: t\n    model: a\n    given:\n      - input: source('raw', 'x')\n        \
             rows:\n{rows}    expect:\n      rows:\n{expect}"
        );
        let sql = "{{ config(dedup=['id']) }} select id, event_time, _source, _kafka_partition, _offset \
                   from {{ source('raw', 'x') }}";
        let outcome = outcome(&[("staging/a.sql", sql), ("staging/a.yml", &note)]);
        prop_assert_eq!(outcome, Outcome::Passed);
    }
}
