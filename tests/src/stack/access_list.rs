//! What a user may do. The Rust client of librdkafka has no call for it, so librdkafka's own is used.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char};

use anyhow::{Context, Result, ensure};
use rdkafka::bindings as rd;
use rdkafka::types::RDKafkaRespErr;

/// How long the broker may take, ms.
const ANSWER: i32 = 30_000;

/// Lets a user read the topic of this name, through the client given.
pub(super) fn allow_reading(client: *mut rd::rd_kafka_t, user: &str, topic: &str) -> Result<()> {
    let (topic, anywhere) = (CString::new(topic)?, c"*");
    let user = CString::new(format!("User:{user}"))?;
    let mut error = [0 as c_char; 256];
    // SAFETY: the caller's client lives; the texts live until they are copied; binding, queue and event
    // are ours, and what the event holds is looked at before it is destroyed.
    unsafe {
        let mut binding = rd::rd_kafka_AclBinding_new(
            rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC,
            topic.as_ptr(),
            rd::rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_LITERAL,
            user.as_ptr(),
            anywhere.as_ptr(),
            rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ,
            rd::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW,
            error.as_mut_ptr(),
            error.len(),
        );
        ensure!(!binding.is_null(), "librdkafka refuses the access list");
        let queue = rd::rd_kafka_queue_new(client);
        rd::rd_kafka_CreateAcls(client, &mut binding, 1, std::ptr::null(), queue);
        rd::rd_kafka_AclBinding_destroy(binding);
        let event = rd::rd_kafka_queue_poll(queue, ANSWER);
        let mut failed = None;
        if !event.is_null() {
            let mut count = 0;
            let result = rd::rd_kafka_event_CreateAcls_result(event);
            let all = rd::rd_kafka_CreateAcls_result_acls(result, &mut count);
            let refused = count == 1 && !rd::rd_kafka_acl_result_error(*all).is_null();
            let code = rd::rd_kafka_event_error(event);
            failed = Some(refused || code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR);
            rd::rd_kafka_event_destroy(event);
        }
        rd::rd_kafka_queue_destroy(queue);
        let failed = failed.context("the broker did not answer")?;
        ensure!(!failed, "the broker refuses the access list");
    }
    Ok(())
}
