//! How the story is told: with colours and progress on a terminal, plainly elsewhere.

use std::io::{IsTerminal as _, stdout};

use indicatif::{ProgressBar, ProgressDrawTarget};

/// The voice of the story.
pub(super) struct Voice {
    terminal: bool,
}

impl Voice {
    /// A voice that knows whom it speaks to.
    pub(super) fn new() -> Self {
        Self { terminal: stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    /// Begins a chapter.
    pub(super) fn heading(&self, text: &str) {
        println!("\n{}", self.paint("1", text));
    }

    /// Tells something.
    #[expect(clippy::unused_self, reason = "all lines of the story are told by the same voice")]
    pub(super) fn say(&self, text: &str) {
        println!("  {text}");
    }

    /// Tells something that went well.
    pub(super) fn good(&self, text: &str) {
        println!("  {}", self.paint("32", text));
    }

    /// A bar that fills up; nothing is shown where there is no terminal.
    pub(super) fn progress(&self, length: u64) -> ProgressBar {
        let target =
            if self.terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        ProgressBar::with_draw_target(Some(length), target)
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.terminal { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
