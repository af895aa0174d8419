//! Which of property and summaries is believed, case by case.

use super::*;
use crate::progress::{Partition, Removed, Step, Steps, Verdict};

mod history;
mod lake;
mod rule;
