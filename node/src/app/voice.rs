//! How something is told to whoever looks on: with progress on a terminal and in colours where they are wanted, plainly elsewhere.

use std::io::{IsTerminal as _, stdout};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The voice of the story.
pub(crate) struct Voice {
    terminal: bool,
    colours: bool,
}

impl Voice {
    /// A voice that knows whom it speaks to.
    pub(crate) fn new() -> Self {
        let terminal = stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { terminal, colours: terminal && !plain }
    }

    /// Begins a chapter.
    pub(crate) fn heading(&self, text: &str) {
        println!("\n{}", self.paint("1;36", text));
    }

    /// Tells something.
    #[expect(clippy::unused_self, reason = "all lines of the story are told by the same voice")]
    pub(crate) fn say(&self, text: &str) {
        println!("  {text}");
    }

    /// Names the columns of what follows.
    pub(crate) fn columns(&self, text: &str) {
        println!("  {}", self.paint("2", text));
    }

    /// Tells something that went well.
    pub(crate) fn good(&self, text: &str) {
        println!("  {}", self.paint("32", text));
    }

    /// Tells something that nobody hopes for.
    pub(crate) fn bad(&self, text: &str) {
        println!("  {}", self.paint("31", text));
    }

    /// A bar that fills up; nothing is shown where there is no terminal.
    pub(crate) fn progress(&self, what: &'static str, length: u64) -> ProgressBar {
        let target =
            if self.terminal { ProgressDrawTarget::stdout() } else { ProgressDrawTarget::hidden() };
        let bar = if self.colours { "{bar:40.cyan/dim}" } else { "{bar:40}" };
        let style =
            ProgressStyle::with_template(&format!("  {bar} {{percent:>3}} % {what}{{msg}}"));
        ProgressBar::with_draw_target(Some(length), target)
            .with_style(style.expect("a template that is right stays so"))
    }

    /// The text in a colour, where there are colours: by its number of ANSI's.
    pub(crate) fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
