//! What increments cost, and what they do with repairs, other columns and keys: small lakes of one stream.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{CONFIG, Record, START_MS, World, differences};

/// What building one model read of data files: files and bytes.
fn reads(world: &World, select: &str, more: &[&str]) -> Result<(u64, u64)> {
    world.weir(&[&["run", "--select", select], more].concat())?.expect(0)?;
    let path = world.path().join("transforms/sql/target/run_results.json");
    let results: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let steps = results["results"].as_array().context("no results")?;
    let read = |name: &str| steps.iter().filter_map(|s| s["adapter_response"][name].as_u64()).sum();
    Ok((read("files_read"), read("bytes_read")))
}

#[test]
fn the_cost_of_an_increment_follows_what_is_new() -> Result<()> {
    for compacted in [false, true] {
        cost(compacted).with_context(|| format!("compacted: {compacted}"))?;
    }
    Ok(())
}

fn cost(compacted: bool) -> Result<()> {
    // Without records whose time lies far ahead, after which none would come by its time.
    let flags = "--machines 4 --sites 2 --for 12d --stream vending.health --malformed 0";
    let mut world = World::new(5, flags)?;
    world.queue(false)?;
    let mut cost = Vec::new();
    for days in [3, 12] {
        for day in cost.len() as i64 * 3..days {
            world.take_until(day * 24 + 22)?;
        }
        if compacted {
            let maintain = ["maintain", "raw.vending_health", "--set", "maintain.age_min=0s"];
            world.weir(&maintain)?.expect(0)?;
        }
        let whole = reads(&world, "+machine_health_hourly", &["--full-refresh"])?;
        world.take_until(days * 24 - 1)?;
        let increment = reads(&world, "+machine_health_hourly", &[])?;
        println!("after {days} days: whole {whole:?}, an hour more {increment:?} files and bytes");
        cost.push((whole, increment));
    }
    let [(small, of_small), (large, of_large)] = cost[..] else { unreachable!() };
    ensure!(of_small.0 > 0 && of_large.0 > 0, "there was nothing new: {cost:?}");
    ensure!(large.1 > 3 * small.1, "the old rows are not more: {cost:?}");
    ensure!(of_large.0 <= of_small.0 + 2, "more files are opened for more old rows: {cost:?}");
    ensure!(of_large.1 < of_small.1 * 3 / 2, "more bytes are read for more old rows: {cost:?}");
    ensure!(2 * of_large.1 < large.1, "an hour costs half of the whole: {cost:?}");
    Ok(())
}

impl World {
    /// Sends and ingests what comes before so many hours of the fleet's life are over, of its one stream.
    fn take_until(&mut self, hours: i64) -> Result<()> {
        let end = START_MS + hours * 3_600_000;
        self.send_some(|_, queue, _| queue.iter().take_while(|(at, _)| *at < end).count())?;
        self.weir(&["ingest", "--until-latest", "--stream", "vending.health"])?.expect(0).map(drop)
    }

    fn write_model(&self, name: &str, sql: &str) -> Result<()> {
        let marts = self.path().join("transforms/sql/marts");
        std::fs::write(marts.join(format!("{name}.sql")), sql)?;
        let note = format!("models: [{{name: {name}, config: {{meta: {{readers: [tests]}}}}}}]\n");
        Ok(std::fs::write(marts.join(format!("{name}.yml")), note)?)
    }
}

const FEW_HOURS: &str = "--machines 4 --sites 2 --for 8h --stream vending.health --malformed 0";

#[test]
fn a_repair_makes_windows_anew_and_brings_no_news() -> Result<()> {
    let mut world = World::new(3, FEW_HOURS)?;
    world.queue(false)?;
    // Of the third hour every other record is late.
    let queue = world.queues.get_mut("vending.health").context("no events")?;
    let in_hour = |at: i64| (2..3).contains(&((at - START_MS).div_euclid(3_600_000)));
    let mut number = 0;
    let (late, rest) = queue.drain(..).partition::<Vec<Record>, _>(|(at, _)| {
        number += 1;
        in_hour(*at) && number % 2 == 0
    });
    ensure!(!late.is_empty(), "nothing is late");
    *queue = rest;
    world.take_until(6)?;
    let hours = "SELECT * FROM mart.machine_health_hourly";
    let build = ["run", "--select", "+machine_health_hourly"];
    let bounds = |from: &'static str, to: &'static str| {
        [&build[..], &["--event-time-start", from, "--event-time-end", to]].concat()
    };
    let bounded = bounds("2026-03-02T21:00:00Z", "2026-03-03T00:00:00Z");
    // What has not been built has no windows to repair.
    let unbuilt = world.weir(&[&["--output", "human"][..], &bounded].concat())?.expect(1)?;
    ensure!(unbuilt.stdout.contains("which has not been built"), "{unbuilt:#?}");
    world.weir(&build)?.expect(0)?;
    let before = world.query(CONFIG, hours)?;

    world.queues.get_mut("vending.health").context("no events")?.splice(0..0, late);
    world.take_until(8)?;
    let all = world.number("SELECT count(*) AS n FROM mart.machine_health_hourly")?;
    let human = [&["--output", "human"][..], &bounded].concat();
    let repaired = world.weir(&human)?.expect(0)?;
    ensure!(repaired.stdout.contains(&format!(" of {all} rows in ")), "{repaired:#?}");
    ensure!(world.query(CONFIG, hours)? == before, "the repair brought news");
    let backwards = bounds("2026-03-03T00:00:00Z", "2026-03-02T21:00:00Z");
    world.weir(&backwards)?.expect(2)?.says(&["is not before"])?;

    world.weir(&build)?.expect(0)?;
    let after = world.query(CONFIG, hours)?;
    ensure!(after != before, "the news were passed over");
    world.weir(&[&build[..], &["--full-refresh"]].concat())?.expect(0)?;
    let whole = world.query(CONFIG, hours)?;
    ensure!(after == whole, "{}", differences(&after, &whole).join("\n"));
    Ok(())
}

const HOURS: &str = "select date_trunc('hour', event_time) as hour_at, count(*) as n, NEW\n\
                     from {{ ref('stg_vending_health') }} group by date_trunc('hour', event_time)";

#[test]
fn columns_come_and_go_as_the_model_says() -> Result<()> {
    let mut world = World::new(4, FEW_HOURS)?;
    world.queue(false)?;
    let policies = ["ignore", "append_new_columns", "sync_all_columns", "fail"];
    let write = |world: &World, column: &str| -> Result<()> {
        for policy in policies {
            let config = format!(
                "{{{{ config(materialized='incremental', incremental_strategy='microbatch', \
                 event_time='hour_at', batch_size='hour', on_schema_change='{policy}') }}}}\n"
            );
            let sql = config + &HOURS.replace("NEW", column);
            world.write_model(&format!("hours_{policy}"), &sql)?;
        }
        Ok(())
    };
    write(&world, "min(cpu_pct) as gone")?;
    world.take_until(5)?;
    let names = policies.map(|policy| format!("hours_{policy}"));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.weir(&[&["run", "--select"], &names[..]].concat())?.expect(0)?;
    write(&world, "1 as extra")?;
    world.take_until(8)?;
    for (policy, columns) in [
        ("ignore", &["hour_at", "n", "gone"][..]),
        ("append_new_columns", &["hour_at", "n", "gone", "extra"]),
        ("sync_all_columns", &["hour_at", "n", "extra"]),
    ] {
        world.weir(&["run", "--select", &format!("hours_{policy}")])?.expect(0)?;
        let rows = world.query(CONFIG, &format!("SELECT * FROM mart.hours_{policy}"))?;
        let row: Value = serde_json::from_str(rows.first().context("no rows")?)?;
        let found: Vec<&String> = row.as_object().context("a row")?.keys().collect();
        let mut wanted: Vec<&str> = columns.to_vec();
        wanted.sort_unstable();
        let mut sorted: Vec<&str> = found.iter().map(|name| name.as_str()).collect();
        sorted.sort_unstable();
        ensure!(sorted == wanted, "{policy}: {found:?}");
        for name in ["gone", "extra"].into_iter().filter(|name| columns.contains(name)) {
            // The one is of the hours before, the other of those that were made with it.
            let sql = |is: &str| {
                format!("SELECT count(*) AS n FROM mart.hours_{policy} WHERE {name} {is}")
            };
            let (known, null) =
                (world.number(&sql("IS NOT NULL"))?, world.number(&sql("IS NULL"))?);
            ensure!(known > 0 && null > 0, "{policy}: {name} is known {known} times, null {null}");
        }
    }
    let failed = world.weir(&["--output", "human", "run", "--select", "hours_fail"])?.expect(1)?;
    ensure!(failed.stdout.contains("on_schema_change"), "{failed:#?}");
    Ok(())
}

#[test]
fn a_merge_needs_one_row_per_key() -> Result<()> {
    let mut world = World::new(6, FEW_HOURS)?;
    world.queue(false)?;
    let merge = |key: &str| {
        format!(
            "{{{{ config(materialized='incremental', incremental_strategy='merge', unique_key=['id']) }}}}\n\
             select {key} as id, count(*) as n from {{{{ source('raw', 'vending_health') }}}} group by machine_id, \
             event_type"
        )
    };
    world.write_model("of_machine", &merge("machine_id"))?;
    world.write_model("of_nobody", &merge("nullif(machine_id, machine_id)"))?;
    world.take_until(5)?;
    world.weir(&["run", "--select", "of_machine", "of_nobody"])?.expect(0)?;
    world.take_until(8)?;
    for (model, says) in [
        ("of_machine", "there are several new rows with the same id; a merge needs one per"),
        ("of_nobody", "a new row has no `id`, by which rows are told apart"),
    ] {
        let failed = world.weir(&["--output", "human", "run", "--select", model])?.expect(1)?;
        ensure!(failed.stdout.contains(says), "{failed:#?}");
    }
    Ok(())
}
