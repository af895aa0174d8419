//! Records as librdkafka holds them.

use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;

use rdkafka::bindings as rd;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr as Raw};

use super::{Failure, Handle, bytes};

/// Messages of ours, in order.
pub(in crate::kafka) struct Messages {
    pub(super) list: Vec<*mut rd::rd_kafka_message_t>,
    pub(super) _client: Arc<Handle>,
}

// SAFETY: a message may be looked at and destroyed by any thread, one at a time.
unsafe impl Send for Messages {}

impl Messages {
    pub(in crate::kafka) fn len(&self) -> usize {
        self.list.len()
    }

    pub(in crate::kafka) fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        // SAFETY: the messages live as long as the list holds them.
        self.list.iter().map(|message| unsafe { Message(&**message) })
    }

    /// Keeps those that `keep` wants.
    pub(in crate::kafka) fn retain(&mut self, mut keep: impl FnMut(Message<'_>) -> bool) {
        self.list.retain(|message| {
            // SAFETY: the message lives; once destroyed it is off the list.
            unsafe {
                let keep = keep(Message(&**message));
                if !keep {
                    rd::rd_kafka_message_destroy(*message);
                }
                keep
            }
        });
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        for message in &self.list {
            // SAFETY: the message is ours, and the client lives.
            unsafe { rd::rd_kafka_message_destroy(*message) }
        }
    }
}

/// A record, or what there is to say about a partition.
#[derive(Clone, Copy)]
pub(in crate::kafka) struct Message<'a>(&'a rd::rd_kafka_message_t);

impl<'a> Message<'a> {
    pub(in crate::kafka) fn partition(self) -> i32 {
        self.0.partition
    }

    pub(in crate::kafka) fn offset(self) -> i64 {
        self.0.offset
    }

    /// Why it is no record, if it is none.
    #[inline]
    pub(in crate::kafka) fn error(self) -> Option<Failure> {
        // SAFETY: the member is a C int; a broker may send a number that the enum does not know.
        let code = unsafe { ptr::addr_of!(self.0.err).cast::<i32>().read() };
        if code == 0 {
            return None;
        }
        let known = Raw::try_from(code).map_or(Code::Unknown, Code::from);
        let text = self.value().map(|v| String::from_utf8_lossy(v).into_owned());
        Some(Failure::new(known, text.unwrap_or_else(|| format!("error code {code}"))))
    }

    /// Bytes of key and value.
    #[inline]
    pub(in crate::kafka) fn bytes(self) -> usize {
        self.0.len + self.0.key_len
    }

    #[inline]
    pub(in crate::kafka) fn key(self) -> Option<&'a [u8]> {
        // SAFETY: key and length belong to the message.
        unsafe { bytes(self.0.key, self.0.key_len) }
    }

    #[inline]
    pub(in crate::kafka) fn value(self) -> Option<&'a [u8]> {
        // SAFETY: payload and length belong to the message.
        unsafe { bytes(self.0.payload, self.0.len) }
    }

    /// ms since 1970.
    #[inline]
    pub(in crate::kafka) fn timestamp_ms(self) -> Option<i64> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives.
        let time = unsafe { rd::rd_kafka_message_timestamp(self.0, &mut kind) };
        (kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE).then_some(time)
    }

    /// Appends the headers, in order.
    #[inline]
    pub(in crate::kafka) fn headers(self, out: &mut Vec<(&'a CStr, Option<&'a [u8]>)>) {
        let mut headers = ptr::null_mut();
        // SAFETY: the message lives, and its headers, names and values as long as it. librdkafka
        // unpacks the headers into the message at the first call: see `Send` above.
        unsafe {
            let code = rd::rd_kafka_message_headers(self.0, &mut headers);
            if code != Raw::RD_KAFKA_RESP_ERR_NO_ERROR || headers.is_null() {
                return;
            }
            for index in 0.. {
                let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
                let code =
                    rd::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut size);
                if code != Raw::RD_KAFKA_RESP_ERR_NO_ERROR {
                    break;
                }
                out.push((CStr::from_ptr(name), bytes(value, size)));
            }
        }
    }
}
