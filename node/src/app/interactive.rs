//! `serve --interactive`: asks for what every node must be told, for who starts one by hand.

use std::io::{self, BufRead, Write};

use driftless::NodeError;
use driftless::settings::{Flags, Settings};

/// Asks until the answers fit together; what is answered with nothing stays as it is.
pub(crate) fn ask(
    flags: Flags,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<Flags> {
    let mut flags = flags;
    loop {
        let total = flags.total_nodes.unwrap_or(3);
        let node = number("Node number", flags.node_num.unwrap_or(1), input, output)?;
        let total = number("Total nodes", total, input, output)?;
        let factor = flags.replication_factor.unwrap_or_else(|| total.min(3));
        let factor = number("Replication factor", factor, input, output)?;
        flags.node_num = Some(node);
        flags.total_nodes = Some(total);
        flags.replication_factor = Some(factor);
        match Settings::check(&flags) {
            Err(NodeError::Setting { name, problem }) if ASKED.contains(&name) => {
                writeln!(output, "{name}: {problem}")?;
            }
            // Anything else is not for these questions to mend.
            _ => return Ok(flags),
        }
    }
}

/// The settings that are asked for.
const ASKED: [&str; 3] = ["node-num", "total-nodes", "replication-factor"];

fn number(
    what: &str,
    usual: u32,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<u32> {
    loop {
        write!(output, "{what} [{usual}]: ")?;
        output.flush()?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            let problem = format!("nobody answers the question for the {}", what.to_lowercase());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, problem));
        }
        match line.trim() {
            "" => return Ok(usual),
            text => match text.parse() {
                Ok(number) => return Ok(number),
                Err(_) => writeln!(output, "{text:?} is not a number")?,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(lines: &str) -> (io::Result<Flags>, String) {
        let mut said = Vec::new();
        let flags = ask(Flags::default(), &mut lines.as_bytes(), &mut said);
        (flags, String::from_utf8(said).unwrap())
    }

    #[test]
    fn answers_become_settings() {
        let (flags, said) = answered("2\n5\n\n");
        let flags = flags.unwrap();
        let told = (flags.node_num, flags.total_nodes, flags.replication_factor);
        assert_eq!(told, (Some(2), Some(5), Some(3)));
        assert_eq!(said, "Node number [1]: Total nodes [3]: Replication factor [3]: ");
    }

    #[test]
    fn what_does_not_fit_is_said_and_asked_again() {
        let (flags, said) = answered("one\n1\n2\n3\n1\n2\n2\n");
        assert_eq!(flags.unwrap().replication_factor, Some(2));
        assert!(said.contains("\"one\" is not a number"), "{said}");
        assert!(said.contains("replication-factor: 3 copies do not fit on 2 nodes"), "{said}");
    }

    #[test]
    fn an_input_that_ends_is_an_error() {
        let (flags, _) = answered("1\n");
        assert!(flags.unwrap_err().to_string().contains("total nodes"));
    }
}
