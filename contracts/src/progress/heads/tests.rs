//! The compact form of a vector, there and back.

use proptest::prelude::*;

use super::super::arbitrary;
use super::super::json::tests::golden;
use super::*;

const GOLDEN: &str = include_str!("../golden/heads-v1.json");
const NEWER: &str = include_str!("../golden/heads-v2.json");

/// What a summary keeps of a vector.
fn kept(mut progress: Progress) -> Progress {
    let roots = progress.derived.iter_mut().flat_map(|derived| derived.roots.values_mut());
    roots.for_each(|root| root.seq = 0);
    Progress { snapshot: 0, seq: 0, commits: Vec::new(), ..progress }
}

fn read_one(list: &str) -> Result<BTreeMap<i32, Partition>, FormatError> {
    let text = serde_json::json!({"v": 1, "rev": 0, "h": {"s": list}}).to_string();
    Progress::from_heads(&text).map(|mut progress| progress.sources.remove("s").unwrap())
}

#[test]
fn golden_file_both_ways() {
    assert_eq!(golden().to_heads(), GOLDEN.trim_end());
    assert_eq!(Progress::from_heads(GOLDEN), Ok(kept(golden())));
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let error = Progress::from_heads(NEWER).unwrap_err();
    assert!(matches!(error, FormatError::Newer { version: 2, reads: 1, .. }));
    assert_eq!(error.to_string(), "weir.heads has version 2, this weir reads 1: use a newer weir");
}

#[test]
fn unknown_members_are_ignored() {
    let text = GOLDEN.replace(r#""rev":1"#, r#""later":[{}],"rev":1"#);
    assert_ne!(text, GOLDEN);
    assert_eq!(Progress::from_heads(&text), Ok(kept(golden())));
}

#[test]
fn omitted_counts_are_zero_and_rows_follow() {
    let until = |until| Partition { until, rows: until, ..Default::default() };
    assert_eq!(read_one(""), Ok(BTreeMap::new()));
    assert_eq!(read_one("a;b"), Ok(BTreeMap::from([(0, until(10)), (1, until(11))])));
    assert_eq!(
        read_one("3=a;b;0"),
        Ok(BTreeMap::from([(3, until(10)), (4, until(11)), (5, until(0))]))
    );
    let counted = Partition { start: 1, until: 36, rows: 30, lost: 5, ..Default::default() };
    assert_eq!(read_one("10,1,,,5"), Ok(BTreeMap::from([(0, counted)])));
    let loads = Partition { start: 1, until: 3, rows: 9, extra: 7, ..Default::default() };
    assert_eq!(read_one("3,1,,,,,7"), Ok(BTreeMap::from([(0, loads)])));
}

#[test]
fn damage_is_named() {
    let cases = [
        ("a;", "partition 1 (\"\"): \"\" is not a number"),
        ("A", "\"A\" is not a number"),
        ("0a", "\"0a\" is not a number"),
        ("+a", "\"+a\" is not a number"),
        ("-a", "partition 0"),
        ("a,b", "its counts exceed its offsets"),
        ("a,1,-1", "partition 0 of s: rejected is -1"),
        ("a,-1", "is not a range"),
        ("a,1,1,1,1,1,1,1", "too many counts"),
        ("a,,,,,,-1", "extra is -1"),
        ("zzzzzzzzzzzzz", "is not a number"),
        ("1=a;1=b", "partition 1 after 1 is out of order"),
        ("5=a;1=b", "partition 1 after 5 is out of order"),
        ("-1=a", "partition -1 after -1 is out of order"),
        ("zik0zj=1;2", "partition 2147483648 after 2147483647 is out of order"),
        ("=a", "\"\" is not a number"),
        ("a@1,2", "\"1,2\" is not a fingerprint"),
        ("a@0,2,3", "its last record 10 is not within 0..10"),
        ("a@b,2,3", "its last record -1 is not within 0..10"),
        ("a@1,2,zzzzzzzz", "its crc does not fit in 32 bits"),
        ("a,5@6,2,3", "its last record 4 is not within 5..10"),
    ];
    for (list, message) in cases {
        let error = read_one(list).expect_err(list);
        assert!(matches!(error, FormatError::Damaged { .. }), "{list}: {error}");
        let error = error.to_string();
        assert!(error.starts_with("weir.heads is damaged: "), "{error}");
        assert!(error.contains(message), "{list}: {error:?} does not say {message:?}");
    }
    for text in ["", "null", "{}", r#"{"v":1,"rev":0}"#, r#"{"v":1,"rev":-1,"h":{}}"#] {
        assert!(matches!(Progress::from_heads(text), Err(FormatError::Damaged { .. })), "{text}");
    }
    let twice = r#"{"v":1,"rev":0,"h":{"s":"1","s":"2"}}"#;
    assert!(Progress::from_heads(twice).unwrap_err().to_string().contains("\"s\" occurs twice"));
}

#[test]
fn a_thousand_partitions_stay_small() {
    let vector = |counts: Partition| {
        let until = counts.start + counts.rows + counts.rejected + counts.absent;
        let partitions = (0..1024).map(|n| (n, Partition { until, ..counts })).collect();
        let name = "lkc-0123456789abcdefgh/vending.health/AAAAAAAAAAAAAAAAAAAAAA".to_string();
        Progress { sources: BTreeMap::from([(name, partitions)]), ..Default::default() }
    };
    let size = |counts| vector(counts).to_heads().len();
    let rows = 400_000_000_000;
    let plain = Partition { rows, ..Default::default() };
    assert!(size(plain) < 10 << 10, "{}", size(plain));
    let expired = Partition { start: 400_000_000_000, rows, ..Default::default() };
    assert!(size(expired) < 19 << 10, "{}", size(expired));
    let counted = Partition { rejected: 40_000, absent: 40_000, ..expired };
    assert!(size(counted) < 27 << 10, "{}", size(counted));
}

proptest! {
    #[test]
    fn round_trip(progress in arbitrary::progress()) {
        let text = progress.to_heads();
        prop_assert_eq!(Progress::from_heads(&text), Ok(kept(progress)));
    }

    #[test]
    fn any_number_round_trips(number: i64) {
        let mut text = String::new();
        push(&mut text, number);
        prop_assert_eq!(read(&text), Ok(number));
    }

    #[test]
    fn no_list_panics(list in "[0-9a-z,;=@-]{0,24}") {
        if let Ok(partitions) = read_one(&list) {
            // What is accepted has one meaning: written and read again it is the same.
            prop_assert_eq!(read_one(&write_list(&partitions)), Ok(partitions));
        }
    }
}
