//! Records as librdkafka holds them: nothing is copied.

use std::borrow::Cow;

use weir_contract::decode::Record;

use super::native::{Message, Messages};
use super::settings::RECORD_OVERHEAD;
use crate::source::Records;

/// A batch of records. It may go to another thread, and may outlive its source.
pub struct KafkaBatch {
    messages: Messages,
    bytes: usize,
}

impl std::fmt::Debug for KafkaBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaBatch").field("len", &self.len()).field("bytes", &self.bytes).finish()
    }
}

impl KafkaBatch {
    /// A batch of messages that are all records.
    pub(super) fn new(messages: Messages) -> KafkaBatch {
        let bytes = messages.iter().map(|m| m.bytes() + RECORD_OVERHEAD).sum();
        KafkaBatch { messages, bytes }
    }
}

impl Records for KafkaBatch {
    fn len(&self) -> usize {
        self.messages.len()
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn for_each(&self, f: &mut dyn FnMut(&Record<'_>)) {
        for message in self.messages.iter() {
            let mut headers = Vec::new();
            message.headers(&mut headers);
            if headers.is_empty() {
                f(&record(message, &[]));
                continue;
            }
            // A name that is not UTF-8 is shown as well as it can be.
            let names: Vec<Cow<'_, str>> =
                headers.iter().map(|(name, _)| name.to_string_lossy()).collect();
            let headers: Vec<(&str, Option<&[u8]>)> =
                names.iter().map(|name| &**name).zip(headers.iter().map(|(_, v)| *v)).collect();
            f(&record(message, &headers));
        }
    }
}

#[inline]
fn record<'a>(message: Message<'a>, headers: &'a [(&'a str, Option<&'a [u8]>)]) -> Record<'a> {
    Record {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp_ms(),
        key: message.key(),
        value: message.value(),
        headers,
    }
}
