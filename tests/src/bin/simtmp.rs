//! temporary
use weir_tests::sim::world::{self, Careless, Options};
fn main() {
    let a: Vec<u64> = std::env::args().skip(1).map(|x| x.parse().unwrap()).collect();
    let (from, to, show, careless) =
        (a[0], a[1], a.get(2).copied().unwrap_or(0), a.get(3).copied().unwrap_or(0));
    let c = [
        Careless::No,
        Careless::HeadCheck,
        Careless::Fence,
        Careless::UnknownRule,
        Careless::FileSync,
        Careless::FolderSync,
    ][careless as usize];
    let mut all = world::run(from, Options { careless: c, parquet: from % 50 == 0 })
        .map(|o| {
            if show == 1 {
                println!("{}", o.trace.join("\n"))
            }
            o.counts
        })
        .unwrap_or_else(|e| {
            if show == 1 {
                println!("{}", e.trace.join("\n"))
            }
            println!("{from}: {}", e.why);
            Default::default()
        });
    let t = std::time::Instant::now();
    let mut bad = 0;
    for s in from + 1..to {
        match world::run(s, Options { careless: c, parquet: s % 50 == 0 }) {
            Ok(o) => all.add(&o.counts),
            Err(e) => {
                bad += 1;
                println!("{s}: {}", e.why)
            }
        }
    }
    println!("{bad} bad; {all:?} never {:?} {:?}", all.never(), t.elapsed());
}
