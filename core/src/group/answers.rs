//! What became of forwarded writes: so that one that is sent again, to whichever leader, is applied
//! once. Part of the replicated state (as in RIFL, SOSP 2015): same on every replica, carried by images.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::bytes::{Malformed, Reader, put_bytes, put_u32, put_u64};
use crate::ids::{Life, NodeId};
use crate::message::Sequence;

/// The answers of one group, by forwarding node.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    streams: BTreeMap<NodeId, Stream>,
}

/// What one run of a node has forwarded.
#[derive(Debug, Default)]
struct Stream {
    life: Life,
    /// The last write applied; they are applied in order.
    last: u64,
    /// Lengths of the answers to the writes up to `last` that are not settled yet, oldest first.
    lengths: VecDeque<u32>,
    bytes: VecDeque<u8>,
}

/// What to do with a forwarded write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Apply it, then [`Answers::record`] the answer.
    Fresh,
    /// It was applied before: [`Answers::answer`] may still know the answer.
    Repeated,
    /// An earlier one is missing: it is not applied.
    Refused,
    /// A later life of its sender, this one, has written before: it is not applied.
    Outlived(Life),
}

impl Answers {
    /// Judges a write, in the order of the log, and forgets what its sender has settled.
    pub(crate) fn judge(&mut self, node: NodeId, sequence: Sequence) -> Verdict {
        let stream = self.streams.entry(node).or_default();
        if sequence.life < stream.life {
            return Verdict::Outlived(stream.life);
        }
        if sequence.life > stream.life {
            *stream = Stream { life: sequence.life, ..Stream::default() };
        }
        stream.settle(sequence.settled);
        if sequence.number <= stream.last {
            return Verdict::Repeated;
        }
        if sequence.number > stream.last.max(sequence.settled) + 1 {
            return Verdict::Refused;
        }
        Verdict::Fresh
    }

    /// Keeps the answer to a fresh write.
    pub(crate) fn record(&mut self, node: NodeId, sequence: Sequence, answer: &[u8]) {
        let stream = self.streams.get_mut(&node).expect("it was judged before");
        if sequence.number > stream.last + 1 {
            // The writes between were settled without being applied here.
            assert!(sequence.settled + 1 >= sequence.number, "writes are applied in order");
            stream.lengths.clear();
            stream.bytes.clear();
        }
        stream.last = sequence.number;
        stream.lengths.push_back(answer.len() as u32);
        stream.bytes.extend(answer);
    }

    /// The answer to a write that was applied before, if it is not settled.
    pub(crate) fn answer(&self, node: NodeId, sequence: Sequence) -> Option<Vec<u8>> {
        let stream = self.streams.get(&node).filter(|stream| stream.life == sequence.life)?;
        let first = stream.last + 1 - stream.lengths.len() as u64;
        let at = sequence.number.checked_sub(first)? as usize;
        let length = *stream.lengths.get(at)? as usize;
        let start: usize = stream.lengths.iter().take(at).map(|length| *length as usize).sum();
        Some(stream.bytes.range(start..start + length).copied().collect())
    }

    pub(crate) fn put(&self, buffer: &mut Vec<u8>) {
        put_u32(buffer, self.streams.len() as u32);
        for (node, stream) in &self.streams {
            put_u32(buffer, node.0);
            put_u64(buffer, stream.life.0);
            put_u64(buffer, stream.last);
            put_u32(buffer, stream.lengths.len() as u32);
            for length in &stream.lengths {
                put_u32(buffer, *length);
            }
            let bytes: Vec<u8> = stream.bytes.iter().copied().collect();
            put_bytes(buffer, &bytes);
        }
    }

    pub(crate) fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut streams = BTreeMap::new();
        for _ in 0..reader.u32()? {
            let node = NodeId(reader.u32()?);
            let (life, last) = (Life(reader.u64()?), reader.u64()?);
            let count = reader.u32()?;
            let lengths: VecDeque<u32> =
                (0..count).map(|_| reader.u32()).collect::<Result<_, _>>()?;
            let bytes: VecDeque<u8> = reader.bytes()?.iter().copied().collect();
            let total: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
            if total != bytes.len() as u64 || u64::from(count) > last {
                return Err(Malformed);
            }
            streams.insert(node, Stream { life, last, lengths, bytes });
        }
        Ok(Self { streams })
    }
}

impl Stream {
    fn settle(&mut self, settled: u64) {
        while self.last + 1 - (self.lengths.len() as u64) <= settled {
            let Some(length) = self.lengths.pop_front() else {
                return;
            };
            self.bytes.drain(..length as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(2);

    fn sequence(life: u64, number: u64, settled: u64) -> Sequence {
        Sequence { life: Life(life), number, settled }
    }

    #[test]
    fn a_write_is_applied_once_and_in_order() {
        let mut answers = Answers::default();
        for number in 1..=3 {
            let write = sequence(1, number, 0);
            assert_eq!(answers.judge(NODE, write), Verdict::Fresh);
            answers.record(NODE, write, &[number as u8; 3]);
        }
        assert_eq!(answers.judge(NODE, sequence(1, 2, 0)), Verdict::Repeated);
        assert_eq!(answers.answer(NODE, sequence(1, 2, 0)), Some([2; 3].to_vec()));
        assert_eq!(answers.judge(NODE, sequence(1, 5, 0)), Verdict::Refused, "4 is missing");
        assert_eq!(answers.judge(NODE, sequence(1, 6, 5)), Verdict::Fresh, "5 is settled");
        answers.record(NODE, sequence(1, 6, 5), b"six");
        assert_eq!(answers.answer(NODE, sequence(1, 2, 0)), None, "2 is settled");
        assert_eq!(answers.answer(NODE, sequence(1, 6, 0)), Some(b"six".to_vec()));
        assert_eq!(answers.judge(NODE, sequence(2, 1, 0)), Verdict::Fresh, "a new life");
        assert_eq!(answers.judge(NODE, sequence(1, 7, 6)), Verdict::Outlived(Life(2)));
    }

    #[test]
    fn answers_come_back_as_they_were() {
        let mut answers = Answers::default();
        for number in 1..=9 {
            let write = sequence(4, number, number / 2);
            assert_eq!(answers.judge(NODE, write), Verdict::Fresh);
            answers.record(NODE, write, b"+OK\r\n");
        }
        let mut buffer = Vec::new();
        answers.put(&mut buffer);
        let again = Answers::take(&mut Reader::new(&buffer)).expect("it was just written");
        let mut second = Vec::new();
        again.put(&mut second);
        assert_eq!(buffer, second);
        for cut in 0..buffer.len() {
            assert!(Answers::take(&mut Reader::new(&buffer[..cut])).is_err());
        }
    }
}
