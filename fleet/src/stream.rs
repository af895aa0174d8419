//! The streams and the kinds of their events, as the contracts in `contracts/` spell them.

use std::fmt;
use std::str::FromStr;

/// Declares the streams with their event types: each list becomes variants of [`Kind`].
macro_rules! streams {
    ($($stream:ident $name:literal { $($kind:ident $type:literal),+ $(,)? })+) => {
        /// A stream: a topic, a contract, a raw table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Stream {
            $(#[doc = concat!("`", $name, "`.")] $stream,)+
        }

        impl Stream {
            /// Every stream.
            pub const ALL: &'static [Stream] = &[$(Stream::$stream),+];

            /// The name: of the topic, and of the contract.
            pub fn name(self) -> &'static str {
                match self { $(Stream::$stream => $name),+ }
            }
        }

        /// What an event tells: the CloudEvents attribute `type`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[doc = concat!("`", $name, ".", $type, "`.")] $kind,)+)+
        }

        impl Kind {
            /// Every kind, stream by stream.
            pub const ALL: &'static [Kind] = &[$($(Kind::$kind),+),+];

            /// The event type in full.
            pub fn name(self) -> &'static str {
                match self { $($(Kind::$kind => concat!($name, ".", $type)),+),+ }
            }

            /// The stream in which it stands.
            pub fn stream(self) -> Stream {
                match self { $($(Kind::$kind)|+ => Stream::$stream),+ }
            }
        }
    };
}

streams! {
    Health "vending.health" { Heartbeat "heartbeat", Boot "boot", Status "status" }
    Sales "vending.sales" { Payment "payment", Vend "vend", Refund "refund" }
    Inventory "vending.inventory" {
        Level "level", LowStock "low_stock", SoldOut "sold_out", Refill "refill",
    }
    Faults "vending.faults" { Raised "raised", Cleared "cleared" }
    Security "vending.security" {
        DoorOpened "door_opened", DoorClosed "door_closed",
        UnauthorisedOpening "unauthorised_opening", VisitStarted "visit_started",
        VisitEnded "visit_ended", Shock "shock", Vibration "vibration", PowerCut "power_cut",
        PowerRestored "power_restored", FirmwareIntegrity "firmware_integrity",
        PaymentFailures "payment_failures",
    }
    Configuration "vending.configuration" {
        ConfigurationReport "report", UpdateStarted "update_started",
        UpdateSucceeded "update_succeeded", UpdateFailed "update_failed",
        UpdateRolledBack "update_rolled_back",
    }
    Connectivity "vending.connectivity" {
        LinkReport "report", Connected "connected", Disconnected "disconnected", Moved "moved",
    }
    Logs "vending.logs" {
        LogLine "line", LogStartup "startup", LogShutdown "shutdown", LogCrash "crash",
    }
    StoreSales "store.sales" { TillSale "sale", TillVoid "void", TillRefund "refund" }
    StoreInventory "store.inventory" {
        StoreLevel "level", StoreCounted "counted", StoreDelivery "delivery",
        StoreAdjustment "adjustment",
    }
    StoreOperations "store.operations" {
        TillOpened "till_opened", TillClosed "till_closed", CashAdded "cash_added",
        CashRemoved "cash_removed", DrawerOpened "drawer_opened",
        TillFaultRaised "fault_raised", TillFaultCleared "fault_cleared",
    }
    Trades "trades" { Trade "trade", TradeStatus "status" }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stream {
    type Err = String;

    fn from_str(text: &str) -> Result<Stream, String> {
        Stream::ALL.iter().copied().find(|stream| stream.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Stream::ALL.iter().map(|stream| stream.name()).collect();
            format!("no stream is called {text:?}; choose of {}", names.join(", "))
        })
    }
}
