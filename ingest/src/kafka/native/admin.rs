//! What the cluster is asked beside reading: topics, offsets, the members of the group.

use std::ffi::{CStr, CString, c_char};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use rdkafka::bindings as rd;
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::conf::give_token;
use super::{
    Consumer, Event, Failure, Handle, List, Queue, bytes, check, check_borrowed, check_error,
    millis, slice, text,
};
use crate::kafka::ANSWER;
use crate::kafka::token::Token;
use crate::source::Watermarks;

impl Consumer {
    /// The cluster's id, once a broker has answered; none before, and where the cluster has none.
    pub(in crate::kafka) fn cluster_id(&self) -> Option<String> {
        // SAFETY: the client lives; the text is ours to free.
        unsafe {
            let id = rd::rd_kafka_clusterid(self.handle.ptr(), 0);
            if id.is_null() {
                return None;
            }
            let copy = text(id);
            rd::rd_kafka_mem_free(self.handle.ptr(), id.cast());
            Some(copy)
        }
    }

    /// The topic's id (none from a broker that has none) and partitions, as the cluster says now.
    pub(in crate::kafka) fn describe(
        &self,
        wait: Duration,
    ) -> Result<(Option<String>, Vec<i32>), Failure> {
        let options = Options::new(&self.handle, wait)?;
        let queue = Queue::new(&self.handle)?;
        let mut names = [self.topic.as_ptr()];
        // SAFETY: all arguments live until the call returns, which copies them; the collection is
        // ours.
        unsafe {
            let topics = rd::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
            rd::rd_kafka_DescribeTopics(self.handle.ptr(), topics, options.0.as_ptr(), queue.ptr());
            rd::rd_kafka_TopicCollection_destroy(topics);
        }
        let event = answer(&queue, wait)?;
        // SAFETY: what the result holds lives as long as the event.
        unsafe {
            let result = rd::rd_kafka_event_DescribeTopics_result(event.ptr());
            let mut count = 0;
            let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &mut count);
            let topic = match slice(topics.cast_const(), count) {
                [topic] => *topic,
                _ => return Err(Failure::new(Code::Fail, "no description of the topic")),
            };
            check_borrowed(rd::rd_kafka_TopicDescription_error(topic))?;
            let id = rd::rd_kafka_TopicDescription_topic_id(topic);
            let id = (!id.is_null()).then(|| {
                let high = rd::rd_kafka_Uuid_most_significant_bits(id) as u64;
                let low = rd::rd_kafka_Uuid_least_significant_bits(id) as u64;
                u128::from(high) << 64 | u128::from(low)
            });
            let partitions = rd::rd_kafka_TopicDescription_partitions(topic, &mut count);
            let partitions = slice(partitions.cast_const(), count)
                .iter()
                .map(|p| rd::rd_kafka_TopicPartitionInfo_partition(*p))
                .collect();
            Ok((id.filter(|id| *id != 0).map(crate::kafka::topic_id), partitions))
        }
    }

    /// The topic's partitions, by a question that every broker answers.
    pub(in crate::kafka) fn partitions(&self, wait: Duration) -> Result<Vec<i32>, Failure> {
        let mut answer = ptr::null();
        // SAFETY: the client lives; what the answer holds is looked at before it is destroyed.
        unsafe {
            check(rd::rd_kafka_metadata(
                self.handle.ptr(),
                1,
                ptr::null_mut(),
                &mut answer,
                millis(wait),
            ))?;
            let topics = slice((*answer).topics.cast_const(), (*answer).topic_cnt.max(0) as usize);
            let ours = topics.iter().find(|topic| CStr::from_ptr(topic.topic) == &*self.topic);
            let partitions = ours.map(|topic| {
                let count = topic.partition_cnt.max(0) as usize;
                slice(topic.partitions.cast_const(), count).iter().map(|p| p.id).collect()
            });
            rd::rd_kafka_metadata_destroy(answer);
            partitions.ok_or_else(|| Failure::new(Code::UnknownTopic, "no such topic"))
        }
    }

    /// The partitions' offsets: three questions, asked at the same time.
    pub(in crate::kafka) fn watermarks(
        &self,
        partitions: &[i32],
        wait: Duration,
    ) -> Result<Vec<Watermarks>, Failure> {
        const EARLIEST: i64 = rd::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_EARLIEST as i64;
        const LATEST: i64 = rd::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_LATEST as i64;
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let low = self.list_offsets(partitions, EARLIEST, false, wait)?;
        let stable = self.list_offsets(partitions, LATEST, true, wait)?;
        let high = self.list_offsets(partitions, LATEST, false, wait)?;
        let low = offsets_of(&answer(&low, wait)?, partitions)?;
        let stable = offsets_of(&answer(&stable, wait)?, partitions)?;
        let high = offsets_of(&answer(&high, wait)?, partitions)?;
        let all = partitions.iter().zip(low).zip(stable.into_iter().zip(high));
        Ok(all
            .map(|((partition, low), (stable, high))| Watermarks {
                partition: *partition,
                low,
                high,
                stable,
            })
            .collect())
    }

    fn list_offsets(
        &self,
        partitions: &[i32],
        spec: i64,
        committed: bool,
        wait: Duration,
    ) -> Result<Queue, Failure> {
        let options = Options::new(&self.handle, wait)?;
        let level = if committed {
            rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
        } else {
            rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED
        };
        let list = List::new(&self.topic, partitions.iter().map(|p| (*p, spec)))?;
        let queue = Queue::new(&self.handle)?;
        // SAFETY: all arguments live until the calls return, which copy them.
        unsafe {
            let options = options.0.as_ptr();
            check_error(rd::rd_kafka_AdminOptions_set_isolation_level(options, level))?;
            rd::rd_kafka_ListOffsets(self.handle.ptr(), list.ptr(), options, queue.ptr());
        }
        Ok(queue)
    }

    /// Asks how many members of `group` hold partitions; [`Question::members`] has the answer. By
    /// the old blocking call, on a thread of its own: the newer DescribeConsumerGroups aborts the
    /// process when a broker goes away while it asks (confluentinc/librdkafka#4605).
    pub(in crate::kafka) fn ask_members(&self, group: &str) -> Result<Question, Failure> {
        let group = CString::new(group)
            .map_err(|_| Failure::new(Code::InvalidGroupId, "the group's name holds a NUL"))?;
        let (tell, answer) = channel();
        let client = self.handle.clone();
        std::thread::Builder::new()
            .name("weir-census".into())
            // Whoever asked may have gone meanwhile.
            .spawn(move || drop(tell.send(count_holders(&client, &group))))
            .map_err(|error| Failure::new(Code::Fail, format!("start a thread: {error}")))?;
        Ok(Question(answer))
    }
}

/// Gives a token to a client of rust-rdkafka.
pub(in crate::kafka) fn give_token_to(
    client: &AdminClient<DefaultClientContext>,
    token: &Token,
) -> Result<(), Failure> {
    // SAFETY: the client lives.
    unsafe { give_token(client.inner().native_ptr(), Ok(token)) }
}

/// A question about the group that waits for its answer.
pub(in crate::kafka) struct Question(Receiver<Result<Option<usize>, Failure>>);

impl Question {
    /// The number of members that hold partitions, `Some(None)` while the group shares them out
    /// anew; none where the answer has not come.
    pub(in crate::kafka) fn members(&self) -> Option<Result<Option<usize>, Failure>> {
        self.0.try_recv().ok()
    }
}

struct Options(NonNull<rd::rd_kafka_AdminOptions_t>);

impl Options {
    fn new(client: &Arc<Handle>, wait: Duration) -> Result<Options, Failure> {
        let mut error = [0 as c_char; 256];
        // SAFETY: the client lives; the options are ours.
        unsafe {
            let any = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_ANY;
            let options = NonNull::new(rd::rd_kafka_AdminOptions_new(client.ptr(), any))
                .map(Options)
                .ok_or_else(|| Failure::new(Code::Fail, "cannot make admin options"))?;
            check(rd::rd_kafka_AdminOptions_set_request_timeout(
                options.0.as_ptr(),
                millis(wait).max(1),
                error.as_mut_ptr(),
                error.len(),
            ))?;
            Ok(options)
        }
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: the options are ours.
        unsafe { rd::rd_kafka_AdminOptions_destroy(self.0.as_ptr()) }
    }
}

/// The answer to an admin call.
fn answer(queue: &Queue, wait: Duration) -> Result<Event, Failure> {
    // The call has its own timeout; a little more, so that it is the one to say what is wrong.
    let deadline = Instant::now() + wait + Duration::from_millis(500);
    let event = queue.poll(deadline - Instant::now()).ok_or_else(Failure::timed_out)?;
    event.error()?;
    Ok(event)
}

/// The offsets in an answer of ListOffsets, in the order of `partitions`. Where the question to one
/// of several brokers failed, librdkafka still answers "no error", with an invalid offset.
fn offsets_of(event: &Event, partitions: &[i32]) -> Result<Vec<i64>, Failure> {
    // SAFETY: what the result holds lives as long as the event.
    let found = unsafe {
        let mut count = 0;
        let result = rd::rd_kafka_event_ListOffsets_result(event.ptr());
        let infos = rd::rd_kafka_ListOffsets_result_infos(result, &mut count);
        let mut found = std::collections::HashMap::with_capacity(count);
        for info in slice(infos.cast_const(), count) {
            let element = rd::rd_kafka_ListOffsetsResultInfo_topic_partition(*info);
            check((*element).err)?;
            found.insert((*element).partition, (*element).offset);
        }
        found
    };
    partitions
        .iter()
        .map(|partition| match found.get(partition).copied() {
            Some(offset) if offset >= 0 => Ok(offset),
            Some(_) => {
                let text = format!("the leader of partition {partition} did not answer");
                Err(Failure::new(Code::BrokerTransportFailure, text))
            }
            None => Err(Failure::new(Code::UnknownPartition, format!("no partition {partition}"))),
        })
        .collect()
}

/// The members of the group that hold partitions; none where it is not at rest.
fn count_holders(client: &Arc<Handle>, group: &CString) -> Result<Option<usize>, Failure> {
    let mut list = ptr::null();
    // SAFETY: the client lives, and the list is destroyed after the last look at it. Assignments
    // are null or as long as they say.
    unsafe {
        check(rd::rd_kafka_list_groups(client.ptr(), group.as_ptr(), &mut list, millis(ANSWER)))?;
        let groups = slice((*list).groups.cast_const(), (*list).group_cnt.max(0) as usize);
        let counted = groups.first().map(|group| {
            let members = slice(group.members.cast_const(), group.member_cnt.max(0) as usize);
            let assignment = |m: &rd::rd_kafka_group_member_info| {
                bytes(m.member_assignment, m.member_assignment_size.max(0) as usize)
            };
            let holds =
                |m: &&rd::rd_kafka_group_member_info| assignment(m).is_some_and(assigns_partitions);
            let at_rest = CStr::from_ptr(group.state).to_bytes() == b"Stable";
            at_rest.then(|| members.iter().filter(holds).count())
        });
        rd::rd_kafka_group_list_destroy(list);
        counted.ok_or_else(|| Failure::new(Code::Fail, "no description of the group"))
    }
}

/// Whether an assignment of the consumer protocol names a partition: version (i16), topics (i32
/// count), each with its name (i16 length) and partitions (i32 count).
fn assigns_partitions(mut bytes: &[u8]) -> bool {
    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = bytes.split_at_checked(count)?;
        *bytes = rest;
        Some(taken)
    }
    fn int(bytes: &mut &[u8], size: usize) -> Option<usize> {
        Some(take(bytes, size)?.iter().fold(0, |number, byte| number << 8 | *byte as usize))
    }
    let mut any = || {
        take(&mut bytes, 2)?;
        for _ in 0..int(&mut bytes, 4)? {
            let name = int(&mut bytes, 2)?;
            take(&mut bytes, name)?;
            let partitions = int(&mut bytes, 4)?;
            if partitions > 0 {
                return Some(true);
            }
        }
        Some(false)
    };
    any().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_with_partitions_is_told_from_one_without() {
        let one = b"\0\x01\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x01\xff\xff\xff\xff";
        assert!(assigns_partitions(one));
        assert!(!assigns_partitions(b"\0\x01\0\0\0\0\xff\xff\xff\xff"));
        assert!(!assigns_partitions(b"\0\x01\0\0\0\x01\0\x01t\0\0\0\0"));
        for cut in 0..10 {
            assert!(!assigns_partitions(&one[..cut]), "{cut}");
        }
    }
}
