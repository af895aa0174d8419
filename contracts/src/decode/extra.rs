//! `_extra`: unknown members, byte for byte as they came, as one JSON object.

use super::plan::{Plan, TOP, scope_of};
use super::sink::Unknown;

/// Writes the unknown members to `out`: those of the record first, in their order, then those of
/// its objects, each under the object's name: `{"foo":1.50,"data":{"bar":[1, 2]}}`.
pub(super) fn write(plan: &Plan, unknowns: &[Unknown], text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(b'{');
    members(unknowns, TOP, text, out);
    for (o, object) in plan.objects.iter().enumerate() {
        if unknowns.iter().any(|unknown| unknown.scope == scope_of(o)) {
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(object.quoted.as_bytes());
            out.extend_from_slice(b":{");
            members(unknowns, scope_of(o), text, out);
            out.push(b'}');
        }
    }
    out.push(b'}');
}

fn members(unknowns: &[Unknown], scope: usize, text: &[u8], out: &mut Vec<u8>) {
    for (i, unknown) in unknowns.iter().filter(|unknown| unknown.scope == scope).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(&text[unknown.name.start..unknown.name.end]);
        out.extend_from_slice(b"\":");
        out.extend_from_slice(&text[unknown.value.0..unknown.value.1]);
    }
}
