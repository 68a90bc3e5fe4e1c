//! Text into lines that do something, or an error that names the line.

use driftless_core::Liveness;
use driftless_core::config::Reads;
use driftless_core::time::Span;

use super::Error;
use super::words::{Action, Expectation, Line, Side, Who};
use crate::disk::Damage;
use crate::network::MOST_NODES;
use crate::options::Options;
use crate::queue::{MS, SECOND, Time};

type Parsed<T> = Result<T, String>;

/// How long an expectation is waited for, unless the story says otherwise.
const PATIENCE: Time = 10 * SECOND;

/// Parses a whole story.
pub(super) fn parse(text: &str) -> Result<Vec<Line>, Error> {
    let mut lines = Vec::new();
    let mut names = Vec::new();
    for (at, whole) in text.lines().enumerate() {
        let number = at + 1;
        let text = whole.split('#').next().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        let error = |what| Error { line: number, what };
        let action =
            Parser { words: tokens(text), at: 0, names: &names }.line(text).map_err(error)?;
        let first = lines.is_empty();
        if first != matches!(action, Action::Cluster(_)) {
            let what = if first { "a story begins with `cluster`" } else { "a second `cluster`" };
            return Err(error(what.to_string()));
        }
        if let Action::Name { name, .. } = &action {
            names.push(name.clone());
        }
        lines.push(Line { number, text: text.to_string(), action });
    }
    if lines.is_empty() {
        return Err(Error { line: 1, what: "a story without a line".into() });
    }
    Ok(lines)
}

/// Words, with `|` and `:` on their own.
fn tokens(text: &str) -> Vec<String> {
    text.replace('|', " | ").split_whitespace().map(ToString::to_string).collect()
}

struct Parser<'n> {
    words: Vec<String>,
    at: usize,
    names: &'n [String],
}

impl Parser<'_> {
    fn line(mut self, text: &str) -> Parsed<Action> {
        let verb = self.word()?;
        let action = match verb.as_str() {
            "cluster" => Action::Cluster(Box::new(self.cluster()?)),
            "client" | "send" => return self.command(text, verb == "client"),
            "cluster-mode" => Action::ClusterMode { client: self.word()? },
            "fill" => self.fill()?,
            "name" => {
                let name = self.word()?;
                self.expect("=")?;
                Action::Name { name, who: self.who()? }
            }
            "partition" => Action::Partition(self.sides()?),
            "expect" => self.expectation()?,
            "heal" => Action::Heal,
            "run" => Action::Run(span(&self.word()?)?),
            _ => self.fault(&verb)?,
        };
        self.end()?;
        Ok(action)
    }

    /// Lines about links, processes, clocks and disks.
    fn fault(&mut self, verb: &str) -> Parsed<Action> {
        Ok(match verb {
            "cut" => Action::Cut { from: self.who()?, to: self.arrow("->")? },
            "hold" => Action::Hold { from: self.who()?, to: self.arrow("->")? },
            "bridge" => Action::Bridge(self.who()?),
            "flap" => {
                let (a, b) = (self.who()?, self.arrow("<->")?);
                Action::Flap { a, b, span: span(&self.word()?)? }
            }
            "slow" => Action::SlowLink(self.who()?),
            "reset" => Action::Reset { a: self.who()?, b: self.arrow("<->")? },
            "loss" => Action::Loss(percent(&self.word()?)?),
            "duplication" => Action::Duplication(percent(&self.word()?)?),
            "reordering" => Action::Reordering(on_off(&self.word()?)?),
            "crash" => Action::Crash(self.whos()?),
            "power-cut" => Action::PowerCut(self.whos()?),
            "restart" => Action::Start(self.whos()?),
            "pause" => Action::Pause(self.who()?),
            "resume" => Action::Resume(self.who()?),
            "retire" => Action::Retire(self.who()?),
            "clock" => self.clock()?,
            "drift" => {
                let who = self.who()?;
                let word = self.word()?;
                let digits = word.strip_suffix("ppm").ok_or("a drift ends in ppm")?;
                let ppm = digits.parse().map_err(|_| format!("`{word}` is no drift"))?;
                if ppm <= -1_000_000 {
                    return Err("a clock does not run back".into());
                }
                Action::Drift { who, ppm }
            }
            "disk" => self.disk()?,
            other => return Err(format!("nobody knows how to `{other}`")),
        })
    }

    fn cluster(&mut self) -> Parsed<Options> {
        let mut options = Options::quiet(1, 3);
        while self.at < self.words.len() {
            let word = self.word()?;
            let (name, value) =
                word.split_once('=').ok_or_else(|| format!("`{word}` is not name=value"))?;
            setting(&mut options, name, value)?;
        }
        options.factor = options.factor.min(options.nodes);
        Ok(options)
    }

    fn command(mut self, text: &str, waits: bool) -> Parsed<Action> {
        let (head, command) = text.split_once(':').ok_or("a `:` goes before the command")?;
        self.words = tokens(head);
        self.at = 1;
        let client = self.word()?;
        let at = if self.optional("at") { Some(self.who()?) } else { None };
        self.end()?;
        let words: Vec<_> = command.split_whitespace().map(ToString::to_string).collect();
        if words.is_empty() {
            return Err("a command has at least a name".into());
        }
        Ok(if waits {
            Action::Ask { client, at, words }
        } else {
            Action::Send { client, at, words }
        })
    }

    fn fill(&mut self) -> Parsed<Action> {
        let client = self.word()?;
        let count = number(&self.word()?)?;
        self.expect("keys")?;
        self.expect("of")?;
        let bytes = number(&self.word()?)? as usize;
        self.expect("bytes")?;
        Ok(Action::Fill { client, count, bytes })
    }

    fn sides(&mut self) -> Parsed<Vec<Side>> {
        let mut sides = Vec::new();
        loop {
            if self.optional("rest") {
                sides.push(Side::Rest);
            } else {
                let mut these = vec![self.who()?];
                while self.at < self.words.len() && self.words[self.at] != "|" {
                    these.push(self.who()?);
                }
                sides.push(Side::These(these));
            }
            if !self.optional("|") {
                break;
            }
        }
        if sides.len() < 2 {
            return Err("a partition has at least two sides: `n1 | n2 n3`".into());
        }
        Ok(sides)
    }

    fn clock(&mut self) -> Parsed<Action> {
        let who = self.who()?;
        let word = self.word()?;
        Ok(match word.as_str() {
            "freeze" => Action::Freeze(who),
            "thaw" => Action::Thaw(who),
            step => {
                let (sign, rest) = match (step.strip_prefix('+'), step.strip_prefix('-')) {
                    (Some(rest), _) => (1, rest),
                    (_, Some(rest)) => (-1, rest),
                    _ => return Err(format!("`{step}` is neither +5s, -5s, freeze nor thaw")),
                };
                Action::Step { who, milliseconds: sign * (span(rest)? / MS) as i64 }
            }
        })
    }

    fn disk(&mut self) -> Parsed<Action> {
        let who = self.who()?;
        let word = self.word()?;
        let mut all = Damage::ALL.into_iter().chain(Damage::WHOLE);
        if let Some(how) = all.find(|how| how.name() == word) {
            return Ok(Action::Damage { who, how });
        }
        Ok(match word.as_str() {
            "stall" => Action::Stall { who, span: span(&self.word()?)? },
            "copy" => Action::Copy(who),
            "sync-error" => Action::SyncError(who),
            "no-space" => Action::NoSpace(who),
            other => return Err(format!("no disk knows how to `{other}`")),
        })
    }

    fn expectation(&mut self) -> Parsed<Action> {
        let word = self.word()?;
        let what = match word.as_str() {
            "converged" => Expectation::Converged,
            "leader" => {
                let group = self.group().unwrap_or(1);
                let who = if self.optional("is") {
                    let other = self.optional("not");
                    Some((self.who()?, !other))
                } else {
                    None
                };
                Expectation::Leader { group, who }
            }
            "seen" | "unseen" => {
                let text = self.until_within();
                Expectation::Seen { text, seen: word == "seen" }
            }
            client if self.peek() == Some("says") => {
                self.at += 1;
                let answer = self.until_within();
                Expectation::Says { client: client.to_string(), answer }
            }
            client if self.peek() == Some("waits") => {
                self.at += 1;
                Expectation::Waits(client.to_string())
            }
            _ => {
                self.at -= 1;
                let who = self.who()?;
                self.expect("holds")?;
                let other = self.who()?;
                Expectation::Holds { who, other, liveness: liveness(&self.word()?)? }
            }
        };
        let within = if self.optional("within") { span(&self.word()?)? } else { PATIENCE };
        Ok(Action::Expect { what, within })
    }

    fn until_within(&mut self) -> String {
        let mut text: Vec<&str> = Vec::new();
        while self.at < self.words.len() && self.words[self.at] != "within" {
            text.push(&self.words[self.at]);
            self.at += 1;
        }
        text.join(" ")
    }

    fn who(&mut self) -> Parsed<Who> {
        let word = self.word()?;
        if let Some(node) = word.strip_prefix('n').and_then(|digits| digits.parse::<usize>().ok()) {
            let node = node.checked_sub(1).ok_or("nodes count from n1")?;
            return Ok(Who::Node(node));
        }
        match word.as_str() {
            "leader" => Ok(Who::Leader(self.group().unwrap_or(1))),
            "follower" => Ok(Who::Follower),
            "last-follower" => Ok(Who::LastFollower),
            name if self.names.iter().any(|known| known == name) => Ok(Who::Named(word)),
            other => Err(format!("`{other}` is no node")),
        }
    }

    fn whos(&mut self) -> Parsed<Vec<Who>> {
        if self.optional("all") {
            return Ok((0..MOST_NODES).map(Who::Node).collect());
        }
        let mut whos = vec![self.who()?];
        while self.at < self.words.len() {
            whos.push(self.who()?);
        }
        Ok(whos)
    }

    fn arrow(&mut self, arrow: &str) -> Parsed<Who> {
        self.expect(arrow)?;
        self.who()
    }

    fn group(&mut self) -> Option<u32> {
        let group = self.peek()?.strip_prefix('g')?.parse().ok()?;
        self.at += 1;
        Some(group)
    }

    fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    fn word(&mut self) -> Parsed<String> {
        let word = self.words.get(self.at).ok_or("the line ends too early")?;
        self.at += 1;
        Ok(word.clone())
    }

    fn optional(&mut self, word: &str) -> bool {
        let there = self.peek() == Some(word);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, word: &str) -> Parsed<()> {
        if self.optional(word) {
            return Ok(());
        }
        let found = self.peek().unwrap_or("the end of the line");
        Err(format!("`{word}` was expected instead of `{found}`"))
    }

    fn end(&self) -> Parsed<()> {
        self.peek().map_or(Ok(()), |word| Err(format!("`{word}` is too much")))
    }
}

fn setting(options: &mut Options, name: &str, value: &str) -> Parsed<()> {
    let limits = &mut options.limits;
    let timing = &mut options.timing;
    let nanos = || span(value).map(Span);
    match name {
        "nodes" => {
            options.nodes = number(value)? as usize;
            options.factor = options.nodes;
            if !(1..=MOST_NODES).contains(&options.nodes) {
                return Err(format!("a world has 1 to {MOST_NODES} nodes"));
            }
        }
        "seed" => options.seed = number(value)?,
        "factor" => options.factor = number(value)?.max(1) as usize,
        "partitions" => options.partitions = number(value)?.max(1) as u32,
        "lanes" => options.lanes = number(value)?.clamp(1, 8) as u8,
        "reads" => {
            options.reads = match value {
                "lease" => Reads::Lease,
                "quorum" => Reads::Quorum,
                other => return Err(format!("reads are lease or quorum, not `{other}`")),
            };
        }
        "append_bytes" => limits.append_bytes = number(value)? as usize,
        "segment_bytes" => limits.segment_bytes = number(value)?,
        "wal_bytes" => limits.wal_bytes = number(value)?,
        "log_bytes" => limits.log_bytes = number(value)? as usize,
        "chunk_bytes" => limits.chunk_bytes = number(value)? as usize,
        "election_spread" => timing.election_spread = nanos()?,
        "patience" => timing.patience = nanos()?,
        "max_staleness" => timing.max_staleness = nanos()?,
        "disk_stall" => timing.disk_stall = nanos()?,
        "scrub_every" => timing.scrub_every = nanos()?,
        "lead_back_after" => timing.lead_back_after = nanos()?,
        "clock_error" => timing.clock_error_ms = nanos()?.as_millis(),
        "probe_every" => options.gossip.probe_every = nanos()?,
        "probe_timeout" => options.gossip.probe_timeout = nanos()?,
        "latency" => options.network.latency = span(value)?,
        "disk_latency" => options.disk.latency = span(value)?,
        other => return Err(format!("`{other}` is no setting of a cluster")),
    }
    Ok(())
}

fn number(word: &str) -> Parsed<u64> {
    word.parse().map_err(|_| format!("`{word}` is no number"))
}

fn percent(word: &str) -> Parsed<u64> {
    let digits = word.strip_suffix('%').ok_or_else(|| format!("`{word}` is no percentage"))?;
    let percent = number(digits)?;
    if percent > 100 { Err("more than all".into()) } else { Ok(percent * 100) }
}

fn on_off(word: &str) -> Parsed<bool> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(format!("`{other}` is neither on nor off")),
    }
}

fn span(word: &str) -> Parsed<Time> {
    let units = [("ms", MS), ("us", 1_000), ("s", SECOND)];
    units
        .iter()
        .find_map(|(unit, length)| {
            word.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*length)
        })
        .ok_or_else(|| format!("`{word}` is no span of time: 250ms, 6s"))
}

fn liveness(word: &str) -> Parsed<Liveness> {
    match word {
        "alive" => Ok(Liveness::Alive),
        "suspect" => Ok(Liveness::Suspect),
        "dead" => Ok(Liveness::Dead),
        "left" => Ok(Liveness::Left),
        other => Err(format!("`{other}` is neither alive, suspect, dead nor left")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_line_and_what_is_wrong_with_it() {
        let check = |text: &str, line: usize, what: &str| {
            let error = parse(text).expect_err(text);
            assert_eq!((error.line, error.what.as_str()), (line, what), "{text}");
        };
        check("", 1, "a story without a line");
        check("# only this\n\nheal", 3, "a story begins with `cluster`");
        check("cluster nodes=3\ncluster", 2, "a second `cluster`");
        check("cluster nodes=9", 1, "a world has 1 to 8 nodes");
        check("cluster nodes", 1, "`nodes` is not name=value");
        check("cluster size=3", 1, "`size` is no setting of a cluster");
        check("cluster\nrun 6", 2, "`6` is no span of time: 250ms, 6s");
        check("cluster\ncrash x1", 2, "`x1` is no node");
        check("cluster\ncrash n0", 2, "nodes count from n1");
        check("cluster\npartition n1 n2", 2, "a partition has at least two sides: `n1 | n2 n3`");
        check("cluster\ncut n1 n2", 2, "`->` was expected instead of `n2`");
        check("cluster\nheal all", 2, "`all` is too much");
        check("cluster\nclient c1 SET a 1", 2, "a `:` goes before the command");
        check("cluster\ndance n1", 2, "nobody knows how to `dance`");
        check("cluster\ndisk n1 melt", 2, "no disk knows how to `melt`");
        check("cluster\nclock n1 5s", 2, "`5s` is neither +5s, -5s, freeze nor thaw");
        check(
            "cluster\nexpect n1 holds n2 ill",
            2,
            "`ill` is neither alive, suspect, dead nor left",
        );
    }

    #[test]
    fn names_are_known_from_their_line_on() {
        assert!(parse("cluster\nname old = leader g1\ncrash old").is_ok());
        assert!(parse("cluster\ncrash old\nname old = leader").is_err());
    }

    #[test]
    fn commands_keep_their_words_and_settings_their_units() {
        let story =
            parse("cluster nodes=5 patience=500ms\nclient c1 at n2: SET a |b|").expect("it parses");
        let Action::Cluster(options) = &story[0].action else { panic!() };
        assert_eq!((options.nodes, options.factor), (5, 5));
        assert_eq!(options.timing.patience, Span::millis(500));
        let Action::Ask { client, at, words } = &story[1].action else { panic!() };
        assert_eq!((client.as_str(), at), ("c1", &Some(Who::Node(1))));
        assert_eq!(words, &["SET", "a", "|b|"]);
    }
}
