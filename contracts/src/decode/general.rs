//! Reads any record: the whole of RFC 8259, members in any order, everything wrong with it found.
//!
//! The text is read once. What makes it no JSON, or too deep, ends the reading at that place; what
//! is wrong with a member does not, so that the order of members decides nothing: of all findings
//! the first in the contract's order counts.

use super::plan::{Member, Plan, TOP, scope_of};
use super::scan::{self, Quoted, Stop, not_json};
use super::shapes::{Target, Trace};
use super::sink::{Problem, Sink, Trouble, Unknown};

/// What is wrong with a record that is JSON. Each is the first of its kind.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The second occurrence of a member, first in the text.
    pub duplicate: Option<Duplicate>,
    /// The wrong value that stands first in the order of checks, behind its place there.
    pub wrong: Option<(usize, Wrong)>,
    /// Where the values of the identity columns stand.
    pub identity: [Option<(usize, usize)>; 4],
}

/// A member that occurs twice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Duplicate {
    pub scope: usize,
    /// The second occurrence's name.
    pub name: Quoted,
}

/// A value that cannot be taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wrong {
    /// A column's.
    Column(usize, Problem),
    /// An object's, which is something else; where its value stands.
    Object(usize, usize, usize),
}

/// One record being read.
pub(super) struct Reader<'a> {
    pub plan: &'a Plan,
    pub sink: &'a mut Sink,
    pub trace: &'a mut Trace,
    pub text: &'a [u8],
    pub findings: Findings,
    /// Scratch: names without their escapes.
    pub names: &'a mut NameScratch,
}

/// Scratch for comparing names.
#[derive(Debug, Default)]
pub(super) struct NameScratch {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// An unknown member's scope, its name's start and end in [`NameScratch`], its place among the others.
type Span = (usize, usize, usize, usize);

impl Reader<'_> {
    /// Reads the whole text into the sink's row.
    pub fn read(&mut self) -> Result<(), Stop> {
        let text = self.text;
        self.trace.begin();
        if text.starts_with(b"\xEF\xBB\xBF") {
            return not_json(0, "a byte order mark");
        }
        let at = scan::space(text, 0);
        if text.get(at) != Some(&b'{') {
            return not_json(at, "an object was expected");
        }
        if self.sink.row.too_deep(0) {
            return Err(Stop::TooDeep { at });
        }
        let end = self.members(TOP, at + 1)?;
        let rest = scan::space(text, end);
        if rest < text.len() {
            return not_json(rest, "more text behind the record's object");
        }
        self.trace.step(Target::End, text.len(), text.len());
        self.unknown_twice();
        Ok(())
    }

    /// Reads members up to the closing brace, and says what lies behind it.
    fn members(&mut self, scope: usize, at: usize) -> Result<usize, Stop> {
        let text = self.text;
        let mut at = scan::space(text, at);
        if text.get(at) == Some(&b'}') {
            return Ok(at + 1);
        }
        loop {
            let (name, value) = scan::name(text, at)?;
            let end = self.member(scope, name, value)?;
            at = scan::space(text, end);
            match text.get(at) {
                Some(b',') => at = scan::space(text, at + 1),
                Some(b'}') => return Ok(at + 1),
                _ => return not_json(at, "',' or '}' was expected"),
            }
        }
    }

    fn member(&mut self, scope: usize, name: Quoted, at: usize) -> Result<usize, Stop> {
        let Some(member) = self.find(scope, name) else { return self.unknown(scope, name, at) };
        let token = self.plan.token(member);
        if !self.sink.row.mark(token) {
            self.duplicate(Duplicate { scope, name });
            return self.sink.row.skip(self.text, at, outside(scope));
        }
        match member {
            Member::Column(column) => {
                let end = self.column(column, at)?;
                self.trace.step(Target::Token(token), at, end);
                Ok(end)
            }
            Member::Object(object) => {
                self.trace.open(token);
                self.object(object, at)
            }
            Member::Unstored(_) => {
                let end = self.sink.row.skip(self.text, at, outside(scope))?;
                self.trace.step(Target::Token(token), at, end);
                Ok(end)
            }
        }
    }

    fn column(&mut self, column: usize, at: usize) -> Result<usize, Stop> {
        let end = match self.sink.value(column, self.text, at) {
            Ok(end) => end,
            Err(Trouble::Problem(problem)) => {
                self.wrong(self.plan.ranks[column], Wrong::Column(column, problem));
                problem.end
            }
            Err(Trouble::Stop(stop)) => return Err(stop),
            Err(Trouble::Other) => return not_json(at, "a value was expected"),
        };
        if let Some(i) = self.plan.identity.iter().position(|&c| c == Some(column)) {
            self.findings.identity[i] = Some((at, end));
        }
        Ok(end)
    }

    fn object(&mut self, object: usize, at: usize) -> Result<usize, Stop> {
        let known = &self.plan.objects[object];
        let end = match self.text.get(at) {
            Some(b'{') if self.sink.row.too_deep(1) => return Err(Stop::TooDeep { at }),
            Some(b'{') => self.members(scope_of(object), at + 1)?,
            first => {
                let end = self.sink.row.skip(self.text, at, 1)?;
                if first != Some(&b'n') && known.column.is_none() {
                    self.wrong(known.rank, Wrong::Object(object, at, end));
                }
                end
            }
        };
        if let Some(column) = known.column {
            // Read twice, into its columns and as a whole: not worth learning.
            self.trace.forget();
            self.sink.row.mark(column);
            self.column(column, at)?;
        }
        Ok(end)
    }

    fn unknown(&mut self, scope: usize, name: Quoted, at: usize) -> Result<usize, Stop> {
        let end = self.sink.row.skip(self.text, at, outside(scope))?;
        let unknowns = &mut self.sink.row.unknowns;
        unknowns.push(Unknown { scope, name, value: (at, end) });
        self.trace.step(Target::Unknown(unknowns.len() - 1), at, end);
        Ok(end)
    }

    fn find(&mut self, scope: usize, name: Quoted) -> Option<Member> {
        let raw = &self.text[name.start..name.end];
        if !name.escaped {
            return self.plan.scopes[scope].find(raw);
        }
        self.names.bytes.clear();
        scan::unescape(raw, &mut self.names.bytes);
        self.plan.scopes[scope].find(&self.names.bytes)
    }

    fn duplicate(&mut self, duplicate: Duplicate) {
        if self.findings.duplicate.is_none_or(|first| duplicate.name.start < first.name.start) {
            self.findings.duplicate = Some(duplicate);
        }
    }

    fn wrong(&mut self, rank: usize, wrong: Wrong) {
        if self.findings.wrong.is_none_or(|(first, _)| rank < first) {
            self.findings.wrong = Some((rank, wrong));
        }
    }

    /// Looks for unknown members of one name in one scope, by sorting them.
    fn unknown_twice(&mut self) {
        if self.sink.row.unknowns.len() < 2 {
            return;
        }
        let NameScratch { bytes, spans } = &mut *self.names;
        bytes.clear();
        spans.clear();
        for (i, unknown) in self.sink.row.unknowns.iter().enumerate() {
            let start = bytes.len();
            scan::unescape(&self.text[unknown.name.start..unknown.name.end], bytes);
            spans.push((unknown.scope, start, bytes.len(), i));
        }
        spans.sort_unstable_by(|a, b| {
            let key = |&(scope, start, end, i): &Span| (scope, &bytes[start..end], i);
            key(a).cmp(&key(b))
        });
        let same = |a: &Span, b: &Span| a.0 == b.0 && bytes[a.1..a.2] == bytes[b.1..b.2];
        let second = spans.windows(2).filter(|pair| same(&pair[0], &pair[1])).map(|pair| pair[1].3);
        if let Some(second) = second.min() {
            let Unknown { scope, name, .. } = self.sink.row.unknowns[second];
            self.duplicate(Duplicate { scope, name });
        }
    }
}

/// Containers around the members of a scope.
pub(super) fn outside(scope: usize) -> usize {
    if scope == TOP { 1 } else { 2 }
}
