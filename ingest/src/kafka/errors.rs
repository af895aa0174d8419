//! What librdkafka's error codes mean to us.

use rdkafka::types::RDKafkaErrorCode as Code;
use weir_contract::class::ErrorClass;

/// What to do about an error that is no answer to a call of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// No broker can be reached; librdkafka goes on trying.
    Down,
    /// librdkafka retries by itself.
    Passing,
    /// The topic may be gone: ask.
    TopicGone,
    /// Worth a warning; librdkafka goes on.
    Warn,
    /// The offset to be read does not exist.
    OutOfRange,
    /// The end of a partition.
    End,
    /// Nothing will come until somebody acts.
    Stop(ErrorClass),
}

/// The meaning of a code that came from a consumer's queues.
pub(super) fn meaning(code: Code) -> Meaning {
    match code {
        Code::PartitionEOF => Meaning::End,
        Code::AutoOffsetReset | Code::OffsetOutOfRange => Meaning::OutOfRange,
        Code::AllBrokersDown => Meaning::Down,
        // Of those that concern the connection, `access::Cause` says which are for ever.
        Code::Authentication
        | Code::SSL
        | Code::BrokerTransportFailure
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::NodeUpdate
        | Code::WaitingForCoordinator
        | Code::CoordinatorNotAvailable
        | Code::CoordinatorLoadInProgress
        | Code::NotCoordinator
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::RebalanceInProgress
        | Code::IllegalGeneration
        | Code::UnknownMemberId => Meaning::Passing,
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            Meaning::TopicGone
        }
        Code::BadMessage
        | Code::BadCompression
        | Code::InvalidMessage
        | Code::InvalidMessageSize
        | Code::MessageSizeTooLarge
        | Code::NotImplemented => Meaning::Stop(ErrorClass::BadData),
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed => Meaning::Stop(ErrorClass::Denied),
        Code::InconsistentGroupProtocol
        | Code::InvalidGroupId
        | Code::InvalidSessionTimeout
        | Code::GroupMaxSizeReached
        | Code::InvalidTopic => Meaning::Stop(ErrorClass::BadConfig),
        _ => Meaning::Warn,
    }
}

/// The class of a call's failure.
pub(super) fn class(code: Code) -> ErrorClass {
    match meaning(code) {
        Meaning::Stop(class) => class,
        Meaning::TopicGone => ErrorClass::BadConfig,
        _ => match code {
            Code::InvalidArgument | Code::State | Code::Conflict => ErrorClass::Bug,
            Code::Authentication | Code::SSL => ErrorClass::Denied,
            _ => ErrorClass::Retry,
        },
    }
}

/// What an operator does about it, where the code alone says so; begins with `; `.
pub(super) fn advice(code: Code) -> &'static str {
    match code {
        Code::InconsistentGroupProtocol => {
            "; other consumers use this group with another partition.assignment.strategy: give \
             the stream a group of its own"
        }
        Code::InvalidSessionTimeout => {
            "; session.timeout.ms must lie between the broker's group.min.session.timeout.ms and \
             group.max.session.timeout.ms"
        }
        Code::GroupMaxSizeReached => "; the broker's group.max.size allows no more members",
        Code::BadMessage | Code::BadCompression | Code::InvalidMessage => {
            "; the broker's copy of these records is damaged: repair the partition, or delete its \
             records up to there and accept the loss"
        }
        Code::TopicAuthorizationFailed => "; allow READ and DESCRIBE on the topic",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_somebody_stops_the_stream() {
        assert_eq!(meaning(Code::BrokerTransportFailure), Meaning::Passing);
        assert_eq!(meaning(Code::AllBrokersDown), Meaning::Down);
        assert_eq!(meaning(Code::BadMessage), Meaning::Stop(ErrorClass::BadData));
        assert_eq!(meaning(Code::TopicAuthorizationFailed), Meaning::Stop(ErrorClass::Denied));
    }

    #[test]
    fn calls_fail_with_the_class_that_says_what_to_do() {
        assert_eq!(class(Code::OperationTimedOut), ErrorClass::Retry);
        assert_eq!(class(Code::UnknownTopicOrPartition), ErrorClass::BadConfig);
        assert_eq!(class(Code::State), ErrorClass::Bug);
    }
}
