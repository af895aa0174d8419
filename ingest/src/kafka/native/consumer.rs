//! A consumer of one topic: its group, its assignment, its positions, what comes from its queues.

use std::ffi::{CString, c_char};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr as Raw};

use super::conf::{configure, give_token};
use super::{Failure, Handle, List, Messages, Queue, check, check_error, elements, millis, text};
use crate::kafka::token::Token;

/// How long leaving a group may take.
const CLOSING: Duration = Duration::from_secs(5);

/// What came from the consumer's own queue.
pub(in crate::kafka) enum Control {
    Assign(Vec<i32>),
    Revoke {
        partitions: Vec<i32>,
        lost: bool,
    },
    Error {
        failure: Failure,
        fatal: bool,
    },
    Committed(Result<(), Failure>),
    Log {
        level: i32,
        message: String,
    },
    /// A token is needed: [`Consumer::give`].
    TokenWanted,
    Other,
}

/// How a rebalance is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum Protocol {
    /// Partitions come and go one by one.
    Cooperative,
    /// Each rebalance takes all and gives all.
    Eager,
}

/// A consumer of one topic.
pub(in crate::kafka) struct Consumer {
    /// Where every assigned partition's records go; replaced by [`Consumer::renew`].
    records: Queue,
    /// Rebalances, errors, logs, results of commits.
    control: Queue,
    pub(super) topic: CString,
    scratch: Vec<*mut rd::rd_kafka_message_t>,
    /// A rebalance was told and waits for its answer.
    unanswered: AtomicBool,
    pub(super) handle: Arc<Handle>,
}

// SAFETY: `scratch` holds nothing between calls; the rest may move between threads.
unsafe impl Send for Consumer {}

impl Consumer {
    /// A client with these properties. Connects in the background.
    pub(in crate::kafka) fn new(
        properties: &[(String, String)],
        topic: &str,
    ) -> Result<Consumer, Failure> {
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
    pub(in crate::kafka) fn subscribe(&self) -> Result<(), Failure> {
        let list = List::new(&self.topic, [(-1, -1001)].into_iter())?;
        // SAFETY: client and list live; the list is copied.
        check(unsafe { rd::rd_kafka_subscribe(self.handle.ptr(), list.ptr()) })
    }

    /// Makes librdkafka's main thread look at the group now. Unless something is asked of it, it looks
    /// once a second (`rd_kafka_cgrp_serve`): for a broker to connect to, and for the coordinator.
    pub(in crate::kafka) fn wake(&self) {
        // SAFETY: the client lives; the text is the client's to free.
        unsafe {
            let member = rd::rd_kafka_memberid(self.handle.ptr());
            rd::rd_kafka_mem_free(self.handle.ptr(), member.cast());
        }
    }

    /// Gives the client a token, or the reason why there is none.
    pub(in crate::kafka) fn give(&self, token: Result<&Token, &str>) -> Result<(), Failure> {
        // SAFETY: the client lives.
        unsafe { give_token(self.handle.ptr(), token) }
    }

    /// The next thing that is not a record.
    pub(in crate::kafka) fn control(&self, wait: Duration) -> Option<Control> {
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
                rd::RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH => Control::TokenWanted,
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
    pub(in crate::kafka) fn drain(&mut self, most: usize, wait: Duration) -> Messages {
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
    pub(in crate::kafka) fn forward(&self, partitions: &[i32]) {
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
    pub(in crate::kafka) fn renew(&mut self, partitions: &[i32]) -> Result<(), Failure> {
        let old = std::mem::replace(&mut self.records, Queue::new(&self.handle)?);
        self.forward(partitions);
        drop(old);
        Ok(())
    }

    /// How the group rebalances.
    pub(in crate::kafka) fn protocol(&self) -> Protocol {
        // SAFETY: the client lives; the text is static.
        match unsafe { text(rd::rd_kafka_rebalance_protocol(self.handle.ptr())) }.as_str() {
            "EAGER" => Protocol::Eager,
            _ => Protocol::Cooperative,
        }
    }

    /// Adds to the assignment.
    pub(in crate::kafka) fn assign_more(&self, offsets: &[(i32, i64)]) -> Result<(), Failure> {
        let list = List::new(&self.topic, offsets.iter().copied())?;
        // SAFETY: client and list live; the list is copied.
        self.unanswered.store(false, Ordering::Relaxed);
        check_error(unsafe { rd::rd_kafka_incremental_assign(self.handle.ptr(), list.ptr()) })
    }

    /// Takes from the assignment.
    pub(in crate::kafka) fn assign_less(&self, partitions: &[i32]) -> Result<(), Failure> {
        let list = List::new(&self.topic, partitions.iter().map(|p| (*p, -1001)))?;
        // SAFETY: client and list live; the list is copied.
        self.unanswered.store(false, Ordering::Relaxed);
        check_error(unsafe { rd::rd_kafka_incremental_unassign(self.handle.ptr(), list.ptr()) })
    }

    /// Replaces the assignment; by nothing where there is none.
    pub(in crate::kafka) fn assign(&self, offsets: Option<&[(i32, i64)]>) -> Result<(), Failure> {
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
    pub(in crate::kafka) fn seek(
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
    pub(in crate::kafka) fn commit(&self, offsets: &[(i32, i64)]) -> Result<(), Failure> {
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
