//! The member of the group: what comes, and what is answered.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode as Code;
use tracing::{debug, info, warn};
use weir_contract::class::ErrorClass;

use super::access::{self, Cause, Heard};
use super::batch::KafkaBatch;
use super::census::Census;
use super::errors::{self, Meaning};
use super::native::{Consumer, Control, Failure, Protocol};
use super::positions::{BatchSize, Positions};
use super::settings::KafkaSettings;
use super::{ANSWER, explain, identify};
use crate::source::{Event, Identity, SourceError, Watermarks};

/// How long the record queue is watched before the control queue gets its turn.
const TURN: Duration = Duration::from_millis(20);
/// How long after joining the client is kept awake: by then it has partitions, or no broker.
const JOINING: Duration = Duration::from_secs(10);
/// How long before a question that came too early is asked again.
const AGAIN: Duration = Duration::from_millis(100);
/// How long a partition that librdkafka is still starting is waited for.
const STARTING: Duration = Duration::from_secs(5);
const REJOIN_LEAST: Duration = Duration::from_secs(1);
const REJOIN_MOST: Duration = Duration::from_secs(60);
/// A membership that lasted this long owes nothing to the failures before it.
const REJOIN_FORGET: Duration = Duration::from_secs(300);

/// A topic in a Kafka cluster, read as one member of a consumer group.
pub struct KafkaSource {
    settings: KafkaSettings,
    /// None until it is needed, and after it has died.
    consumer: Option<Consumer>,
    /// The properties that it was made with.
    made_with: Vec<(String, String)>,
    heard: Heard,
    /// Whether the consumer has joined the group.
    member: bool,
    /// Until when the client is kept awake, while it has not heard from its group.
    joining: Option<Instant>,
    positions: Positions,
    size: BatchSize,
    /// What the caller has been told and has not yet answered.
    rebalance: Option<Rebalance>,
    /// What comes next, before anything is asked of librdkafka.
    due: VecDeque<Result<Event<KafkaBatch>, SourceError>>,
    rejoin: Rejoin,
    census: Census,
    /// The topic's id, where the broker cannot be asked for it.
    topic_id: Option<String>,
    /// No broker could be reached when last heard of.
    down: bool,
}

enum Rebalance {
    Assign(Vec<i32>),
    Revoke(Vec<i32>),
}

impl KafkaSource {
    /// A source with these settings; errors in them are found here. The cluster is asked nothing,
    /// and the group is not joined, until a method needs it.
    pub fn open(settings: KafkaSettings) -> Result<KafkaSource, SourceError> {
        let size = BatchSize::new(settings.batch_bytes());
        let mut source = KafkaSource {
            settings,
            consumer: None,
            made_with: Vec::new(),
            heard: Heard::default(),
            member: false,
            joining: None,
            positions: Positions::default(),
            size,
            rebalance: None,
            due: VecDeque::new(),
            rejoin: Rejoin::default(),
            census: Census::default(),
            topic_id: None,
            down: false,
        };
        source.consumer()?;
        Ok(source)
    }

    /// With an id for the topic, for a broker that cannot be asked for it: librdkafka's in-process one
    /// has no controller.
    pub fn with_topic_id(self, id: &str) -> KafkaSource {
        KafkaSource { topic_id: Some(id.into()), ..self }
    }

    pub(super) fn settings(&self) -> &KafkaSettings {
        &self.settings
    }

    pub(super) fn ask_identity(&mut self) -> Result<Identity, SourceError> {
        self.consumer()?;
        match &self.consumer {
            Some(consumer) => identify(consumer, &self.settings, self.topic_id.as_deref()),
            None => Err(no_client()),
        }
    }

    pub(super) fn ask_watermarks(
        &mut self,
        partitions: &[i32],
    ) -> Result<Vec<Watermarks>, SourceError> {
        let deadline = Instant::now() + ANSWER;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.consumer()?.watermarks(partitions, left) {
                Ok(watermarks) => return Ok(watermarks),
                // A leader is being elected, or our knowledge of it is old.
                Err(Failure {
                    code: Code::NotLeaderForPartition | Code::LeaderNotAvailable,
                    ..
                }) if left > AGAIN => {
                    std::thread::sleep(AGAIN);
                }
                Err(failure) => return Err(explain(&self.settings, "ask for offsets", &failure)),
            }
        }
    }

    pub(super) fn wait_for_event(
        &mut self,
        wait: Duration,
        records: bool,
    ) -> Result<Event<KafkaBatch>, SourceError> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(due) = self.due.pop_front() {
                return due;
            }
            if !self.join(deadline)? {
                return Ok(Event::Idle);
            }
            if let Some(consumer) = &self.consumer
                && let Some(members) =
                    self.census.answer(consumer, &self.settings.group, Instant::now())
            {
                return Ok(Event::Members(members));
            }
            // While a rebalance is unanswered librdkafka keeps every partition still.
            let left = deadline.saturating_duration_since(Instant::now());
            let draining = records && self.rebalance.is_none();
            let patience = match (draining, self.stay_awake()) {
                (true, _) => Duration::ZERO,
                (false, true) => left.min(TURN),
                (false, false) => left,
            };
            if let Some(event) = self.look_for_control(patience)? {
                return Ok(event);
            }
            if draining && let Some(event) = self.drain(left.min(TURN))? {
                return Ok(event);
            }
            if self.due.is_empty() && Instant::now() >= deadline {
                return Ok(Event::Idle);
            }
        }
    }

    /// Makes the consumer a member of its group; false where it is too early to try again.
    fn join(&mut self, deadline: Instant) -> Result<bool, SourceError> {
        if self.member {
            return Ok(true);
        }
        if let Some(at) = self.rejoin.at {
            std::thread::sleep(at.min(deadline).saturating_duration_since(Instant::now()));
            if Instant::now() < at {
                return Ok(false);
            }
        }
        let joined = self.consumer()?.subscribe();
        joined.map_err(|failure| explain(&self.settings, "join the group", &failure))?;
        self.member = true;
        self.joining = Some(Instant::now() + JOINING);
        self.rejoin.joined(Instant::now());
        Ok(true)
    }

    /// Wakes the client if it is still joining its group, and says whether it is.
    fn stay_awake(&mut self) -> bool {
        self.joining = self.joining.filter(|until| Instant::now() < *until);
        if let (Some(_), Some(consumer)) = (self.joining, &self.consumer) {
            consumer.wake();
        }
        self.joining.is_some()
    }

    fn consumer(&mut self) -> Result<&mut Consumer, SourceError> {
        if self.consumer.is_none() {
            self.made_with = self.settings.properties()?;
            // Whether there is one is told at once.
            self.settings.properties.token()?;
            let made = Consumer::new(&self.made_with, &self.settings.topic);
            self.consumer = Some(made.map_err(access::unusable)?);
        }
        self.consumer.as_mut().ok_or_else(no_client)
    }

    /// The next event that is not a record, within `wait`.
    fn look_for_control(
        &mut self,
        wait: Duration,
    ) -> Result<Option<Event<KafkaBatch>>, SourceError> {
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(control) = self.consumer()?.control(left) else { return Ok(None) };
            match control {
                Control::Assign(partitions) => {
                    self.seen_alive();
                    debug!(?partitions, "assigned");
                    self.joining = None;
                    let none = partitions.is_empty();
                    self.rebalance = Some(Rebalance::Assign(partitions.clone()));
                    if none {
                        self.start_assigned(&[])?;
                    }
                    if !none || self.positions.all().is_empty() {
                        return Ok(Some(Event::Assigned(partitions)));
                    }
                }
                Control::Revoke { partitions, lost } => {
                    debug!(?partitions, lost, "revoked");
                    for partition in &partitions {
                        self.positions.remove(*partition);
                    }
                    self.rebalance = Some(Rebalance::Revoke(partitions.clone()));
                    if !partitions.is_empty() {
                        return Ok(Some(Event::Revoked { partitions, lost }));
                    }
                    self.release_revoked()?;
                }
                Control::Error { failure, fatal: true } => {
                    return Ok(Some(self.reset(&failure)));
                }
                Control::Error { failure, fatal: false } => self.heed(None, &failure)?,
                Control::TokenWanted => {
                    let given = self.settings.properties.clone();
                    access::give(self.consumer()?, &given);
                }
                Control::Committed(Ok(())) | Control::Other => {}
                Control::Committed(Err(failure)) => {
                    debug!(error = failure.message, "group offsets were not published");
                }
                Control::Log { level, message } => {
                    self.heard.line(&message);
                    access::log(level, &message);
                }
            }
            if !self.due.is_empty() {
                return Ok(None);
            }
        }
    }

    /// The next records; what came beside them becomes due.
    fn drain(&mut self, wait: Duration) -> Result<Option<Event<KafkaBatch>>, SourceError> {
        let most = self.size.records();
        let silent = self.positions.silent();
        let consumer = self.consumer()?;
        if !silent.is_empty() {
            consumer.forward(&silent);
        }
        let mut messages = consumer.drain(most, wait);
        if messages.len() == 0 {
            return Ok(None);
        }
        self.seen_alive();
        let mut notes: Vec<(i32, i64, Failure)> = Vec::new();
        let mut dropped = 0;
        messages.retain(|message| {
            let (partition, offset) = (message.partition(), message.offset());
            if let Some(failure) = message.error() {
                if matches!(errors::meaning(failure.code), Meaning::Stop(_)) {
                    // What follows a damaged batch must not be taken for what follows a gap.
                    self.positions.halt(partition);
                }
                notes.push((partition, offset, failure));
                return false;
            }
            let wanted = self.positions.record(partition, offset);
            dropped += usize::from(!wanted);
            wanted
        });
        if dropped > 0 {
            debug!(dropped, "dropped records that were fetched before a rebalance");
        }
        for (partition, offset, failure) in notes {
            match errors::meaning(failure.code) {
                Meaning::End => {
                    if self.positions.end(partition, offset) {
                        self.due.push_back(Ok(Event::End { partition, offset }));
                    }
                }
                Meaning::OutOfRange => self.out_of_range(partition)?,
                _ => {
                    if let Err(error) = self.heed(Some((partition, offset)), &failure) {
                        self.due.push_back(Err(error));
                    }
                }
            }
        }
        if messages.len() == 0 {
            return Ok(None);
        }
        let batch = KafkaBatch::new(messages);
        self.size.learn(crate::source::Records::len(&batch), crate::source::Records::bytes(&batch));
        Ok(Some(Event::Records(batch)))
    }

    /// An error that is no answer to a call.
    fn heed(&mut self, at: Option<(i32, i64)>, failure: &Failure) -> Result<(), SourceError> {
        match self.heard.error(failure) {
            // It was let in before: the connection is made anew.
            None | Some(Cause::NoSasl) => {}
            Some(cause) => return self.refused(cause),
        }
        match errors::meaning(failure.code) {
            Meaning::Down => {
                if !self.down {
                    warn!(
                        "no Kafka broker can be reached at {}; waiting for one",
                        self.settings.bootstrap
                    );
                }
                self.down = true;
            }
            Meaning::Passing | Meaning::End | Meaning::OutOfRange => {
                debug!(error = failure.message, "a passing Kafka error");
            }
            Meaning::TopicGone => match self.ask_identity() {
                Err(error) if error.class == ErrorClass::BadConfig => return Err(error),
                _ => debug!(error = failure.message, "the topic is there after all"),
            },
            Meaning::Warn => warn!(
                topic = self.settings.topic,
                error_code = ?failure.code,
                "Kafka: {}",
                failure.message
            ),
            Meaning::Stop(class) => {
                let mut error = match at {
                    Some((partition, offset)) => {
                        let what = format!("read partition {partition} at offset {offset}");
                        explain(&self.settings, &what, failure)
                    }
                    None => explain(&self.settings, "read", failure),
                };
                error.class = class;
                return Err(error);
            }
        }
        Ok(())
    }

    /// The cluster does not let us in. What has been changed since the client was made may do; with
    /// the same as before somebody must act.
    fn refused(&mut self, cause: Cause) -> Result<(), SourceError> {
        if self.settings.properties()? == self.made_with {
            return Err(self.heard.refusal(&self.settings.bootstrap, cause));
        }
        let reset = self.give_up(format!(
            "Kafka at {} takes the credentials of this client no longer, and there are new ones",
            self.settings.bootstrap
        ));
        self.due.push_back(Ok(reset));
        Ok(())
    }

    fn seen_alive(&mut self) {
        if std::mem::take(&mut self.down) {
            info!("Kafka at {} answers again", self.settings.bootstrap);
        }
    }

    /// librdkafka says that the partition's offset does not exist, and has stopped it. The message
    /// may be old, or a follower's: the leader is asked before anybody is told.
    fn out_of_range(&mut self, partition: i32) -> Result<(), SourceError> {
        let Some(position) = self.positions.next(partition) else { return Ok(()) };
        if let Ok(found) = self.consumer()?.watermarks(&[partition], ANSWER)
            && !found.iter().any(|w| (w.low..=w.high).contains(&position))
        {
            self.positions.halt(partition);
            self.due.push_back(Ok(Event::OutOfRange { partition, position }));
            return Ok(());
        }
        debug!(partition, position, "out of range by mistake; beginning again");
        self.revive(&[(partition, position)])
    }

    pub(super) fn start_assigned(&mut self, offsets: &[(i32, i64)]) -> Result<(), SourceError> {
        let Some(Rebalance::Assign(partitions)) = &self.rebalance else {
            return match offsets {
                [] => Ok(()),
                _ => Err(bug("no partitions wait to be started")),
            };
        };
        let mut wanted = partitions.clone();
        let mut given: Vec<i32> = offsets.iter().map(|(partition, _)| *partition).collect();
        wanted.sort_unstable();
        given.sort_unstable();
        if wanted != given || offsets.iter().any(|(_, offset)| *offset < 0) {
            return Err(bug(&format!("partitions {wanted:?} wait to be started, not {offsets:?}")));
        }
        self.rebalance = None;
        self.census.begin(Instant::now());
        let astray = self.reposition()?;
        let consumer = self.consumer()?;
        consumer.forward(&wanted);
        let done = match consumer.protocol() {
            Protocol::Cooperative => consumer.assign_more(offsets),
            Protocol::Eager => consumer.assign(Some(offsets)),
        };
        match done {
            Ok(()) => {
                for (partition, offset) in offsets {
                    self.positions.start(*partition, *offset);
                }
                self.revive(&astray)
            }
            Err(failure) => self.broken(&failure),
        }
    }

    pub(super) fn release_revoked(&mut self) -> Result<(), SourceError> {
        let Some(Rebalance::Revoke(partitions)) = &self.rebalance else { return Ok(()) };
        let partitions = partitions.clone();
        self.rebalance = None;
        let astray = self.reposition()?;
        let consumer = self.consumer()?;
        let (done, astray) = match consumer.protocol() {
            Protocol::Cooperative => (consumer.assign_less(&partitions), astray),
            Protocol::Eager => {
                let done = consumer.assign(None);
                self.positions.clear();
                (done, Vec::new())
            }
        };
        match done {
            Ok(()) => self.revive(&astray),
            Err(failure) => self.broken(&failure),
        }
    }

    pub(super) fn restart_all(&mut self, offsets: &[(i32, i64)]) -> Result<(), SourceError> {
        let held = self.positions.all();
        if self.consumer.is_none() || held.is_empty() {
            return Ok(());
        }
        // An error that has not been told yet still stands; the rest is of before.
        self.due.retain(|due| match due {
            Err(_) | Ok(Event::Reset(_)) => true,
            Ok(_) => false,
        });
        let offset_of = |partition: i32| {
            let given = offsets.iter().find(|(p, offset)| *p == partition && *offset >= 0);
            given.copied().ok_or_else(|| bug(&format!("no offset to restart {partition} at")))
        };
        let mut moving = Vec::new();
        let mut halted = Vec::new();
        for partition in held {
            match self.positions.next(partition) {
                Some(_) => moving.push(offset_of(partition)?),
                None => halted.push(offset_of(partition)?),
            }
        }
        let all: Vec<i32> = moving.iter().chain(&halted).map(|(p, _)| *p).collect();
        // First the new queue: what is still under way then arrives there, and librdkafka drops it
        // because the seek has made it outdated. The other way round, the first records after the
        // seek could go down with the old queue.
        let renewed = self.consumer()?.renew(&all);
        renewed.map_err(|failure| explain(&self.settings, "make a queue", &failure))?;
        halted.extend(self.seek(&moving, STARTING)?);
        for (partition, offset) in moving {
            self.positions.start(partition, offset);
        }
        self.revive(&halted)
    }

    /// Before a rebalance is answered, and librdkafka lets the partitions that stay run again: moves
    /// them to where they really stand. Returns those that could not be moved.
    fn reposition(&mut self) -> Result<Vec<(i32, i64)>, SourceError> {
        let running = self.positions.running();
        let astray = self.seek(&running, Duration::ZERO)?;
        for (partition, _) in &astray {
            self.positions.halt(*partition);
        }
        for (partition, offset) in running {
            if !astray.contains(&(partition, offset)) {
                self.positions.start(partition, offset);
            }
        }
        Ok(astray)
    }

    /// Moves partitions; those that librdkafka is still starting are waited for. Returns those that
    /// could not be moved.
    fn seek(
        &mut self,
        offsets: &[(i32, i64)],
        patience: Duration,
    ) -> Result<Vec<(i32, i64)>, SourceError> {
        let deadline = Instant::now() + patience;
        let mut left = offsets.to_vec();
        loop {
            let failed = match self.consumer()?.seek(&left, ANSWER) {
                Ok(failed) => failed,
                // The client is dying; that will be told.
                Err(failure) if failure.code == Code::Fatal => return Ok(Vec::new()),
                Err(failure) => return Err(explain(&self.settings, "move to offsets", &failure)),
            };
            left.retain(|(partition, _)| failed.iter().any(|(p, _)| p == partition));
            if left.is_empty() || Instant::now() >= deadline {
                if !left.is_empty() {
                    debug!(?failed, "partitions could not be moved");
                }
                return Ok(left);
            }
            std::thread::sleep(TURN);
        }
    }

    /// Begins partitions that librdkafka has stopped, or cannot move, from scratch.
    fn revive(&mut self, offsets: &[(i32, i64)]) -> Result<(), SourceError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let partitions: Vec<i32> = offsets.iter().map(|(partition, _)| *partition).collect();
        let consumer = self.consumer()?;
        let done = match consumer.protocol() {
            Protocol::Cooperative => {
                consumer.assign_less(&partitions).and_then(|()| consumer.assign_more(offsets))
            }
            Protocol::Eager => {
                let rest =
                    self.positions.running().into_iter().filter(|(p, _)| !partitions.contains(p));
                let all: Vec<(i32, i64)> = rest.chain(offsets.iter().copied()).collect();
                self.consumer()?.assign(Some(&all))
            }
        };
        match done {
            Ok(()) => {
                for (partition, offset) in offsets {
                    self.positions.start(*partition, *offset);
                }
                Ok(())
            }
            Err(failure) => self.broken(&failure),
        }
    }

    /// The assignment is in a state that we do not know: better none.
    fn broken(&mut self, failure: &Failure) -> Result<(), SourceError> {
        if failure.code != Code::Fatal {
            let reset = self.reset(failure);
            self.due.push_back(Ok(reset));
        }
        Ok(())
    }

    /// The client has failed.
    fn reset(&mut self, failure: &Failure) -> Event<KafkaBatch> {
        let reason = match (&self.settings.instance, failure.code) {
            (Some(instance), Code::FencedInstanceId) => format!(
                "another process has joined the group {} with the same group.instance.id \
                 {instance:?}; give each process its own",
                self.settings.group
            ),
            _ => format!("the Kafka client has failed: {}", failure.message),
        };
        self.give_up(reason)
    }

    /// Gives up the membership.
    fn give_up(&mut self, reason: String) -> Event<KafkaBatch> {
        self.census = Census::default();
        self.consumer = None;
        self.heard = Heard::default();
        self.member = false;
        self.positions.clear();
        self.rebalance = None;
        self.due.clear();
        let delay = self.rejoin.failed(Instant::now());
        warn!(topic = self.settings.topic, "{reason}; joining again in {} s", delay.as_secs());
        Event::Reset(reason)
    }

    pub(super) fn publish_offsets(&mut self, offsets: &[(i32, i64)]) {
        let held: Vec<(i32, i64)> =
            offsets.iter().copied().filter(|(p, _)| self.positions.holds(*p)).collect();
        if let (Some(consumer), false) = (&self.consumer, held.is_empty())
            && let Err(failure) = consumer.commit(&held)
        {
            debug!(error = failure.message, "group offsets were not published");
        }
    }
}

/// When to join again. Two processes with one `group.instance.id` throw each other out: the waits
/// grow, so that they do not do it all the time.
#[derive(Debug, Default)]
struct Rejoin {
    at: Option<Instant>,
    delay: Duration,
    since: Option<Instant>,
}

impl Rejoin {
    fn joined(&mut self, now: Instant) {
        self.at = None;
        self.since = Some(now);
    }

    fn failed(&mut self, now: Instant) -> Duration {
        let lasted = self.since.map_or(Duration::ZERO, |since| now - since);
        self.delay = match self.delay {
            _ if lasted >= REJOIN_FORGET => REJOIN_LEAST,
            delay => (delay * 2).clamp(REJOIN_LEAST, REJOIN_MOST),
        };
        self.at = Some(now + self.delay);
        self.delay
    }
}

fn bug(message: &str) -> SourceError {
    SourceError::new(ErrorClass::Bug, format!("the Kafka source was misused: {message}"))
}

fn no_client() -> SourceError {
    bug("it has no client")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_until_a_membership_has_lasted() {
        let start = Instant::now();
        let mut rejoin = Rejoin::default();
        let mut waits = Vec::new();
        for _ in 0..8 {
            rejoin.joined(start);
            waits.push(rejoin.failed(start + Duration::from_secs(5)).as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        rejoin.joined(start);
        assert_eq!(rejoin.failed(start + REJOIN_FORGET), REJOIN_LEAST);
    }
}
