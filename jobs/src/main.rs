//! `weir`: Kafka in, Apache Iceberg out.

use std::process::ExitCode;

fn main() -> ExitCode {
    weir::session::main()
}
