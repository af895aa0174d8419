//! The quick way: guesses the next member from what followed the last one in earlier records.
//!
//! Between two values of a record stands a *gap*: `,"voltage_v":`, or `},"siteid":`, or
//! `,"data":{"power":`, with the producer's own white space. Each known member remembers the gaps
//! that followed it in accepted records, and where each led. A record is read by comparing bytes
//! with the likeliest gap, reading one value, and so on.
//!
//! This is exact. A gap was once read by the general way, from behind a value of the one member to
//! the beginning of a value of the other. What the grammar allows there depends only on the object
//! that the first member stands in, and that is the same every time. So a text made of gaps that
//! fit and of checked values is JSON of the same meaning, unless a member occurs twice; each gap
//! knows the members that it names, and they are marked as they pass. Anything else that surprises
//! gives the record to the general way.

use super::general::outside;
use super::plan::Plan;
use super::scan::{self, Quoted};
use super::sink::{Sink, Unknown};

/// How many gaps a member remembers.
const GAPS_MAX: usize = 24;
/// The longest gap that is remembered, bytes.
const GAP_BYTES_MAX: usize = 256;
/// How many unknown members are remembered.
pub(super) const UNKNOWN_MAX: usize = 64;

/// Where a gap leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The value of a known member.
    Token(usize),
    /// The value of the unknown member at this place of the row's list.
    Unknown(usize),
    /// The end of the record.
    End,
}

/// How the general way went through a record.
#[derive(Debug, Default)]
pub(super) struct Trace {
    steps: Vec<Step>,
    /// Tokens of objects that the gaps name.
    opened: Vec<usize>,
    /// Where the last value ended.
    behind: usize,
    forgotten: bool,
}

#[derive(Debug)]
struct Step {
    gap: (usize, usize),
    /// Until where in `opened` the gap's objects stand.
    opened: usize,
    target: Target,
}

impl Trace {
    pub fn begin(&mut self) {
        self.steps.clear();
        self.opened.clear();
        self.behind = 0;
        self.forgotten = false;
    }

    /// An object's name was passed.
    pub fn open(&mut self, token: usize) {
        self.opened.push(token);
    }

    /// A value was passed.
    pub fn step(&mut self, target: Target, start: usize, end: usize) {
        let opened = self.opened.len();
        self.steps.push(Step { gap: (self.behind, start), opened, target });
        self.behind = end;
    }

    /// This record shall not be learned.
    pub fn forget(&mut self) {
        self.forgotten = true;
    }
}

/// What followed what.
#[derive(Debug)]
pub(super) struct Shapes {
    /// The beginning, then one state per token, then one per unknown member.
    states: Vec<State>,
    /// Unknown members that have a state: scope and name.
    unknown: Vec<(usize, Box<[u8]>)>,
    scratch: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    gaps: Vec<Gap>,
    /// The gap that fitted last.
    likely: usize,
    /// The gap to be replaced next.
    oldest: usize,
}

#[derive(Debug)]
struct Gap {
    /// The first 16 bytes, and which of them there are.
    head: u128,
    mask: u128,
    bytes: Vec<u8>,
    /// Tokens of the members that it names, the target's last.
    tokens: Vec<usize>,
    /// None is the end of the record.
    target: Option<usize>,
    /// Place of the target's name in the gap.
    name: Quoted,
}

/// The state before the first member.
const BEGINNING: usize = 0;

/// The state behind a token's value.
fn behind(token: usize) -> usize {
    token + 1
}

impl Gap {
    /// Is this the gap at this position? What follows a gap is a value or nothing, so that of two
    /// gaps that differ by white space at their ends only one fits.
    #[inline(always)]
    fn fits(&self, text: &[u8], at: usize) -> bool {
        let Some(rest) = text.get(at..) else { return false };
        let same = match rest.split_first_chunk::<16>() {
            Some((head, tail)) => {
                (u128::from_le_bytes(*head) ^ self.head) & self.mask == 0
                    && (self.bytes.len() <= 16 || tail.starts_with(&self.bytes[16..]))
            }
            None => rest.starts_with(&self.bytes),
        };
        same && rest.get(self.bytes.len()).is_none_or(|next| *next > b' ')
    }
}

impl State {
    /// The gap at this position.
    #[inline(always)]
    fn follow(&mut self, text: &[u8], at: usize) -> Option<&Gap> {
        if !self.gaps.get(self.likely).is_some_and(|gap| gap.fits(text, at)) {
            self.likely = self.other(text, at)?;
        }
        self.gaps.get(self.likely)
    }

    #[inline(never)]
    fn other(&self, text: &[u8], at: usize) -> Option<usize> {
        self.gaps.iter().position(|gap| gap.fits(text, at))
    }
}

impl Shapes {
    pub fn new(plan: &Plan) -> Shapes {
        let states = (0..=plan.tokens + UNKNOWN_MAX).map(|_| State::default()).collect();
        Shapes { states, unknown: Vec::new(), scratch: Vec::new() }
    }

    /// Reads a record into the sink's row. Where it says false the row must be rolled back and the
    /// record read in the general way; nothing follows for the record.
    pub fn read(&mut self, plan: &Plan, sink: &mut Sink, text: &[u8]) -> bool {
        let mut at = 0;
        let mut state = BEGINNING;
        loop {
            let Some(gap) = self.states[state].follow(text, at) else { return false };
            let start = at + gap.bytes.len();
            for token in &gap.tokens {
                if !sink.row.mark(*token) {
                    return false;
                }
            }
            let Some(token) = gap.target else { return start == text.len() };
            at = if token < plan.columns {
                match sink.value(token, text, start) {
                    Ok(end) => end,
                    Err(_) => return false,
                }
            } else {
                let unknown = self.unknown.get(token.wrapping_sub(plan.tokens));
                let scope = unknown.map_or_else(|| plan.unstored_scope(token), |(scope, _)| *scope);
                let Ok(end) = sink.row.skip(text, start, outside(scope)) else { return false };
                if unknown.is_some() {
                    let Quoted { start: from, end: to, escaped } = gap.name;
                    let name = Quoted { start: at + from, end: at + to, escaped };
                    sink.row.unknowns.push(Unknown { scope, name, value: (start, end) });
                }
                end
            };
            state = behind(token);
        }
    }

    /// Remembers how the general way went through a record that was accepted.
    pub fn learn(&mut self, plan: &Plan, trace: &Trace, unknowns: &[Unknown], text: &[u8]) {
        if trace.forgotten {
            return;
        }
        let mut state = BEGINNING;
        let mut opened = 0;
        for step in &trace.steps {
            let (start, end) = step.gap;
            let objects = &trace.opened[opened..step.opened];
            opened = step.opened;
            let (target, name) = match step.target {
                Target::End => (None, Quoted { start, end: start, escaped: false }),
                Target::Token(token) => (Some(token), Quoted { start, end: start, escaped: false }),
                Target::Unknown(i) => match self.intern(&unknowns[i], text) {
                    Some(number) => (Some(plan.tokens + number), unknowns[i].name),
                    None => return,
                },
            };
            let name = Quoted { start: name.start - start, end: name.end - start, ..name };
            let bytes = &text[start..end];
            if bytes.len() > GAP_BYTES_MAX {
                return;
            }
            self.states[state].learn(bytes, objects, target, name);
            match target {
                Some(token) => state = behind(token),
                None => return,
            }
        }
    }

    /// Bytes of gaps and names that are remembered.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        let gaps = self.states.iter().flat_map(|state| &state.gaps);
        gaps.map(|gap| gap.bytes.capacity()).chain(self.unknown.iter().map(|u| u.1.len())).sum()
    }

    /// The number of an unknown member, if there is one left for it.
    fn intern(&mut self, unknown: &Unknown, text: &[u8]) -> Option<usize> {
        self.scratch.clear();
        scan::unescape(&text[unknown.name.start..unknown.name.end], &mut self.scratch);
        let same =
            |(scope, name): &(usize, Box<[u8]>)| *scope == unknown.scope && **name == *self.scratch;
        if let Some(i) = self.unknown.iter().position(same) {
            return Some(i);
        }
        if self.unknown.len() == UNKNOWN_MAX || self.scratch.len() > GAP_BYTES_MAX {
            return None;
        }
        self.unknown.push((unknown.scope, self.scratch.as_slice().into()));
        Some(self.unknown.len() - 1)
    }
}

impl State {
    fn learn(&mut self, bytes: &[u8], objects: &[usize], target: Option<usize>, name: Quoted) {
        if let Some(known) = self.gaps.iter().position(|gap| gap.bytes == bytes) {
            self.likely = known;
            return;
        }
        let mut head = [0; 16];
        let mut mask = [0; 16];
        for (i, byte) in bytes.iter().take(16).enumerate() {
            (head[i], mask[i]) = (*byte, 0xFF);
        }
        let gap = Gap {
            head: u128::from_le_bytes(head),
            mask: u128::from_le_bytes(mask),
            bytes: bytes.to_vec(),
            tokens: objects.iter().copied().chain(target).collect(),
            target,
            name,
        };
        if self.gaps.len() < GAPS_MAX {
            self.gaps.push(gap);
        } else {
            self.gaps[self.oldest] = gap;
            self.oldest = (self.oldest + 1) % GAPS_MAX;
        }
    }
}
