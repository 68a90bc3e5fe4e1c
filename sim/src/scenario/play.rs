//! Lines into what happens to a world.

use std::collections::BTreeMap;

use driftless_core::GroupId;

use super::Error;
use super::words::{Action, Expectation, Line, Side, Who};
use crate::check::Moment;
use crate::network::Links;
use crate::options::Options;
use crate::queue::{MS, SECOND, Time};
use crate::world::{Stop, World};

/// How long a client's line waits for its answer before the story goes on without it.
const ANSWER_WAIT: Time = SECOND;
/// How long a cluster may take until each of its groups has a leader.
const START: Time = 20 * SECOND;

type Failed = Option<String>;

/// Plays a story; what was not as expected, if anything.
pub(super) fn play(story: &[Line], world: &mut Option<World>) -> Result<Failed, Error> {
    let mut names = BTreeMap::new();
    for line in story {
        let error = |what| Error { line: line.number, what };
        if let Action::Cluster(options) = &line.action {
            if !begin(world, options) {
                return Ok(Some(format!("line {}: a group has no leader", line.number)));
            }
            continue;
        }
        let world = world.as_mut().expect("a story begins with `cluster`");
        world.trace.note(world.now(), format_args!("> {}", line.text));
        let mut stage = Stage { world, names: &mut names };
        let failed = stage.act(&line.action).map_err(error)?;
        if let Some(what) = failed {
            return Ok(Some(format!("line {}: `{}`: {what}", line.number, line.text)));
        }
        if let Some(found) = world.violation() {
            return Ok(Some(found.to_string()));
        }
    }
    let world = world.as_mut().expect("a story begins with `cluster`");
    world.checkers.at_end(Moment(world.now()));
    Ok(None)
}

/// A cluster is there once each of its groups has a leader.
fn begin(world: &mut Option<World>, options: &Options) -> bool {
    let world = world.insert(World::new(Options { trace: true, ..options.clone() }));
    world.start_all();
    let led = |world: &World| world.groups().all(|group| world.leader(group).is_some());
    let there = world.run_while(START, led);
    world.run_until(world.now() + 100 * MS);
    there
}

/// A world, and what a story calls its nodes.
struct Stage<'w> {
    world: &'w mut World,
    names: &'w mut BTreeMap<String, usize>,
}

impl Stage<'_> {
    /// Does what a line says. `Err`: the line asks for something that is not there.
    fn act(&mut self, action: &Action) -> Result<Failed, String> {
        match action {
            Action::Cluster(_) => {}
            Action::Ask { client, at, words } => self.ask(client, at.as_ref(), words, true)?,
            Action::Send { client, at, words } => self.ask(client, at.as_ref(), words, false)?,
            Action::ClusterMode { client } => {
                let client = self.world.named_client(client);
                self.world.in_cluster_mode(client);
            }
            Action::Fill { client, count, bytes } => return self.fill(client, *count, *bytes),
            Action::Name { name, who } => {
                let node = self.node(who)?;
                self.names.insert(name.clone(), node);
                self.note(&format!("{name} is n{}", node + 1));
            }
            Action::Run(span) => self.world.run_until(self.world.now() + span),
            Action::Expect { what, within } => return self.expect(what, *within),
            Action::Heal => self.world.heal_links(),
            Action::Partition(_)
            | Action::Cut { .. }
            | Action::Bridge(_)
            | Action::Flap { .. }
            | Action::Hold { .. }
            | Action::SlowLink(_)
            | Action::Reset { .. }
            | Action::Loss(_)
            | Action::Duplication(_)
            | Action::Reordering(_) => self.links(action)?,
            Action::Crash(_)
            | Action::PowerCut(_)
            | Action::Start(_)
            | Action::Pause(_)
            | Action::Resume(_)
            | Action::Retire(_) => self.processes(action)?,
            Action::Step { .. } | Action::Freeze(_) | Action::Thaw(_) | Action::Drift { .. } => {
                self.clocks(action)?;
            }
            Action::Damage { .. }
            | Action::Copy(_)
            | Action::Stall { .. }
            | Action::SyncError(_)
            | Action::NoSpace(_) => self.disks(action)?,
        }
        Ok(None)
    }

    fn links(&mut self, action: &Action) -> Result<(), String> {
        let nodes = self.world.options.nodes;
        match action {
            Action::Partition(sides) => {
                let links = self.sides(sides)?;
                self.world.cut(links);
            }
            Action::Cut { from, to } => {
                let links = Links::one(self.node(from)?, self.node(to)?);
                self.world.cut(links);
            }
            Action::Bridge(middle) => {
                let middle = self.node(middle)?;
                self.world.cut_bridge(middle);
            }
            Action::Flap { a, b, span } => {
                let links = Links::both(self.node(a)?, self.node(b)?);
                self.world.flap(links, *span);
            }
            Action::Hold { from, to } => {
                let links = Links::one(self.node(from)?, self.node(to)?);
                self.world.hold(links);
            }
            Action::SlowLink(who) => {
                let links = Links::of(self.node(who)?, nodes);
                self.world.slow_down(links);
            }
            Action::Reset { a, b } => {
                let (a, b) = (self.node(a)?, self.node(b)?);
                self.world.break_connection(a, b);
            }
            Action::Loss(parts) => self.world.network_settings().loss = *parts,
            Action::Duplication(parts) => self.world.network_settings().duplication = *parts,
            Action::Reordering(on) => self.world.network_settings().reordering = *on,
            _ => unreachable!("only actions on links come here"),
        }
        Ok(())
    }

    fn processes(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Crash(whos) => self.each(whos, |world, node| world.stop(node, Stop::Killed)),
            Action::PowerCut(whos) => {
                self.each(whos, |world, node| world.stop(node, Stop::PowerCut))
            }
            Action::Start(whos) => self.each(whos, World::start),
            Action::Pause(who) => self.each(std::slice::from_ref(who), World::pause),
            Action::Resume(who) => self.each(std::slice::from_ref(who), World::resume),
            Action::Retire(who) => {
                let node = self.node(who)?;
                self.world.retire_and_restart(node);
                Ok(())
            }
            _ => unreachable!("only actions on processes come here"),
        }
    }

    fn clocks(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Step { who, milliseconds } => {
                let node = self.node(who)?;
                self.world.step_clock(node, *milliseconds);
            }
            Action::Freeze(who) => {
                let node = self.node(who)?;
                self.world.freeze_clock(node, true);
            }
            Action::Thaw(who) => {
                let node = self.node(who)?;
                self.world.freeze_clock(node, false);
            }
            Action::Drift { who, ppm } => {
                let node = self.node(who)?;
                self.world.drift(node, *ppm);
            }
            _ => unreachable!("only actions on clocks come here"),
        }
        Ok(())
    }

    fn disks(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Damage { who, how } => {
                let node = self.node(who)?;
                if self.world.is_up(node) {
                    return Err(format!("n{} runs: damage is met at a start only", node + 1));
                }
                self.world.damage_disk(node, *how);
            }
            Action::Copy(who) => {
                let node = self.node(who)?;
                self.world.copy_disk(node);
            }
            Action::Stall { who, span } => {
                let node = self.node(who)?;
                self.world.stall_disk(node, *span);
            }
            Action::SyncError(who) => {
                let node = self.node(who)?;
                self.world.fail_disk(node, false);
            }
            Action::NoSpace(who) => {
                let node = self.node(who)?;
                self.world.fail_disk(node, true);
            }
            _ => unreachable!("only actions on disks come here"),
        }
        Ok(())
    }

    fn each(&mut self, whos: &[Who], act: impl Fn(&mut World, usize)) -> Result<(), String> {
        let mut nodes = Vec::new();
        for who in whos {
            match who {
                // `all` names more nodes than there are.
                Who::Node(node) if *node >= self.world.options.nodes && whos.len() > 1 => {}
                who => nodes.push(self.node(who)?),
            }
        }
        for node in nodes {
            act(self.world, node);
        }
        self.world.run_until(self.world.now() + 1);
        Ok(())
    }

    fn ask(
        &mut self,
        client: &str,
        at: Option<&Who>,
        words: &[String],
        waits: bool,
    ) -> Result<(), String> {
        let client = self.world.named_client(client);
        let node = match at {
            Some(who) => self.node(who)?,
            None => self.world.connection(client).unwrap_or(self.any_up()?),
        };
        if !self.world.connect(client, node) {
            self.note(&format!("n{} refuses the connection", node + 1));
            return Ok(());
        }
        self.world.told(client);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        self.world.say(client, &words);
        if waits {
            let until = self.world.now() + ANSWER_WAIT;
            self.world.run_while(until, |world| !world.waits(client));
        }
        Ok(())
    }

    fn fill(&mut self, name: &str, count: u64, bytes: usize) -> Result<Failed, String> {
        let client = self.world.named_client(name);
        let node = self.world.connection(client).unwrap_or(self.any_up()?);
        if !self.world.connect(client, node) {
            return Ok(Some("nobody answers".into()));
        }
        self.world.trace.hush(true);
        let mut answered = true;
        for number in 0..count {
            let value = format!("{number:0>bytes$}");
            self.world.say(client, &["SET", &format!("fill{number}"), &value]);
            let until = self.world.now() + 10 * SECOND;
            answered &= self.world.run_while(until, |world| !world.waits(client));
            if !answered {
                break;
            }
        }
        self.world.trace.hush(false);
        Ok((!answered).then(|| "a write was not answered".into()))
    }

    fn sides(&mut self, sides: &[Side]) -> Result<Links, String> {
        let nodes = self.world.options.nodes;
        let mut place = vec![None; nodes];
        for (at, side) in sides.iter().enumerate() {
            if let Side::These(these) = side {
                for who in these {
                    place[self.node(who)?] = Some(at);
                }
            }
        }
        let rest = sides.iter().position(|side| *side == Side::Rest);
        let mut links = Links::NONE;
        for from in 0..nodes {
            for to in 0..nodes {
                let (a, b) = (place[from].or(rest), place[to].or(rest));
                if a.is_none() || b.is_none() {
                    return Err("a partition puts each node on a side".into());
                }
                if a != b {
                    links.add(Links::one(from, to));
                }
            }
        }
        Ok(links)
    }

    fn expect(&mut self, what: &Expectation, within: Time) -> Result<Failed, String> {
        let until = self.world.now() + within;
        Ok(match what {
            Expectation::Converged => {
                self.world.run_while(until, |world| world.unsettled().is_none());
                self.world.unsettled()
            }
            Expectation::Leader { group, who } => {
                let wanted = match who {
                    Some((who, is)) => Some((self.node(who)?, *is)),
                    None => None,
                };
                let group = GroupId(*group);
                let fits = |world: &World| {
                    let leader = world.leader(group);
                    leader.is_some() && wanted.is_none_or(|(node, is)| (leader == Some(node)) == is)
                };
                let there = self.world.run_while(until, fits);
                let leader = self.world.leader(group).map(|node| node + 1);
                (!there).then(|| format!("the leader is {leader:?}"))
            }
            Expectation::Says { client, answer } => {
                let client = self.world.named_client(client);
                self.world.run_while(until, |world| !world.waits(client));
                let told = self.world.last_told(client);
                let fits = told.as_deref().is_some_and(|told| told.starts_with(answer.as_str()));
                (!fits).then(|| format!("it says {told:?}"))
            }
            Expectation::Waits(client) => {
                let client = self.world.named_client(client);
                let told = self.world.last_told(client);
                (!self.world.waits(client)).then(|| format!("it says {told:?}"))
            }
            Expectation::Holds { who, other, liveness } => {
                let (who, other) = (self.node(who)?, self.node(other)?);
                let fits = |world: &World| world.opinion(who, other) == Some(*liveness);
                let there = self.world.run_while(until, fits);
                (!there).then(|| format!("it holds it to be {:?}", self.world.opinion(who, other)))
            }
            Expectation::Seen { text, seen } => {
                let has = |world: &World| world.trace.happened(text);
                if *seen {
                    self.world.run_while(until, has);
                }
                (has(self.world) != *seen).then(|| "the trace says otherwise".to_string())
            }
        })
    }

    fn node(&mut self, who: &Who) -> Result<usize, String> {
        let leader = |group: u32| self.world.leader(GroupId(group));
        let mut others = (0..self.world.options.nodes).filter(|&node| leader(1) != Some(node));
        let found = match who {
            Who::Node(node) => (*node < self.world.options.nodes).then_some(*node),
            Who::Leader(group) => leader(*group),
            Who::Follower => others.next(),
            Who::LastFollower => others.next_back(),
            Who::Named(name) => self.names.get(name).copied(),
        };
        found.ok_or_else(|| format!("there is no such node: {who:?}"))
    }

    fn any_up(&self) -> Result<usize, String> {
        let mut nodes = 0..self.world.options.nodes;
        nodes.find(|&node| self.world.is_up(node)).ok_or_else(|| "no node runs".to_string())
    }

    fn note(&mut self, what: &str) {
        let now = self.world.now();
        self.world.trace.note(now, format_args!("{what}"));
    }
}
