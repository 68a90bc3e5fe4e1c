//! Commands on their way between engines: to whoever leads, and their answers back.

use crate::bytes::Malformed;
use crate::command;
use crate::engine::Turn;
use crate::engine::whole::NO_GROUP;
use crate::entry::Forwarded;
use crate::group::{Arrival, Origin, Request, anyone_tells, writes};
use crate::ids::{GroupId, LaneId, Life, NodeId, Term};
use crate::message::{self, Agreed, Answer, Fate, Forward, Handback, Handoff, Message};
use crate::resp::{Args, ArgsBuffer};

impl Turn<'_> {
    /// A command for a group of this lane: taken by the replica here if it leads, sent on if not, unless its client has
    /// agreed to something else.
    pub(super) fn dispatch(&mut self, id: GroupId, request: &Request<'_>, agreed: Agreed) {
        if agreed != Agreed::default() && self.answer_as_agreed(id, request, agreed) {
            return;
        }
        let (partitions, mut room) = self.engine.split(self.out);
        let Some(partition) = partitions.get_mut(id) else {
            return;
        };
        match &mut partition.group {
            Some(group) if anyone_tells(request) => group.tell_changes(request, &mut room),
            // What waits in the outbox came before.
            Some(group) if group.accepts() && partition.outbox.is_empty() => {
                if writes(request.spec) {
                    group.accept_write(request, &mut room);
                } else {
                    group.accept_read(request, &mut room);
                }
            }
            _ => partition.outbox.accept(id, request, &mut room),
        }
        self.touch(id);
    }

    /// A command of a client of another engine of this node.
    pub(super) fn on_handoff(&mut self, from: LaneId, handoff: &Handoff<'_>) {
        let mut buffer = ArgsBuffer::default();
        let args = buffer.decode(handoff.args).expect("engines of one node are of one mind");
        let Ok(spec) = command::resolve(&args) else {
            unreachable!("the other engine has resolved it");
        };
        if handoff.group == NO_GROUP {
            return self.on_part(from, spec, handoff, &args);
        }
        let Handoff { group, ticket, proto, keyspace, agreed, .. } = *handoff;
        if let Some(told) = self.told_by_hearsay(spec, proto) {
            let handback = Handback { ticket, bytes: &told };
            message::send(&mut self.out.handoffs, u32::from(from.0), &Message::Handback(handback));
            return;
        }
        let origin = Origin::Lane(from, ticket);
        let request = Request { origin, spec, keyspace, proto, args, forwarded: None };
        self.dispatch(group, &request, agreed);
    }

    /// A command of a client of another node.
    pub(super) fn on_forward(
        &mut self,
        from: NodeId,
        forward: &Forward<'_>,
    ) -> Result<(), Malformed> {
        let mut buffer = ArgsBuffer::default();
        let args: Args<'_> = buffer.decode(forward.args)?;
        let spec = command::resolve(&args).map_err(|_| Malformed)?;
        if writes(spec) != forward.write.is_some() {
            return Err(Malformed);
        }
        let (id, number) = (forward.group, forward.id);
        let Forward { term, life, attempt, proto, keyspace, .. } = *forward;
        let origin = Origin::Peer { node: from, life, attempt, id: number };
        let (partitions, mut room) = self.engine.split(self.out);
        let Some(partition) = partitions.get_mut(id) else {
            return Err(Malformed);
        };
        let Some(group) = &mut partition.group else {
            room.not_taken(id, origin, Fate::NotLeader, Term(0), None);
            return Ok(());
        };
        let fate = if !group.accepts() || group.raft.term() != term {
            Fate::NotLeader
        } else if group.busy(room.config) || room.clogged(from) {
            Fate::Busy
        } else {
            Fate::Done
        };
        let (reign, leader) = (group.raft.term(), group.raft.leader());
        let intake = group.intakes.entry(from).or_default();
        match intake.arrive(forward, room.config.bug) {
            Arrival::Next if fate == Fate::Done => intake.take(number),
            Arrival::Next => {
                intake.refuse();
                room.not_taken(id, origin, fate, reign, leader);
                return Ok(());
            }
            Arrival::Gap(first) => {
                let origin = Origin::Peer { node: from, life, attempt, id: first };
                room.not_taken(id, origin, Fate::Gap, reign, leader);
                return Ok(());
            }
            Arrival::Late => return Ok(()),
        }
        let forwarded = forward.write.map(|sequence| Forwarded { node: from, sequence, proto });
        let request = Request { origin, spec, keyspace, proto, args, forwarded };
        if anyone_tells(&request) {
            group.tell_changes(&request, &mut room);
        } else if forwarded.is_some() {
            group.accept_write(&request, &mut room);
        } else {
            group.accept_read(&request, &mut room);
        }
        self.touch(id);
        Ok(())
    }

    /// What became of a command that was forwarded from here.
    pub(super) fn on_answer(&mut self, answer: &Answer<'_>) {
        if answer.life != self.engine.life {
            return;
        }
        if answer.fate == Fate::Outlived {
            // Whatever the bytes are, a later life does no harm.
            let later = answer.bytes.try_into().map_or(answer.life.0, u64::from_le_bytes);
            self.engine.outlived = self.engine.outlived.max(Life(later));
            return;
        }
        let (partitions, mut room) = self.engine.split(self.out);
        if let Some(partition) = partitions.get_mut(answer.group) {
            partition.outbox.on_answer(answer, &mut room);
            self.touch(answer.group);
        }
    }
}
