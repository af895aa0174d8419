//! The property's form, there and back, and what it refuses.

use proptest::prelude::*;

use super::super::arbitrary;
use super::*;

const GOLDEN: &str = include_str!("../golden/progress-v1.json");
const NEWER: &str = include_str!("../golden/progress-v2.json");

/// The vector of the golden files of both formats.
pub fn golden() -> Progress {
    let with_id = [
        (0, Partition { until: 10, rows: 9, rejected: 1, ..Default::default() }),
        (2, Partition { start: 5, until: 5, ..Default::default() }),
        (
            10,
            Partition {
                start: 100,
                until: 9_007_199_254_740_993, // above 2^53: a double would lose it
                rows: 9_007_199_254_740_800,
                rejected: 20,
                absent: 30,
                lost: 40,
                removed: 3,
                extra: 0,
                last: None,
            },
        ),
    ];
    let last = Fingerprint { offset: 2, time_ms: 1_795_256_130_123, crc: 4_023_233_417 };
    let without_id = Partition { until: 3, rows: 3, last: Some(last), ..Default::default() };
    Progress {
        snapshot: 7_310_482_919_440_518_003,
        seq: 42,
        commits: vec!["0192f0c1-0001".into(), "0192f0c1-0002".into()],
        sources: BTreeMap::from([
            ("kf-1/vending.health/dGVzdA".into(), BTreeMap::from(with_id)),
            ("kf-1/vending.health/-".into(), BTreeMap::from([(0, without_id)])),
        ]),
        rev: 1,
        derived: None,
    }
}

#[test]
fn golden_file_both_ways() {
    assert_eq!(golden().to_json(), GOLDEN.trim_end());
    assert_eq!(Progress::from_json(GOLDEN), Ok(golden()));
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let error = Progress::from_json(NEWER).unwrap_err();
    assert!(matches!(error, FormatError::Newer { version: 2, reads: 1, .. }));
    assert_eq!(
        error.to_string(),
        "weir.progress has version 2, this weir reads 1: use a newer weir"
    );
}

#[test]
fn unknown_members_are_ignored() {
    let text = GOLDEN
        .trim_end()
        .replace(r#""v":1"#, r#""v":1,"later":{"x":[1]}"#)
        .replace(r#""start":"5""#, r#""start":"5","newer":null"#);
    assert_ne!(text, GOLDEN.trim_end());
    assert_eq!(Progress::from_json(&text), Ok(golden()));
}

#[test]
fn damage_is_named() {
    let cases = [
        // (replace, by, what the message must say)
        (r#""rows":"9""#, r#""rows":"8""#, "partition 0 of kf-1/vending.health/dGVzdA: rows 8"),
        (r#""rows":"9""#, r#""rows":"-1""#, "rows is -1"),
        (r#""rows":"9""#, r#""rows":9"#, "whole number of 64 bits in a string"),
        (r#""rows":"9""#, r#""rows":"09""#, "whole number of 64 bits in a string"),
        (r#""rows":"9""#, r#""rows":"9223372036854775808""#, "whole number of 64 bits"),
        (r#""rows":"9","#, "", "missing field `rows`"),
        (r#""rows":"9""#, r#""rows":"9","rows":"9""#, "duplicate field `rows`"),
        (r#""start":"5","until":"5""#, r#""start":"5","until":"4""#, "is not a range"),
        (r#""start":"5","until":"5""#, r#""start":"-5","until":"-5""#, "is not a range"),
        (r#""2":{"start""#, r#""0":{"start""#, r#""0" occurs twice"#),
        (r#""2":{"start""#, r#""-2":{"start""#, "partition -2 of"),
        (r#""2":{"start""#, r#""02":{"start""#, r#"a partition "02""#),
        (r#""2":{"start""#, r#""2147483648":{"start""#, r#"a partition "2147483648""#),
        (r#""offset":"2""#, r#""offset":"3""#, "its last record 3 is not within 0..3"),
        (r#""rev":"1""#, r#""rev":"2147483648""#, "does not fit in 32 bits"),
        (r#""rev":"1""#, r#""rev":"-1""#, "rev is -1"),
        (r#""v":1"#, r#""v":0"#, "0 is not a version"),
        (r#""v":1"#, r#""v":"1""#, r#""1" is not a version"#),
        (r#""v":1,"#, "", "missing field `v`"),
        (r#""kf-1/vending.health/-""#, r#""""#, "a source has no name"),
        (r#""rev":"1"}"#, r#""rev":"1""#, "EOF"),
    ];
    for (from, to, message) in cases {
        let text = GOLDEN.replacen(from, to, 1);
        assert_ne!(text, GOLDEN, "{from} does not occur");
        let error = Progress::from_json(&text).expect_err(to);
        assert!(matches!(error, FormatError::Damaged { .. }), "{to}: {error}");
        let error = error.to_string();
        assert!(error.starts_with("weir.progress is damaged: "), "{error}");
        assert!(error.contains(message), "{to}: {error:?} does not say {message:?}");
    }
    for text in ["", "null", "[]", "1", "{}", "{\"v\":1}"] {
        assert!(matches!(Progress::from_json(text), Err(FormatError::Damaged { .. })), "{text}");
    }
}

proptest! {
    #[test]
    fn round_trip(progress in arbitrary::progress()) {
        let text = progress.to_json();
        prop_assert_eq!(Progress::from_json(&text), Ok(progress));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}", cut in 0..GOLDEN.len(), by in "[0-9a-z\",:{}-]{0,3}") {
        let _ = Progress::from_json(&text);
        let damaged = format!("{}{by}{}", &GOLDEN[..cut], &GOLDEN[(cut + 1)..]);
        if let Ok(read) = Progress::from_json(&damaged) {
            prop_assert_eq!(read.check(), Ok(()));
        }
    }
}
