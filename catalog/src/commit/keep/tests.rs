//! The ladder as commits build it, over months.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use tempfile::TempDir;

use crate::env::Clock;
use crate::ladder::{Ladder, is_of_ladder};
use crate::look::which::{Which, find};
use crate::testing::*;

/// 2026-11-21T00:30:00Z.
const BEGIN_MS: i64 = DAY as i64 * 86_400_000 + 1_800_000;
const HOUR_MS: i64 = 3_600_000;

#[derive(Debug)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test]
async fn commits_keep_a_ladder_of_tags_and_leave_those_of_others() {
    let folder = TempDir::new().unwrap();
    let mut lake = lake(&folder);
    let clock = Arc::new(Hand(AtomicI64::new(BEGIN_MS)));
    lake.env.clock = clock.clone();
    lake.options.ladder = Ladder { hours: 6, days: 3, months: 2 };
    lake.options.snapshots_max = 4;
    let mut base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    let mut made = Vec::new();
    for n in 0..120 {
        clock.0.store(BEGIN_MS + n * HOUR_MS / 2, Ordering::Relaxed);
        base = done(append(&lake, base, &format!("c{n}"), 0, n * 2, n * 2 + 2).await).base;
        made.push((clock.now_ms(), base.metadata().current_snapshot_id().unwrap()));
    }
    let tags: Vec<&String> = base.loaded.refs.keys().filter(|tag| is_of_ladder(tag)).collect();
    // The newest of the hours, and the one before the first of them; two ended days of a reach of
    // three; no month has ended.
    assert_eq!(tags.len(), 6 + 1 + 2, "{tags:?}");
    assert!(base.metadata().snapshots().len() <= 4 + tags.len());

    // Any instant of the last six hours has a state of the hour before at the latest.
    let (now, _) = made[119];
    for ago in 0..24 {
        let at = now - ago * HOUR_MS / 4;
        let found = find(&base, &Which::Time(at)).unwrap();
        let (made_at, _) = made.iter().rfind(|(_, id)| *id == found.snapshot).unwrap();
        assert!(*made_at <= at && at - made_at < HOUR_MS + HOUR_MS / 2, "{at}: {found:?}");
        assert_eq!(found.off_by_ms, Some(at - made_at));
    }
    let day = find(&base, &Which::Tag("weir-day-2026-11-22".into())).unwrap();
    assert_eq!(day.snapshot, made[94].1, "the last of 2026-11-22");

    // A commit without a snapshot has the machine's own time: the next one comes days later, and the
    // ladder keeps only the states at the edge of its reach.
    let mine = crate::tag::tag(&lake, &name(), "mine", &Which::Current).await.unwrap();
    assert_eq!(mine.found.snapshot, made[119].1);
    let base = lake.table(&name()).await.unwrap().unwrap();
    let base = done(append(&lake, base, "last", 0, 240, 242).await).base;
    let tags = base.loaded.refs.keys().filter(|tag| is_of_ladder(tag)).count();
    assert!((2..=3).contains(&tags), "{:?}", base.loaded.refs.keys());
    assert_eq!(find(&base, &Which::Tag("mine".into())).unwrap().snapshot, made[119].1);
}
