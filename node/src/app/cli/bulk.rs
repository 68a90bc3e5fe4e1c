//! `driftless cli --load`: commands from a file, sent on without waiting for each answer.
//!
//! One thread reads and sends, the other takes answers. So whoever is slow, the server or the file, nobody waits for
//! somebody who waits for them: answers are always taken, and no more is sent than a few windows ahead of them.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::super::resp::{Answer, Answers, Connection};
use super::super::secure::Link;
use super::cut::{Cutter, What};

/// Bytes of the file that are read, and their commands sent, at a time: a window.
const WINDOW_BYTES: usize = 64 << 10;
/// Windows that may wait for their answers.
const WINDOWS: usize = 4;
/// Errors that are shown.
const MOST_SHOWN: u64 = 10;
const TICK: Duration = Duration::from_millis(100);

/// The commands of one window, each in its line; why, where there is none to be sent.
#[derive(Debug)]
struct Window {
    commands: Vec<(u64, Option<String>)>,
    /// Bytes of the file up to its end.
    until: u64,
}

/// What came of the commands.
#[derive(Debug)]
struct Tally {
    done: u64,
    failed: u64,
    bar: ProgressBar,
}

/// Carries out the commands of a file; `-` is the standard input. The exit code tells whether all went well.
pub(super) fn run(connection: Connection, path: &Path, json: bool) -> ExitCode {
    let begun = Instant::now();
    let file = match open(path) {
        Ok(file) => file,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    };
    let mut tally = Tally { done: 0, failed: 0, bar: bar(&file) };
    let outcome = load(connection, file, &mut tally);
    tally.bar.finish_and_clear();
    if tally.failed > MOST_SHOWN {
        eprintln!("and {} more", tally.failed - MOST_SHOWN);
    }
    if let Err(error) = &outcome {
        eprintln!("Error: {error}");
    }
    let Tally { done, failed, .. } = tally;
    if json {
        println!("{}", json!({"commands": done + failed, "done": done, "failed": failed}));
    } else {
        let seconds = begun.elapsed().as_secs_f64();
        println!("{} commands: {done} done, {failed} failed, in {seconds:.1} s", done + failed);
    }
    if outcome.is_ok() && failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn open(path: &Path) -> io::Result<File> {
    if path.as_os_str() == "-" {
        return Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?));
    }
    File::open(path)
}

/// Fills up by bytes whose commands have been answered; only a terminal shows it.
fn bar(file: &File) -> ProgressBar {
    let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
    let (bar, style) = match length {
        Some(length) => (
            ProgressBar::new(length),
            "{wide_bar} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}{msg}",
        ),
        None => (ProgressBar::no_length(), "{spinner} {bytes}  {bytes_per_sec}{msg}"),
    };
    bar.enable_steady_tick(TICK);
    bar.with_style(ProgressStyle::with_template(style).expect("a template that is right stays so"))
}

fn load(connection: Connection, file: File, tally: &mut Tally) -> io::Result<()> {
    let (sender, mut answers) = connection.split()?;
    let (tell, told) = sync_channel(WINDOWS);
    let reader = std::thread::spawn(move || send(file, sender, &tell));
    for window in told {
        for (line, problem) in window.commands {
            match problem {
                Some(problem) => tally.fail(line, &problem),
                None => tally.take(line, &mut answers)?,
            }
        }
        tally.bar.set_position(window.until);
    }
    // Reached only once the thread has nothing more to tell; one that waits for a file is not waited for.
    reader.join().map_err(|_| io::Error::other("the file could not be read"))?
}

/// Reads and sends window after window.
fn send(mut file: File, mut stream: Link, tell: &SyncSender<Window>) -> io::Result<()> {
    let (mut cutter, mut out, mut until) = (Cutter::default(), Vec::new(), 0);
    let mut bytes = vec![0; WINDOW_BYTES];
    let mut last = false;
    while !last {
        match file.read(&mut bytes)? {
            0 => {
                cutter.end();
                last = true;
            }
            count => {
                cutter.add(&bytes[..count]);
                until += count as u64;
            }
        }
        out.clear();
        let (commands, ended) = window(&mut cutter, &mut out);
        last |= ended;
        let window = Window { commands, until };
        // Told before they are sent, so that their answers are taken while they are. If nobody listens any more, the
        // connection is lost. All that was told earlier has been sent, so its answers come and make room for this.
        if tell.send(window).is_err() {
            return Ok(());
        }
        stream.write_all(&out)?;
    }
    Ok(())
}

/// All commands that are there to be cut off, and whether nothing more is to be.
fn window(cutter: &mut Cutter, out: &mut Vec<u8>) -> (Vec<(u64, Option<String>)>, bool) {
    let mut commands = Vec::new();
    while let Some(cut) = cutter.next(out) {
        match cut.what {
            What::Command => commands.push((cut.line, None)),
            What::Nothing => (),
            What::Wrong(problem) => commands.push((cut.line, Some(problem.to_owned()))),
            What::Broken(problem) => {
                let problem = format!("{problem}: nothing from here on was sent");
                commands.push((cut.line, Some(problem)));
                return (commands, true);
            }
            What::Leave => return (commands, true),
        }
    }
    (commands, false)
}

impl Tally {
    /// Takes the answer to the command of a line.
    fn take(&mut self, line: u64, answers: &mut Answers) -> io::Result<()> {
        match answers.next() {
            Ok(Answer::Error(text)) => self.fail(line, &text),
            Ok(_) => self.done += 1,
            Err(error) => {
                let problem = match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        "the server does not answer".to_owned()
                    }
                    io::ErrorKind::UnexpectedEof => "the server hung up".to_owned(),
                    _ => error.to_string(),
                };
                let text = format!(
                    "line {line}: {problem}; all before it was answered, what follows may have been carried out or not"
                );
                return Err(io::Error::other(text));
            }
        }
        Ok(())
    }

    fn fail(&mut self, line: u64, problem: &str) {
        self.failed += 1;
        if self.failed <= MOST_SHOWN {
            self.bar.suspend(|| eprintln!("line {line}: {problem}"));
        }
        self.bar.set_message(format!("  {} failed", self.failed));
    }
}
