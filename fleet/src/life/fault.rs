//! Faults of a machine: raised once, cleared once.

use super::{Body, Voice};
use crate::names;
use crate::stream::Kind;
use crate::text;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    MotorJam,
    Cooling,
    HealthTimer,
    CoinMech,
    BillValidator,
    CashlessReader,
    DoorForced,
    DeliverySensor,
    TransactionFailures,
    NoConnection,
}

/// How a kind of fault is reported.
struct Words {
    fault: &'static str,
    code: &'static str,
    component: &'static str,
    severity: &'static str,
    message: &'static str,
}

impl FaultKind {
    fn words(self) -> Words {
        let words = |fault, code, component, severity, message| Words {
            fault,
            code,
            component,
            severity,
            message,
        };
        match self {
            FaultKind::MotorJam => {
                words("motor_jam", "ELA", "dispensing", "warning", "motor did not reach home")
            }
            FaultKind::Cooling => {
                words("cooling", "EJJ", "refrigeration", "critical", "compartment above its limit")
            }
            FaultKind::HealthTimer => {
                words("cooling", "EJH", "refrigeration", "critical", "health timer has expired")
            }
            FaultKind::CoinMech => {
                words("payment_device", "EA", "coin_mech", "warning", "coin mech does not answer")
            }
            FaultKind::BillValidator => {
                words("payment_device", "ENC", "bill_validator", "warning", "bill jammed")
            }
            FaultKind::CashlessReader => {
                words("payment_device", "EKM", "cashless", "warning", "reader does not answer")
            }
            FaultKind::DoorForced => {
                words("door_forced", "EGS", "cabinet", "critical", "door open without a key")
            }
            FaultKind::DeliverySensor => {
                words("sensor", "EJL", "sensor", "warning", "delivery detector is blind")
            }
            FaultKind::TransactionFailures => {
                words("transaction_failures", "EK", "cashless", "warning", "payments fail in a row")
            }
            FaultKind::NoConnection => {
                words("communication", "EIE", "communication", "warning", "no way to the collector")
            }
        }
    }

    /// The EVA-DTS status code.
    pub fn code(self) -> &'static str {
        self.words().code
    }

    /// Is it gone once somebody has serviced the machine?
    fn serviceable(self) -> bool {
        use FaultKind::*;
        matches!(
            self,
            MotorJam | CoinMech | BillValidator | CashlessReader | DoorForced | DeliverySensor
        )
    }
}

/// A fault that is active.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    kind: FaultKind,
    number: u32,
    raised_at: i64,
    selection: Option<u32>,
}

impl Body {
    /// Is such a fault active?
    pub(super) fn has(&self, kind: FaultKind) -> bool {
        self.faults.iter().any(|fault| fault.kind == kind)
    }

    /// The codes that are active.
    pub(super) fn codes(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.faults.iter().map(|fault| fault.kind.code())
    }

    /// Raises a fault, if it is not active; was it raised?
    pub(super) fn raise(
        &mut self,
        kind: FaultKind,
        selection: Option<u32>,
        v: &mut Voice<'_, '_>,
    ) -> bool {
        if self.faults.iter().any(|f| f.kind == kind && f.selection == selection) {
            return false;
        }
        self.fault_count += 1;
        let fault = Fault { kind, number: self.fault_count, raised_at: v.now, selection };
        self.faults.push(fault);
        self.say_fault(Kind::Raised, fault, None, v);
        true
    }

    /// Clears a fault, if it is active.
    pub(super) fn clear(
        &mut self,
        kind: FaultKind,
        selection: Option<u32>,
        reason: &str,
        v: &mut Voice<'_, '_>,
    ) {
        let found = self.faults.iter().position(|f| f.kind == kind && f.selection == selection);
        if let Some(at) = found {
            let fault = self.faults.remove(at);
            self.say_fault(Kind::Cleared, fault, Some(reason), v);
        }
    }

    /// Clears whatever a technician can mend at once.
    pub(super) fn clear_serviced(&mut self, v: &mut Voice<'_, '_>) {
        while let Some(fault) = self.faults.iter().find(|fault| fault.kind.serviceable()).copied() {
            self.clear(fault.kind, fault.selection, "serviced", v);
        }
    }

    fn say_fault(&self, kind: Kind, fault: Fault, cleared: Option<&str>, v: &mut Voice<'_, '_>) {
        let words = fault.kind.words();
        let (raised, now) = (v.clock(fault.raised_at), v.clock(v.now));
        let temperature = match fault.kind {
            FaultKind::Cooling | FaultKind::HealthTimer => Some(self.cold.milli / 100),
            _ => None,
        };
        v.fault = Some(words.code);
        v.say(kind, |d| {
            d.named("fault_id", |out| {
                out.extend_from_slice(names::machine(self.index).bytes());
                out.extend_from_slice(b"-f");
                text::number(out, fault.number.into());
            });
            d.text("fault", words.fault)
                .text("eva_dts_code", words.code)
                .text("component", words.component);
            if let Some(selection) = fault.selection {
                d.text("selection", names::selection(selection).as_str());
            }
            if fault.kind == FaultKind::DeliverySensor {
                d.text("sensor", "delivery_detector");
            }
            if let Some(temperature) = temperature {
                d.decimal("temperature_c", temperature, 1);
            }
            match cleared {
                None => {
                    d.text("severity", words.severity).text("message", words.message);
                    d.time("raised_at", raised);
                }
                Some(reason) => {
                    d.time("raised_at", raised).time("cleared_at", now);
                    d.text("clear_reason", reason);
                }
            }
        });
    }
}
