//! What the integration tests, the crash tests and the bench share: real servers, sample events.

pub mod load;
pub mod sample;
pub mod stack;
