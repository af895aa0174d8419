//! What the integration tests, the crash tests and the bench share: real servers, sample events, the
//! simulation, and a lab for end-to-end tests.

pub mod aws;
pub mod crash;
pub mod lab;
pub mod load;
pub mod running;
pub mod sample;
pub mod sim;
pub mod stack;
