//! The reference tables of the world as CSV, with the columns of `contracts/ref.*.yaml`: what
//! `weir seed` loads, so that the lake knows the fleet that speaks.

use std::fs::File;
use std::io;
use std::path::Path;

use super::{HOUR, MODELS, PLANOGRAM_VERSION, PRODUCTS, World, place};
use crate::accounts;
use crate::names;
use crate::text;

/// From when on every row holds: the contracts accept nothing older.
const VALID_FROM: &str = "2020-01-01T00:00:00Z";

type Rows<'a> = Box<dyn Iterator<Item = Vec<String>> + 'a>;

/// The tables: file name, columns, rows.
fn tables(world: &World) -> [(&'static str, &'static [&'static str], Rows<'_>); 5] {
    [
        ("sites.csv", SITES, Box::new(sites(world))),
        ("products.csv", PRODUCT_COLUMNS, Box::new((0..PRODUCTS.len()).map(product))),
        ("machines.csv", MACHINES, Box::new((0..world.machines).map(|i| machine(world, i)))),
        ("planogram.csv", PLANOGRAM, Box::new((0..world.machines).flat_map(|i| facings(world, i)))),
        (
            "accounts.csv",
            ACCOUNTS,
            Box::new((0..accounts::count(world)).map(|i| account(world, i))),
        ),
    ]
}

/// Writes `sites.csv`, `products.csv`, `machines.csv`, `planogram.csv` and `accounts.csv` into an
/// existing folder.
pub fn write(world: &World, folder: &Path) -> io::Result<()> {
    for (file, columns, rows) in tables(world) {
        let mut writer = csv::Writer::from_writer(File::create(folder.join(file))?);
        writer.write_record(columns).map_err(as_io)?;
        for row in rows {
            writer.write_record(row).map_err(as_io)?;
        }
        writer.flush()?;
    }
    Ok(())
}

/// The system's own error, where there is one: it tells a full disk from a closed door.
fn as_io(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// `unscaled` / 10^`scale`.
fn decimal(unscaled: i64, scale: u32) -> String {
    let mut out = Vec::new();
    text::decimal(&mut out, unscaled, scale);
    String::from_utf8_lossy(&out).into_owned()
}

fn degrees(millionths: i32) -> String {
    decimal(millionths.into(), 6)
}

const SITES: &[&str] = &[
    "site_id",
    "site_name",
    "site_kind",
    "site_status",
    "city",
    "region",
    "country_code",
    "latitude_deg",
    "longitude_deg",
    "time_zone",
    "route_id",
    "route_position",
    "opening_hours",
    "currency",
    "availability_target_pct",
    "valid_from",
    "valid_to",
];

fn sites(world: &World) -> impl Iterator<Item = Vec<String>> + '_ {
    let mut on_route = [0; place::TOWNS.len()];
    (0..world.sites.len()).map(move |index| {
        let position = &mut on_route[world.sites[index].town];
        *position += 1;
        site(world, index, *position)
    })
}

fn site(world: &World, index: usize, position: usize) -> Vec<String> {
    let site = &world.sites[index];
    let town = &place::TOWNS[site.town];
    vec![
        site.name.as_str().into(),
        format!("{} {} {}", town.city, site.kind.name(), index),
        site.kind.name().into(),
        "open".into(),
        town.city.into(),
        town.region.into(),
        town.country.into(),
        degrees(site.latitude),
        degrees(site.longitude),
        town.zone.name().into(),
        format!("route-{:02}", site.town),
        position.to_string(),
        site.kind.opening_hours().into(),
        town.currency.into(),
        "98.5".into(),
        VALID_FROM.into(),
        String::new(),
    ]
}

const PRODUCT_COLUMNS: &[&str] = &[
    "product_id",
    "product_name",
    "brand",
    "category",
    "product_status",
    "unit_cost",
    "list_price",
    "currency",
    "tax_pct",
    "needs_refrigeration",
    "shelf_life_days",
    "valid_from",
    "valid_to",
];

fn product(index: usize) -> Vec<String> {
    let product = &PRODUCTS[index];
    vec![
        names::product(index as u32).as_str().into(),
        product.name.into(),
        product.brand.into(),
        product.category.into(),
        "active".into(),
        decimal(product.price * 4 / 10, 2),
        decimal(product.price, 2),
        "EUR".into(),
        product.tax.to_string(),
        product.cold.to_string(),
        product.shelf_life.to_string(),
        VALID_FROM.into(),
        String::new(),
    ]
}

const MACHINES: &[&str] = &[
    "machine_id",
    "machine_name",
    "machine_kind",
    "manufacturer",
    "model",
    "serial_number",
    "machine_status",
    "commissioned_on",
    "selection_count",
    "accepts_cash",
    "accepts_card",
    "accepts_qr",
    "site_id",
    "store_id",
    "latitude_deg",
    "longitude_deg",
    "network_type",
    "refrigerated",
    "temperature_target_c",
    "temperature_max_c",
    "heartbeat_interval_s",
    "valid_from",
    "valid_to",
];

fn machine(world: &World, index: u32) -> Vec<String> {
    let build = world.build(index);
    let model = &MODELS[build.model];
    let site = &world.sites[build.site as usize];
    let store = site.kind == place::SiteKind::Store;
    vec![
        names::machine(index).as_str().into(),
        format!("{} {}", model.name, index),
        model.kind.into(),
        model.manufacturer.into(),
        model.name.into(),
        names::serial(world.hash(7, index.into()) as u32).as_str().into(),
        "active".into(),
        "2023-05-01".into(),
        model.selections.to_string(),
        build.cash.to_string(),
        "true".into(),
        build.qr.to_string(),
        site.name.as_str().into(),
        if store { site.name.as_str().into() } else { String::new() },
        degrees(build.latitude),
        degrees(build.longitude),
        build.network.into(),
        model.target.is_some().to_string(),
        model.target.map(|target| decimal(target, 1)).unwrap_or_default(),
        model.target.map(|_| decimal(model.limit, 1)).unwrap_or_default(),
        // Whole seconds, rounded up: what is late is never expected too early.
        ((world.heartbeat + 999) / 1000).min(24 * HOUR / 1000).to_string(),
        VALID_FROM.into(),
        String::new(),
    ]
}

const PLANOGRAM: &[&str] = &[
    "machine_id",
    "selection",
    "product_id",
    "planogram_version",
    "capacity",
    "par_level",
    "low_stock_level",
    "price",
    "currency",
    "valid_from",
    "valid_to",
];

fn facings(world: &World, machine: u32) -> impl Iterator<Item = Vec<String>> + '_ {
    let build = world.build(machine);
    (0..MODELS[build.model].selections).map(move |selection| {
        let facing = world.facing(machine, &build, selection);
        vec![
            names::machine(machine).as_str().into(),
            names::selection(selection).as_str().into(),
            names::product(facing.product as u32).as_str().into(),
            PLANOGRAM_VERSION.into(),
            facing.capacity.to_string(),
            facing.par.to_string(),
            facing.low.to_string(),
            decimal(facing.price, 2),
            world.town(build.site).currency.into(),
            VALID_FROM.into(),
            String::new(),
        ]
    })
}

const ACCOUNTS: &[&str] = &[
    "account_id",
    "account_status",
    "account_kind",
    "country_code",
    "opened_on",
    "currency",
    "symbols_denied",
    "trade_limit_amount",
    "daily_limit_amount",
    "valid_from",
    "valid_to",
];

fn account(world: &World, index: u32) -> Vec<String> {
    let terms = accounts::terms(world, index);
    vec![
        names::account(index).as_str().into(),
        terms.status.into(),
        terms.kind.into(),
        terms.country.into(),
        "2021-03-15".into(),
        "USD".into(),
        terms.denied.map(|symbol| format!("[\"{symbol}\"]")).unwrap_or_default(),
        decimal(terms.trade_limit, 2),
        decimal(terms.trade_limit * 20, 2),
        VALID_FROM.into(),
        String::new(),
    ]
}
