//! librdkafka, safely: the only place in Weir with `unsafe`, beside what the cluster is asked
//! ([`admin`]).
//!
//! Two rules keep it sound. Whatever came from a client (queues, messages) holds an `Arc` of its
//! [`Handle`], so that the client is destroyed last. And librdkafka's objects are thread-safe, but
//! for messages, which one thread at a time may look at.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr as Raw};

mod admin;

pub(super) use admin::Question;

/// How long leaving a group may take.
const CLOSING: Duration = Duration::from_secs(5);

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

/// What came from the consumer's own queue.
pub(super) enum Control {
    Assign(Vec<i32>),
    Revoke { partitions: Vec<i32>, lost: bool },
    Error { failure: Failure, fatal: bool },
    Committed(Result<(), Failure>),
    Log { level: i32, message: String },
    Other,
}

/// How a rebalance is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Partitions come and go one by one.
    Cooperative,
    /// Each rebalance takes all and gives all.
    Eager,
}

/// A consumer of one topic.
pub(super) struct Consumer {
    /// Where every assigned partition's records go; replaced by [`Consumer::renew`].
    records: Queue,
    /// Rebalances, errors, logs, results of commits.
    control: Queue,
    topic: CString,
    scratch: Vec<*mut rd::rd_kafka_message_t>,
    /// A rebalance was told and waits for its answer.
    unanswered: AtomicBool,
    handle: Arc<Handle>,
}

// SAFETY: `scratch` holds nothing between calls; the rest may move between threads.
unsafe impl Send for Consumer {}

impl Consumer {
    /// A client with these properties. Connects in the background.
    pub(super) fn new(properties: &[(String, String)], topic: &str) -> Result<Consumer, Failure> {
        let topic = CString::new(topic)
            .map_err(|_| Failure::new(Code::InvalidArgument, "the topic's name holds a NUL"))?;
        let conf = configure(properties)?;
        let mut error = [0 as c_char; 512];
        // SAFETY: rd_kafka_new takes the configuration over if it succeeds, and only then; the
        // queues are references of ours.
        unsafe {
            let kind = rd::rd_kafka_type_t::RD_KAFKA_CONSUMER;
            let client = rd::rd_kafka_new(kind, conf, error.as_mut_ptr(), error.len());
            let Some(client) = NonNull::new(client) else {
                rd::rd_kafka_conf_destroy(conf);
                return Err(Failure::new(Code::InvalidArgument, text(error.as_ptr())));
            };
            let handle = Arc::new(Handle(client));
            // Everything that is not a record goes to the consumer's queue.
            rd::rd_kafka_set_log_queue(handle.ptr(), ptr::null_mut());
            rd::rd_kafka_poll_set_consumer(handle.ptr());
            let control = Queue::own(rd::rd_kafka_queue_get_consumer(handle.ptr()), &handle)
                .ok_or_else(|| Failure::new(Code::UnknownGroup, "group.id is not set"))?;
            let records = Queue::new(&handle)?;
            let unanswered = AtomicBool::new(false);
            Ok(Consumer { records, control, topic, scratch: Vec::new(), unanswered, handle })
        }
    }

    /// Joins the group.
    pub(super) fn subscribe(&self) -> Result<(), Failure> {
        let list = List::new(&self.topic, [(-1, -1001)].into_iter())?;
        // SAFETY: client and list live; the list is copied.
        check(unsafe { rd::rd_kafka_subscribe(self.handle.ptr(), list.ptr()) })
    }

    /// Makes librdkafka's main thread look at the group now. Unless something is asked of it, it looks
    /// once a second (`rd_kafka_cgrp_serve`): for a broker to connect to, and for the coordinator.
    pub(super) fn wake(&self) {
        // SAFETY: the client lives; the text is the client's to free.
        unsafe {
            let member = rd::rd_kafka_memberid(self.handle.ptr());
            rd::rd_kafka_mem_free(self.handle.ptr(), member.cast());
        }
    }

    /// The next thing that is not a record.
    pub(super) fn control(&self, wait: Duration) -> Option<Control> {
        let event = self.control.poll(wait)?;
        // SAFETY: the event lives throughout, and the lists and texts that belong to it.
        Some(unsafe {
            match rd::rd_kafka_event_type(event.ptr()) {
                rd::RD_KAFKA_EVENT_REBALANCE => {
                    let list = rd::rd_kafka_event_topic_partition_list(event.ptr());
                    let partitions = elements(list).iter().map(|e| e.partition).collect();
                    self.unanswered.store(true, Ordering::Relaxed);
                    match rd::rd_kafka_event_error(event.ptr()) {
                        Raw::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Control::Assign(partitions),
                        _ => Control::Revoke {
                            partitions,
                            lost: rd::rd_kafka_assignment_lost(self.handle.ptr()) != 0,
                        },
                    }
                }
                rd::RD_KAFKA_EVENT_ERROR => match event.error() {
                    Ok(()) => Control::Other,
                    Err(failure) => Control::Error {
                        fatal: rd::rd_kafka_event_error_is_fatal(event.ptr()) != 0
                            || failure.code == Code::Fatal,
                        failure,
                    },
                },
                rd::RD_KAFKA_EVENT_OFFSET_COMMIT => Control::Committed(event.error()),
                rd::RD_KAFKA_EVENT_LOG => {
                    let (mut facility, mut message, mut level) = (ptr::null(), ptr::null(), 0);
                    rd::rd_kafka_event_log(event.ptr(), &mut facility, &mut message, &mut level);
                    Control::Log {
                        level,
                        message: format!("{}: {}", text(facility), text(message)),
                    }
                }
                _ => Control::Other,
            }
        })
    }

    /// Up to `most` records and partition errors, in order; waits only where there is none at all.
    pub(super) fn drain(&mut self, most: usize, wait: Duration) -> Messages {
        let most = most.max(1);
        self.scratch.clear();
        self.scratch.reserve(most);
        let out = self.scratch.as_mut_ptr();
        let queue = self.records.ptr();
        // SAFETY: `out` has room for `most` pointers; librdkafka writes as many as it returns, and
        // each is a message of ours. It waits for the whole number asked for: so only for one.
        unsafe {
            let mut count = rd::rd_kafka_consume_batch_queue(queue, 0, out, most).max(0) as usize;
            if count == 0 && !wait.is_zero() {
                count =
                    rd::rd_kafka_consume_batch_queue(queue, millis(wait), out, 1).max(0) as usize;
                if count == 1 && most > 1 {
                    count += rd::rd_kafka_consume_batch_queue(queue, 0, out.add(1), most - 1).max(0)
                        as usize;
                }
            }
            self.scratch.set_len(count);
        }
        Messages { list: self.scratch.drain(..).collect(), _client: Arc::clone(&self.handle) }
    }

    /// Sends the partitions' records to our queue. Again does no harm: where librdkafka's stop of an
    /// earlier assignment has cut the connection, what has piled up is moved over.
    pub(super) fn forward(&self, partitions: &[i32]) {
        for partition in partitions {
            // SAFETY: client and name live; the partition's queue is a reference of ours.
            unsafe {
                let queue = rd::rd_kafka_queue_get_partition(
                    self.handle.ptr(),
                    self.topic.as_ptr(),
                    *partition,
                );
                if let Some(queue) = Queue::own(queue, &self.handle) {
                    rd::rd_kafka_queue_forward(queue.ptr(), self.records.ptr());
                }
            }
        }
    }

    /// Sends the partitions' records to a new queue, and forgets the old one with all in it.
    pub(super) fn renew(&mut self, partitions: &[i32]) -> Result<(), Failure> {
        let old = std::mem::replace(&mut self.records, Queue::new(&self.handle)?);
        self.forward(partitions);
        drop(old);
        Ok(())
    }

    /// How the group rebalances.
    pub(super) fn protocol(&self) -> Protocol {
        // SAFETY: the client lives; the text is static.
        match unsafe { text(rd::rd_kafka_rebalance_protocol(self.handle.ptr())) }.as_str() {
            "EAGER" => Protocol::Eager,
            _ => Protocol::Cooperative,
        }
    }

    /// Adds to the assignment.
    pub(super) fn assign_more(&self, offsets: &[(i32, i64)]) -> Result<(), Failure> {
        let list = List::new(&self.topic, offsets.iter().copied())?;
        // SAFETY: client and list live; the list is copied.
        self.unanswered.store(false, Ordering::Relaxed);
        check_error(unsafe { rd::rd_kafka_incremental_assign(self.handle.ptr(), list.ptr()) })
    }

    /// Takes from the assignment.
    pub(super) fn assign_less(&self, partitions: &[i32]) -> Result<(), Failure> {
        let list = List::new(&self.topic, partitions.iter().map(|p| (*p, -1001)))?;
        // SAFETY: client and list live; the list is copied.
        self.unanswered.store(false, Ordering::Relaxed);
        check_error(unsafe { rd::rd_kafka_incremental_unassign(self.handle.ptr(), list.ptr()) })
    }

    /// Replaces the assignment; by nothing where there is none.
    pub(super) fn assign(&self, offsets: Option<&[(i32, i64)]>) -> Result<(), Failure> {
        let list = match offsets {
            Some(offsets) => Some(List::new(&self.topic, offsets.iter().copied())?),
            None => None,
        };
        let list = list.as_ref().map_or(ptr::null_mut(), List::ptr);
        // SAFETY: the client lives; the list lives or is null, and is copied.
        self.unanswered.store(false, Ordering::Relaxed);
        check(unsafe { rd::rd_kafka_assign(self.handle.ptr(), list) })
    }

    /// Moves started partitions; returns those that could not be moved, with the reason.
    pub(super) fn seek(
        &self,
        offsets: &[(i32, i64)],
        wait: Duration,
    ) -> Result<Vec<(i32, Code)>, Failure> {
        if offsets.is_empty() {
            return Ok(Vec::new());
        }
        let list = List::new(&self.topic, offsets.iter().copied())?;
        // SAFETY: client and list live; librdkafka writes each element's result.
        unsafe {
            let error = rd::rd_kafka_seek_partitions(self.handle.ptr(), list.ptr(), millis(wait));
            check_error(error)?;
            Ok(elements(list.ptr())
                .iter()
                .filter(|e| e.err != Raw::RD_KAFKA_RESP_ERR_NO_ERROR)
                .map(|e| (e.partition, e.err.into()))
                .collect())
        }
    }

    /// Publishes offsets; the result comes as [`Control::Committed`].
    pub(super) fn commit(&self, offsets: &[(i32, i64)]) -> Result<(), Failure> {
        let list = List::new(&self.topic, offsets.iter().copied())?;
        // SAFETY: client and list live; the list is copied.
        check(unsafe { rd::rd_kafka_commit(self.handle.ptr(), list.ptr(), 1) })
    }
}

impl Drop for Consumer {
    /// Leaves the group (a static member stays in it). To destroy a client with an unanswered
    /// rebalance would hang: so closing begins first, after which any answer means "nothing". To
    /// answer where nothing was asked would hang too, once the group is left.
    fn drop(&mut self) {
        let deadline = Instant::now() + CLOSING;
        // SAFETY: client and queue live.
        let begun = check_error(unsafe {
            rd::rd_kafka_consumer_close_queue(self.handle.ptr(), self.control.ptr())
        });
        if self.unanswered.load(Ordering::Relaxed) {
            let _ = self.assign(None);
        }
        // SAFETY: the client lives.
        let closed = || unsafe { rd::rd_kafka_consumer_closed(self.handle.ptr()) != 0 };
        while begun.is_ok() && !closed() && Instant::now() < deadline {
            if let Some(Control::Assign(_) | Control::Revoke { .. }) =
                self.control(Duration::from_millis(20))
            {
                let _ = self.assign(None);
            }
        }
    }
}

/// Messages of ours, in order.
pub(super) struct Messages {
    list: Vec<*mut rd::rd_kafka_message_t>,
    _client: Arc<Handle>,
}

// SAFETY: a message may be looked at and destroyed by any thread, one at a time.
unsafe impl Send for Messages {}

impl Messages {
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        // SAFETY: the messages live as long as the list holds them.
        self.list.iter().map(|message| unsafe { Message(&**message) })
    }

    /// Keeps those that `keep` wants.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Message<'_>) -> bool) {
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
pub(super) struct Message<'a>(&'a rd::rd_kafka_message_t);

impl<'a> Message<'a> {
    pub(super) fn partition(self) -> i32 {
        self.0.partition
    }

    pub(super) fn offset(self) -> i64 {
        self.0.offset
    }

    /// Why it is no record, if it is none.
    #[inline]
    pub(super) fn error(self) -> Option<Failure> {
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
    pub(super) fn bytes(self) -> usize {
        self.0.len + self.0.key_len
    }

    #[inline]
    pub(super) fn key(self) -> Option<&'a [u8]> {
        // SAFETY: key and length belong to the message.
        unsafe { bytes(self.0.key, self.0.key_len) }
    }

    #[inline]
    pub(super) fn value(self) -> Option<&'a [u8]> {
        // SAFETY: payload and length belong to the message.
        unsafe { bytes(self.0.payload, self.0.len) }
    }

    /// ms since 1970.
    #[inline]
    pub(super) fn timestamp_ms(self) -> Option<i64> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives.
        let time = unsafe { rd::rd_kafka_message_timestamp(self.0, &mut kind) };
        (kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE).then_some(time)
    }

    /// Appends the headers, in order.
    #[inline]
    pub(super) fn headers(self, out: &mut Vec<(&'a CStr, Option<&'a [u8]>)>) {
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

fn configure(properties: &[(String, String)]) -> Result<*mut rd::rd_kafka_conf_t, Failure> {
    let events = rd::RD_KAFKA_EVENT_REBALANCE
        | rd::RD_KAFKA_EVENT_ERROR
        | rd::RD_KAFKA_EVENT_OFFSET_COMMIT
        | rd::RD_KAFKA_EVENT_LOG;
    let mut error = [0 as c_char; 512];
    // SAFETY: the configuration is ours until it is returned; names and values are copied.
    unsafe {
        let conf = rd::rd_kafka_conf_new();
        for (name, value) in properties {
            let set = match (CString::new(name.as_str()), CString::new(value.as_str())) {
                (Ok(name), Ok(value)) => rd::rd_kafka_conf_set(
                    conf,
                    name.as_ptr(),
                    value.as_ptr(),
                    error.as_mut_ptr(),
                    error.len(),
                ),
                _ => rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_INVALID,
            };
            if set != rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                rd::rd_kafka_conf_destroy(conf);
                let why = match set {
                    rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN => "there is no such property",
                    // Not librdkafka's text, which repeats the value: it may be a secret.
                    _ => "its value is not allowed",
                };
                let message = format!("the Kafka property {name} cannot be set: {why}");
                return Err(Failure::new(Code::InvalidArgument, message));
            }
        }
        rd::rd_kafka_conf_set_events(conf, events);
        Ok(conf)
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
