//! What goes to stdout: aligned tables for people, one JSON object per line for machines, and at the
//! end, where asked for, one object with the result.

use std::io::{IsTerminal, Write};

use serde_json::{Map, Value, json};

use crate::cli::OutputFormat;
use crate::failure::Failure;
use weir_contract::class::ErrorClass;

/// Writes a command's output.
pub struct Output {
    format: OutputFormat,
    result_json: bool,
    result: Map<String, Value>,
    out: Box<dyn Write + Send>,
}

/// A column of a table for people.
pub struct Column {
    /// The header, and the member's name in JSON.
    pub name: &'static str,
    /// Numbers stand right.
    pub right: bool,
}

impl Column {
    /// A column of text.
    pub const fn text(name: &'static str) -> Column {
        Column { name, right: false }
    }

    /// A column of numbers.
    pub const fn number(name: &'static str) -> Column {
        Column { name, right: true }
    }
}

impl Output {
    /// To stdout, in the form asked for or the one that fits.
    pub fn stdout(format: Option<OutputFormat>, result_json: bool) -> Output {
        let stdout = std::io::stdout();
        let fitting = if stdout.is_terminal() { OutputFormat::Human } else { OutputFormat::Json };
        Output::new(format.unwrap_or(fitting), result_json, Box::new(stdout))
    }

    /// To any writer.
    pub fn new(format: OutputFormat, result_json: bool, out: Box<dyn Write + Send>) -> Output {
        Output { format, result_json, result: Map::new(), out }
    }

    /// Asks for JSON whatever was decided before.
    pub fn force_json(&mut self) {
        self.format = OutputFormat::Json;
    }

    /// Is the reader a machine?
    pub fn is_json(&self) -> bool {
        self.format == OutputFormat::Json
    }

    /// A line for people only.
    pub fn say(&mut self, line: impl std::fmt::Display) -> Result<(), Failure> {
        match self.is_json() {
            true => Ok(()),
            false => self.line(&line.to_string()),
        }
    }

    /// One JSON object for machines only.
    pub fn object(&mut self, object: &Value) -> Result<(), Failure> {
        match self.is_json() {
            true => self.line(&object.to_string()),
            false => Ok(()),
        }
    }

    /// Text as it is, whoever reads it.
    pub fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{line}").map_err(|error| Failure::stdout(&error))
    }

    /// A table: aligned for people, one object per row for machines. Null is shown as `-`.
    pub fn table(&mut self, columns: &[Column], rows: &[Vec<Value>]) -> Result<(), Failure> {
        if self.is_json() {
            for row in rows {
                let members = columns.iter().zip(row).map(|(c, v)| (c.name.to_string(), v.clone()));
                self.line(&Value::Object(members.collect()).to_string())?;
            }
            return Ok(());
        }
        for line in align(columns, rows) {
            self.line(&line)?;
        }
        Ok(())
    }

    /// A member of the result object.
    pub fn result(&mut self, name: &str, value: impl Into<Value>) {
        self.result.insert(name.into(), value.into());
    }

    /// Ends the output: the result object where it was asked for.
    pub fn finish(&mut self, exit_code: u8, failure: Option<&Failure>) -> Result<(), Failure> {
        if self.result_json {
            let mut result = std::mem::take(&mut self.result);
            result.insert("exit_code".into(), json!(exit_code));
            if let Some(failure) = failure {
                result.insert("error".into(), failure.json());
            }
            self.line(&Value::Object(result).to_string())?;
        }
        self.out.flush().map_err(|error| Failure::stdout(&error))
    }
}

impl Failure {
    /// Stdout cannot be written.
    pub(crate) fn stdout(error: &std::io::Error) -> Failure {
        let failure =
            Failure::new(ErrorClass::Denied, format!("stdout cannot be written: {error}"));
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => failure.at(READER_GONE),
            _ => failure.at("stdout"),
        }
    }

    /// Did the reader of stdout (`head`, a pager) leave? Then there is nobody to tell.
    pub fn reader_gone(&self) -> bool {
        self.places.first().is_some_and(|place| place == READER_GONE)
    }
}

const READER_GONE: &str = "stdout, closed by its reader";

fn align(columns: &[Column], rows: &[Vec<Value>]) -> Vec<String> {
    let show = |value: &Value| match value {
        Value::Null => "-".to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let cells: Vec<Vec<String>> = std::iter::once(columns.iter().map(|c| c.name.into()).collect())
        .chain(rows.iter().map(|row| row.iter().map(show).collect()))
        .collect();
    let width = |i: usize| {
        cells.iter().filter_map(|row| row.get(i)).map(|c| c.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let pad = |(cell, (column, width)): (&String, (&Column, &usize))| match column.right {
        true => format!("{cell:>width$}"),
        false => format!("{cell:<width$}"),
    };
    cells
        .iter()
        .map(|row| {
            let cells: Vec<String> = row.iter().zip(columns.iter().zip(&widths)).map(pad).collect();
            cells.join("  ").trim_end().to_string()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(format: OutputFormat, result_json: bool, act: impl Fn(&mut Output)) -> String {
        let buffer = Buffer::default();
        act(&mut Output::new(format, result_json, Box::new(buffer.clone())));
        String::from_utf8(std::mem::take(&mut *buffer.0.lock().unwrap())).unwrap()
    }

    fn table(output: &mut Output) {
        let columns = [Column::text("table"), Column::number("rows"), Column::text("head")];
        let rows = [
            vec![json!("raw.vending_health"), json!(1200), Value::Null],
            vec![json!("raw.é"), json!(7), json!("x")],
        ];
        output.table(&columns, &rows).unwrap();
    }

    #[test]
    fn people_get_columns() {
        assert_eq!(
            written(OutputFormat::Human, false, table),
            "table               rows  head\n\
             raw.vending_health  1200  -\n\
             raw.é                  7  x\n"
        );
    }

    #[test]
    fn machines_get_objects() {
        let text = written(OutputFormat::Json, false, table);
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines[0], json!({"table": "raw.vending_health", "rows": 1200, "head": null}));
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn the_result_is_the_last_line() {
        let text = written(OutputFormat::Human, true, |output| {
            output.result("command", "tables");
            table(output);
            output.finish(1, Some(&Failure::new(ErrorClass::BadData, "lost"))).unwrap();
        });
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["command"], "tables");
        assert_eq!(last["exit_code"], 1);
        assert_eq!(last["error"]["error_class"], "bad_data");
    }
}
