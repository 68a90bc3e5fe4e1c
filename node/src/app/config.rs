//! `driftless config`: settings without a node.

use std::path::Path;

use clap::{Args as _, Command};
use driftless::NodeError;
use driftless::settings::{Flags, Settings};
use driftless::tls::Tls;

/// Checks the settings of a file, as a node would that is given nothing else, and prints what they come to.
pub(crate) fn check(file: &Path) -> Result<(), NodeError> {
    let flags = Flags { config: Some(file.to_owned()), ..Flags::default() };
    let settings = Settings::check(&flags.with_file()?)?;
    Tls::new(&settings)?;
    println!("{}", settings.describe());
    Ok(())
}

/// Prints every setting: its names as flag and variable (its key in a file is that of the flag), and what it is for.
pub(crate) fn list() {
    print!("{}", table());
}

fn table() -> String {
    let command = Flags::augment_args(Command::new("driftless"));
    let mut rows = vec!["| flag | variable | what |\n|-|-|-|\n".to_owned()];
    rows.extend(command.get_arguments().map(|argument| {
        let flag = argument.get_long().unwrap_or_default();
        let variable = argument.get_env().unwrap_or_default().to_string_lossy().into_owned();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        format!("| `--{flag}` | `{variable}` | {help} |\n")
    }));
    rows.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_says_what_it_is_and_has_a_variable() {
        let table = table();
        assert!(table.lines().count() > 30, "{table}");
        for row in table.lines().skip(2) {
            let cells: Vec<_> = row.split(" | ").collect();
            assert!(cells.len() >= 3 && !row.contains("``") && cells[2].len() > 10, "{row}");
        }
        assert!(table.contains("| `--node-num` | `NODE_NUM` | Number of this node"), "{table}");
    }
}
