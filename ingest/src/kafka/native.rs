//! librdkafka, safely: the only place in Weir with `unsafe`. Here stand the objects that everything
//! else is made of; beside it a client's configuration ([`conf`]), the consumer ([`consumer`]), its
//! records ([`message`]), and what the cluster is asked beside reading ([`admin`]).
//!
//! Two rules keep it sound. Whatever came from a client (queues, messages) holds an `Arc` of its
//! [`Handle`], so that the client is destroyed last. And librdkafka's objects are thread-safe, but
//! for messages, which one thread at a time may look at.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr as Raw};

mod admin;
mod conf;
mod consumer;
mod message;

pub(super) use admin::{Question, give_token_to};
pub(super) use consumer::{Consumer, Control, Protocol};
pub(super) use message::{Message, Messages};

/// Why a call failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) message: String,
}

impl Failure {
    fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }

    fn timed_out() -> Failure {
        Failure::new(Code::OperationTimedOut, "no answer in time")
    }
}

/// A client; destroyed when the last that came from it is gone.
struct Handle(NonNull<rd::rd_kafka_t>);

// SAFETY: an rd_kafka_t may be used by any thread ("librdkafka is completely thread safe").
unsafe impl Send for Handle {}
unsafe impl Sync for Handle {}

impl Handle {
    fn ptr(&self) -> *mut rd::rd_kafka_t {
        self.0.as_ptr()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let client = Ending(self.0);
        // SAFETY: the client lives.
        let closed = unsafe { rd::rd_kafka_consumer_closed(self.ptr()) != 0 };
        if closed {
            client.end();
            return;
        }
        // A client that failed, or could not leave its group in time: the end may take its own.
        let thread = std::thread::Builder::new().name("kafka-end".into());
        if thread.spawn(move || client.end()).is_err() {
            tracing::warn!("a Kafka client could not be ended: no thread for it");
        }
    }
}

/// A client on its way out.
struct Ending(NonNull<rd::rd_kafka_t>);

// SAFETY: as for `Handle`.
unsafe impl Send for Ending {}

impl Ending {
    fn end(self) {
        // SAFETY: the pointer is ours, and nothing that came from the client is left.
        unsafe {
            rd::rd_kafka_destroy_flags(self.0.as_ptr(), rd::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        }
    }
}

struct Queue {
    queue: NonNull<rd::rd_kafka_queue_t>,
    _client: Arc<Handle>,
}

impl Queue {
    /// # Safety
    /// `queue` must be a reference that librdkafka has just given to us, or null.
    unsafe fn own(queue: *mut rd::rd_kafka_queue_t, client: &Arc<Handle>) -> Option<Queue> {
        Some(Queue { queue: NonNull::new(queue)?, _client: Arc::clone(client) })
    }

    fn new(client: &Arc<Handle>) -> Result<Queue, Failure> {
        // SAFETY: the client lives; the new reference is ours.
        unsafe { Queue::own(rd::rd_kafka_queue_new(client.ptr()), client) }
            .ok_or_else(|| Failure::new(Code::Fail, "cannot make a queue"))
    }

    fn ptr(&self) -> *mut rd::rd_kafka_queue_t {
        self.queue.as_ptr()
    }

    fn poll(&self, wait: Duration) -> Option<Event> {
        // SAFETY: the queue lives; the event is ours.
        let event = unsafe { rd::rd_kafka_queue_poll(self.ptr(), millis(wait)) };
        NonNull::new(event).map(Event)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the reference is ours.
        unsafe { rd::rd_kafka_queue_destroy(self.ptr()) }
    }
}

struct Event(NonNull<rd::rd_kafka_event_t>);

impl Event {
    fn ptr(&self) -> *mut rd::rd_kafka_event_t {
        self.0.as_ptr()
    }

    /// The event's error, if it has one.
    fn error(&self) -> Result<(), Failure> {
        // SAFETY: the event lives, and its text as long as it.
        let (code, message) = unsafe {
            let code = rd::rd_kafka_event_error(self.ptr());
            (code, text(rd::rd_kafka_event_error_string(self.ptr())))
        };
        match code {
            Raw::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            code => Err(Failure::new(code.into(), message)),
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event is ours.
        unsafe { rd::rd_kafka_event_destroy(self.ptr()) }
    }
}

/// A list of partitions of one topic, with offsets.
struct List(NonNull<rd::rd_kafka_topic_partition_list_t>);

impl List {
    fn new(
        topic: &CStr,
        items: impl ExactSizeIterator<Item = (i32, i64)>,
    ) -> Result<List, Failure> {
        // SAFETY: the list is ours; the topic's name is copied; each element is written before the
        // next is added (adding may move them).
        unsafe {
            let list = rd::rd_kafka_topic_partition_list_new(items.len() as i32);
            let list = List(NonNull::new(list).ok_or_else(|| Failure::new(Code::Fail, "memory"))?);
            for (partition, offset) in items {
                let element =
                    rd::rd_kafka_topic_partition_list_add(list.ptr(), topic.as_ptr(), partition);
                (*element).offset = offset;
            }
            Ok(list)
        }
    }

    fn ptr(&self) -> *mut rd::rd_kafka_topic_partition_list_t {
        self.0.as_ptr()
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the list is ours.
        unsafe { rd::rd_kafka_topic_partition_list_destroy(self.ptr()) }
    }
}

fn check(code: Raw) -> Result<(), Failure> {
    match code {
        Raw::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        code => {
            let code = Code::from(code);
            Err(Failure::new(code, code.to_string()))
        }
    }
}

/// # Safety
/// `error` must be null or belong to something that lives.
unsafe fn check_borrowed(error: *const rd::rd_kafka_error_t) -> Result<(), Failure> {
    // SAFETY: by the caller's promise.
    unsafe {
        match rd::rd_kafka_error_code(error) {
            Raw::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            code => Err(Failure::new(code.into(), text(rd::rd_kafka_error_string(error)))),
        }
    }
}

/// The result of a call that returns an error object for us to destroy, or null.
fn check_error(error: *mut rd::rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the object is ours, from the call that has just returned.
    unsafe {
        let result = check_borrowed(error);
        rd::rd_kafka_error_destroy(error);
        result
    }
}

/// # Safety
/// `list` must be null or a list that outlives the result.
unsafe fn elements<'a>(
    list: *const rd::rd_kafka_topic_partition_list_t,
) -> &'a [rd::rd_kafka_topic_partition_t] {
    // SAFETY: by the caller's promise.
    unsafe {
        match list.as_ref() {
            Some(list) => slice(list.elems.cast_const(), list.cnt.max(0) as usize),
            None => &[],
        }
    }
}

/// # Safety
/// `data` must be null or point to `count` values that outlive the result.
unsafe fn slice<'a, T>(data: *const T, count: usize) -> &'a [T] {
    if data.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts(data, count) }
}

/// # Safety
/// `data` must be null or point to `len` bytes that outlive the result.
#[inline]
unsafe fn bytes<'a>(data: *const std::ffi::c_void, len: usize) -> Option<&'a [u8]> {
    if data.is_null() {
        return None;
    }
    // SAFETY: by the caller's promise.
    Some(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

/// # Safety
/// `text` must be null or a C string.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Rounded up: a wait of less than a millisecond must not become none.
fn millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}
