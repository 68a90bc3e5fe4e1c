//! Where lines come from: an editor with history, completion and hints on a terminal, plain lines otherwise.

use std::borrow::Cow;
use std::io::{self, BufRead as _, IsTerminal as _, StdinLock};
use std::path::PathBuf;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};

/// Lines that are remembered.
const MOST_HISTORY: usize = 1_000;

/// A word that a line may begin with, and what may follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// In lower case.
    pub(crate) name: String,
    /// What may follow, for a hint.
    pub(crate) usage: String,
}

/// Finds names that begin with what was typed.
pub(crate) type Names = Box<dyn Fn(&str) -> Vec<String>>;

/// Where lines come from.
pub(crate) enum Prompt {
    /// A terminal.
    Terminal { text: String, editor: Box<Editor<Assistant, FileHistory>>, history: Option<PathBuf> },
    /// A pipe or a file.
    Pipe(io::Lines<StdinLock<'static>>),
}

/// Helps while a line is typed.
pub(crate) struct Assistant {
    words: Vec<Word>,
    names: Names,
}

impl Prompt {
    /// Asks with `text`; lines may begin with `words`, and name what `names` finds.
    pub(crate) fn new(text: &str, words: Vec<Word>, names: Names) -> Self {
        if io::stdin().is_terminal()
            && let Ok(editor) = editor(words, names)
        {
            let history = history_file();
            let mut editor = Box::new(editor);
            if let Some(path) = &history {
                // There is none the first time.
                let _ = editor.load_history(path);
            }
            return Self::Terminal { text: text.to_owned(), editor, history };
        }
        Self::Pipe(io::stdin().lock().lines())
    }

    /// Whether somebody types.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal { .. })
    }

    /// The next line, until there is none.
    pub(crate) fn line(&mut self) -> Option<String> {
        match self {
            Self::Pipe(lines) => lines.next()?.ok(),
            Self::Terminal { text, editor, history } => loop {
                match editor.readline(text) {
                    Ok(line) => {
                        // Passwords are not written down.
                        if !tells_password(&line) {
                            let _ = editor.add_history_entry(&line);
                            if let Some(path) = history {
                                let _ = editor.save_history(path);
                            }
                        }
                        return Some(line);
                    }
                    // Ctrl-C gives a line up.
                    Err(ReadlineError::Interrupted) => (),
                    Err(_) => return None,
                }
            },
        }
    }
}

fn editor(words: Vec<Word>, names: Names) -> rustyline::Result<Editor<Assistant, FileHistory>> {
    let config = Config::builder().max_history_size(MOST_HISTORY)?.auto_add_history(false).build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(Assistant { words, names }));
    Ok(editor)
}

fn history_file() -> Option<PathBuf> {
    let named = std::env::var_os("DRIFTLESS_HISTORY").map(PathBuf::from);
    named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".driftless_history")))
}

impl Helper for Assistant {}
impl Validator for Assistant {}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = &line[..at];
        let start = typed.rfind(char::is_whitespace).map_or(0, |space| space + 1);
        let begun = &typed[start..];
        let found: Vec<String> = if typed[..start].trim().is_empty() {
            let begun = begun.to_ascii_lowercase();
            let known = self.words.iter().filter(|word| word.name.starts_with(&begun));
            known.map(|word| word.name.clone()).collect()
        } else {
            (self.names)(begun)
        };
        let pair = |name: String| Pair { display: name.clone(), replacement: name };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, at: usize, _context: &Context<'_>) -> Option<String> {
        hint(&self.words, &line[..at]).filter(|_| at == line.len())
    }
}

/// What may still follow a line that was begun: the words of the usage that were not typed yet.
fn hint(words: &[Word], line: &str) -> Option<String> {
    if !line.ends_with(' ') {
        return None;
    }
    let mut typed = line.split_whitespace();
    let name = typed.next()?.to_ascii_lowercase();
    let word = words.iter().find(|word| word.name == name)?;
    let left: Vec<_> = word.usage.split_whitespace().skip(typed.count()).collect();
    (!left.is_empty()).then(|| left.join(" "))
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[2m{hint}\x1b[0m"))
    }
}

/// Whether a line may hold a password.
fn tells_password(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let mut words = lower.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
    match words.next() {
        Some("auth" | "hello") => true,
        Some("acl") => words.next() == Some("setuser"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_says_what_is_still_to_come() {
        let usage = "key value [NX|XX]".to_owned();
        let words = [Word { name: "set".to_owned(), usage }];
        for (line, expected) in [
            ("set ", Some("key value [NX|XX]")),
            ("SET a ", Some("value [NX|XX]")),
            ("set a 1 NX ", None),
            ("set", None),
            ("fly ", None),
            (" ", None),
        ] {
            assert_eq!(hint(&words, line).as_deref(), expected, "{line:?}");
        }
    }

    #[test]
    fn lines_with_passwords_are_known() {
        for line in
            ["AUTH x", " auth a b", "HELLO 3 AUTH a b", "acl  SetUser bob >x", "\"acl\"\tsetuser"]
        {
            assert!(tells_password(line), "{line}");
        }
        for line in ["", "GET auth", "ACL LIST", "author"] {
            assert!(!tells_password(line), "{line}");
        }
    }
}
