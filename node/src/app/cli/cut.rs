//! Cuts a file into commands: lines as a person types them, or arrays as a server takes them, in pieces of any size.

use driftless::answer::put_command;
use driftless_core::resp::{ArgsBuffer, Parsed, parse_more};

/// Bytes of one command: the server takes no more either.
const MOST_BYTES: usize = 64 << 20;

/// A file that is cut up.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    bytes: Vec<u8>,
    /// How many of them are done with.
    taken: usize,
    /// How many of those behind have no end of a line among them.
    searched: usize,
    /// Ends of lines that are done with.
    lines: u64,
    ended: bool,
    /// How far an array has been looked at.
    args: ArgsBuffer,
}

/// What was cut off.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The line of the file that it begins in, from 1.
    pub(super) line: u64,
    /// What it is.
    pub(super) what: What,
}

/// What may be cut off.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A command, now in the buffer that was given.
    Command,
    /// Nothing that is answered: an empty line, or an array without a command.
    Nothing,
    /// Not a command; what follows may be one.
    Wrong(&'static str),
    /// Not a command, and where the next one would begin cannot be known.
    Broken(String),
    /// A line that says to go no further.
    Leave,
}

impl Cutter {
    /// Adds what comes next in the file.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        assert!(!self.ended, "nothing follows the end");
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Nothing follows.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Cuts the next command off and puts it into `out`; `None` if it is not all there yet, or nothing is left.
    pub(super) fn next(&mut self, out: &mut Vec<u8>) -> Option<Cut> {
        let line = self.lines + 1;
        let what = match self.bytes.get(self.taken)? {
            b'*' => self.array(out)?,
            _ => self.line(out)?,
        };
        Some(Cut { line, what })
    }

    /// An array of bulk strings, passed on as it is.
    fn array(&mut self, out: &mut Vec<u8>) -> Option<What> {
        let rest = &self.bytes[self.taken..];
        match parse_more(rest, &mut self.args, MOST_BYTES) {
            Ok(Parsed::Command { used }) => {
                let is_empty = self.args.args(rest).is_empty();
                if !is_empty {
                    out.extend_from_slice(&rest[..used]);
                }
                self.args.clear();
                self.take(used);
                Some(if is_empty { What::Nothing } else { What::Command })
            }
            Ok(Parsed::Incomplete { .. }) if !self.ended => None,
            Ok(Parsed::Incomplete { .. }) => Some(What::Broken("the file ends within it".into())),
            Err(error) => Some(What::Broken(error.to_string())),
        }
    }

    /// The words of a line.
    fn line(&mut self, out: &mut Vec<u8>) -> Option<What> {
        let rest = &self.bytes[self.taken..];
        let found = rest[self.searched..].iter().position(|&byte| byte == b'\n');
        let (length, used) = match found {
            Some(at) => (self.searched + at, self.searched + at + 1),
            None if self.ended => (rest.len(), rest.len()),
            None if rest.len() > MOST_BYTES => {
                return Some(What::Broken(format!("longer than {} MB", MOST_BYTES >> 20)));
            }
            None => {
                self.searched = rest.len();
                return None;
            }
        };
        let words = super::split(&rest[..length]);
        self.take(used);
        Some(match words {
            None => What::Wrong("Invalid argument(s)"),
            Some(words) if words.is_empty() => What::Nothing,
            Some(words) if super::is_leave(&words) => What::Leave,
            Some(words) => {
                put_command(out, &words);
                What::Command
            }
        })
    }

    fn take(&mut self, used: usize) {
        let taken = &self.bytes[self.taken..self.taken + used];
        self.lines += taken.split(|&byte| byte == b'\n').skip(1).count() as u64;
        self.taken += used;
        self.searched = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that is cut out of a file that comes in pieces of so many bytes, and all that is to be sent.
    fn cut(file: &[u8], piece: usize) -> (Vec<Cut>, Vec<u8>) {
        let (mut cutter, mut cuts, mut out) = (Cutter::default(), Vec::new(), Vec::new());
        for piece in file.chunks(piece) {
            cutter.add(piece);
            cuts.extend(std::iter::from_fn(|| cutter.next(&mut out)));
        }
        cutter.end();
        loop {
            let Some(cut) = cutter.next(&mut out) else { return (cuts, out) };
            let broken = matches!(cut.what, What::Broken(_));
            cuts.push(cut);
            if broken {
                return (cuts, out);
            }
        }
    }

    fn check(file: &[u8], cuts: &[(u64, What)], sent: &[u8]) {
        for piece in 1..=file.len() {
            let (found, out) = cut(file, piece);
            let found = found.into_iter().filter(|cut| cut.what != What::Nothing);
            let found: Vec<_> = found.map(|cut| (cut.line, cut.what)).collect();
            assert_eq!(found, cuts, "in pieces of {piece}");
            assert_eq!(out, sent, "in pieces of {piece}");
        }
    }

    #[test]
    fn lines_are_commands() {
        let cuts = [
            (1, What::Command),
            (4, What::Wrong("Invalid argument(s)")),
            (5, What::Command),
            (6, What::Leave),
            (7, What::Command),
        ];
        let sent = b"*2\r\n$3\r\nget\r\n$1\r\na\r\n*1\r\n$2\r\n\xff\n\r\n*1\r\n$4\r\nping\r\n";
        check(b"get a\r\n\n  \nset \"a\n\"\xff\\n\"\nQUIT\nping", &cuts, sent);
    }

    #[test]
    fn arrays_are_passed_on() {
        let file = b"*2\r\n$3\r\nget\r\n$3\r\na\nb\r\nping\n*1\r\n$4\r\nping\r\n";
        let cuts = [(1, What::Command), (7, What::Command), (8, What::Command)];
        let sent = b"*2\r\n$3\r\nget\r\n$3\r\na\nb\r\n*1\r\n$4\r\nping\r\n*1\r\n$4\r\nping\r\n";
        check(file, &cuts, sent);
    }

    #[test]
    fn an_array_of_nothing_is_nothing() {
        check(b"*0\r\n*1\r\n$4\r\nping\r\n*-1\r\n", &[(2, What::Command)], b"*1\r\n$4\r\nping\r\n");
    }

    #[test]
    fn an_array_that_is_not_whole_is_the_last_thing() {
        let ends = What::Broken("the file ends within it".to_owned());
        check(b"ping\n*1\r\n$4\r\npi", &[(1, What::Command), (2, ends)], b"*1\r\n$4\r\nping\r\n");
    }
}
