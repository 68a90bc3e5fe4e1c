//! Rows as they come, below a heading, while a bar shows how far it is.

use std::io::{IsTerminal as _, stdout};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A table that grows.
pub(crate) struct Table {
    bar: ProgressBar,
    widths: Vec<usize>,
}

impl Table {
    /// Prints the heading. `steps`: how much there is to do until the end.
    pub(crate) fn new(headings: &[&str], steps: u64) -> Self {
        let terminal = stdout().is_terminal();
        let target =
            if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
        let style = style.expect("the template is well formed");
        let bar = ProgressBar::with_draw_target(Some(steps), target).with_style(style);
        let table = Self { bar, widths: headings.iter().map(|heading| heading.len()).collect() };
        table.row(headings);
        table
    }

    /// Prints a row.
    pub(crate) fn row<T: AsRef<str>>(&self, cells: &[T]) {
        let cells = cells.iter().zip(&self.widths);
        let cells: Vec<String> =
            cells.map(|(cell, &width)| format!("{:>width$}", cell.as_ref())).collect();
        self.bar.suspend(|| println!("{}", cells.join("  ")));
    }

    /// Tells what is being done, on the bar only.
    pub(crate) fn doing(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// A step is done.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }

    /// Lets time pass, a step each second.
    pub(crate) fn wait(&self, seconds: u64) {
        (0..seconds).for_each(|_| {
            pause(Duration::from_secs(1));
            self.step();
        });
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Lets time pass.
pub(crate) fn pause(length: Duration) {
    let end = Instant::now() + length;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}
