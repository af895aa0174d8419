//! The two closed lists of what can go wrong: with an operation ([`ErrorClass`]), and with a record
//! ([`RejectClass`]). A class decides what happens next; the message says what happened.

use std::fmt;

/// What the caller of a failed operation can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The same call may succeed later: throttled, busy, a conflict that outlasted its attempts.
    Retry,
    /// Another writer owns what we held; what was not committed was abandoned.
    Fenced,
    /// The data is not what it must be: offsets lost, a damaged table, a finding of `weir verify`.
    BadData,
    /// The command, the config or a contract is wrong.
    BadConfig,
    /// The credentials or file permissions do not allow it.
    Denied,
    /// Weir itself is wrong.
    Bug,
}

impl ErrorClass {
    /// Every class, in the order of the documentation.
    pub const ALL: [ErrorClass; 6] = [
        ErrorClass::Retry,
        ErrorClass::Fenced,
        ErrorClass::BadData,
        ErrorClass::BadConfig,
        ErrorClass::Denied,
        ErrorClass::Bug,
    ];

    /// The name in logs and JSON.
    pub fn name(self) -> &'static str {
        match self {
            ErrorClass::Retry => "retry",
            ErrorClass::Fenced => "fenced",
            ErrorClass::BadData => "bad_data",
            ErrorClass::BadConfig => "bad_config",
            ErrorClass::Denied => "denied",
            ErrorClass::Bug => "bug",
        }
    }

    /// The process exit code: 1 handled failure, 2 usage or config, 75 try again.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorClass::Retry | ErrorClass::Fenced => 75,
            ErrorClass::BadData | ErrorClass::Denied | ErrorClass::Bug => 1,
            ErrorClass::BadConfig => 2,
        }
    }

    /// What to do next where the message does not say it.
    pub fn advice(self) -> &'static str {
        match self {
            ErrorClass::Retry => "run the same command again; nothing was half done",
            ErrorClass::Fenced => "another process took over; run the same command again",
            ErrorClass::BadData => "run `weir verify` to see what is affected",
            ErrorClass::BadConfig => "correct the command, weir.toml or the contract",
            ErrorClass::Denied => "check the permissions of the user that runs weir",
            ErrorClass::Bug => "please report this with the log; the table was left as it was",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a record became a rejected row; `_error.class` in the raw table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectClass {
    /// The Kafka record has no value (a tombstone).
    NullValue,
    /// The value is not UTF-8.
    NotUtf8,
    /// The value is not one JSON object (RFC 8259).
    NotJson,
    /// A member occurs twice.
    DuplicateMember,
    /// A member that the event's type requires is absent or null.
    Missing,
    /// A member has another JSON type than the contract says.
    WrongType,
    /// A number, length or value outside what the contract or the column's type allows; NaN, infinity.
    OutOfRange,
    /// A time that cannot be read, has no zone, lies before the contract's lower bound, or too far
    /// after the record's Kafka time.
    BadTime,
    /// The value, or its unknown members, exceed the byte caps.
    TooLarge,
    /// Objects or arrays nested deeper than the contract allows.
    TooDeep,
    /// A cross-field rule of the contract does not hold.
    RuleFailed,
}

impl RejectClass {
    /// Every class, in the order of the documentation.
    pub const ALL: [RejectClass; 11] = [
        RejectClass::NullValue,
        RejectClass::NotUtf8,
        RejectClass::NotJson,
        RejectClass::DuplicateMember,
        RejectClass::Missing,
        RejectClass::WrongType,
        RejectClass::OutOfRange,
        RejectClass::BadTime,
        RejectClass::TooLarge,
        RejectClass::TooDeep,
        RejectClass::RuleFailed,
    ];

    /// The value of `_error.class`.
    pub fn name(self) -> &'static str {
        match self {
            RejectClass::NullValue => "null_value",
            RejectClass::NotUtf8 => "not_utf8",
            RejectClass::NotJson => "not_json",
            RejectClass::DuplicateMember => "duplicate_member",
            RejectClass::Missing => "missing",
            RejectClass::WrongType => "wrong_type",
            RejectClass::OutOfRange => "out_of_range",
            RejectClass::BadTime => "bad_time",
            RejectClass::TooLarge => "too_large",
            RejectClass::TooDeep => "too_deep",
            RejectClass::RuleFailed => "rule_failed",
        }
    }
}

impl fmt::Display for RejectClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
