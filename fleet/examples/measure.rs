//! What an event costs: `cargo run --release -p weir-fleet --example measure [machines] [hours]`.

use std::sync::atomic::AtomicBool;

use weir_fleet::error::FleetError;
use weir_fleet::malformed;
use weir_fleet::road::Hazards;
use weir_fleet::run::{self, Settings};
use weir_fleet::sink::{Record, Sink};
use weir_fleet::stream::Stream;
use weir_fleet::truth::Truth;

/// Takes everything, keeps nothing.
struct Nothing;

impl Sink for Nothing {
    fn put(&mut self, _: &Record<'_>) -> Result<(), FleetError> {
        Ok(())
    }
    fn finish(&mut self) -> Result<(), FleetError> {
        Ok(())
    }
}

/// Seconds that this process was on a processor (Linux).
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
}

fn main() -> Result<(), FleetError> {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<u32>().ok());
    let machines = numbers.next().unwrap_or(5_000);
    let hours = numbers.next().unwrap_or(6);
    let settings = Settings {
        seed: 1,
        machines,
        sites: machines.div_ceil(10),
        start: 1_772_409_600_000,
        duration: Some(i64::from(hours) * 3_600_000),
        rate: None,
        speed_up: None,
        trouble: 1.0,
        skewed: 0.02,
        hazards: Hazards {
            streams: Stream::ALL.to_vec(),
            malformed: malformed::shares(&[(None, 0.001)]),
            duplicates: 0.001,
            reordered: 0.002,
        },
    };
    let begin = cpu();
    let world = run::world(&settings)?;
    let stop = AtomicBool::new(false);
    let sent = run::simulate(&settings, &world, &mut Nothing, Truth::none(), &stop, &mut |_| {})?;
    let spent = cpu() - begin;
    let million = sent.records as f64 / 1e6;
    println!("{} records of {} bytes on average", sent.records, sent.bytes / sent.records.max(1));
    println!(
        "{spent:.2} CPU-s, {:.2} per million, {:.0}/s",
        spent / million,
        1e6 * million / spent
    );
    Ok(())
}
