//! What `weir tables` and `weir snapshots` say of a small lake.

use super::*;
use crate::foreign::{accepted_file, foreign, ingest, lake};
use crate::testing;

#[tokio::test]
async fn tables_and_snapshots_of_a_small_lake() {
    let (_folder, lake, _) = lake().await;
    let empty = &tables(&lake).await.unwrap()[0];
    assert_eq!((empty.rows, empty.records, empty.snapshots), (Some(0), None, 0));
    ingest(&lake, 0, 0, 10, &[3], &[5]).await;
    ingest(&lake, 1, 4, 6, &[], &[]).await;
    let victim = accepted_file(&lake, 0).await;
    foreign(&lake, vec![], &[victim]).await;
    ingest(&lake, 0, 10, 11, &[], &[]).await;

    let table = &tables(&lake).await.unwrap()[0];
    assert_eq!((table.rows, table.rejected, table.records), (Some(11), Some(1), Some(10)));
    assert_eq!((table.files, table.snapshots, table.format), (Some(3), 4, 2));
    let json = serde_json::to_value(table).unwrap();
    assert_eq!(json["rows"], "11");
    assert_eq!(json["name"], "raw.vending_sales");

    let lines = snapshots(&lake, &testing::name()).await.unwrap();
    let shape: Vec<_> = lines.iter().map(|l| (l.ours, l.added, l.removed, l.moved.len())).collect();
    assert_eq!(
        shape,
        [
            (true, Some(9), None, 1),
            (true, Some(2), None, 1),
            (false, None, Some(2), 0),
            (true, Some(1), None, 1)
        ]
    );
    let moved = &lines[3].moved[0];
    assert_eq!((moved.partition, moved.from, moved.until), (0, 10, 11));
    assert_eq!((lines[1].moved[0].from, lines[1].moved[0].until), (4, 6));
    assert!(lines.iter().all(|l| l.current_chain));
    assert!(lines.windows(2).all(|w| w[1].parent == Some(w[0].id)));
    assert!(snapshots(&lake, &TableName::raw("nothing")).await.is_err());
}
