//! Looks at how a key is kept: OBJECT, MEMORY USAGE, DEBUG OBJECT.

use alloc::format;

use crate::command::CommandId;
use crate::command::data::numbers::{length, parse_integer};
use crate::command::data::reading::{Met, look};
use crate::command::data::{Reading, texts};
use crate::ids::Key;
use crate::resp::{Args, Reply};
use crate::store::Store;

/// Redis keeps strings up to this length together with their object.
const EMBEDDED_MOST: usize = 44;

/// OBJECT ENCODING, FREQ, IDLETIME, REFCOUNT.
pub(super) fn read_object(
    id: CommandId,
    key: Key<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    match look(store, key, reading)? {
        None => reply.null(),
        Some(value) => match id {
            CommandId::ObjectEncoding => reply.bulk(encoding(value.bytes).as_bytes()),
            CommandId::ObjectFreq => reply.error(texts::NO_LFU),
            // When a key was last read is not kept.
            CommandId::ObjectIdleTime => reply.integer(0),
            _ => reply.integer(1),
        },
    }
    Ok(())
}

/// MEMORY USAGE key [SAMPLES n].
pub(super) fn read_memory(
    key: Key<'_>,
    args: &Args<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    if let Err(text) = check_samples(args) {
        reply.error(text);
        return Ok(());
    }
    match look(store, key, reading)?.and_then(|_| store.memory_of(key)) {
        None => reply.null(),
        Some(bytes) => reply.integer(length(bytes)),
    }
    Ok(())
}

/// DEBUG OBJECT.
pub(super) fn read_debug(
    key: Key<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    match look(store, key, reading)? {
        None => reply.error(texts::NO_SUCH_KEY),
        Some(value) => reply.simple(&format!(
            "Value at:0x0 refcount:1 encoding:{} serializedlength:{} lru:0 lru_seconds_idle:0",
            encoding(value.bytes),
            value.bytes.len()
        )),
    }
    Ok(())
}

fn check_samples(args: &Args<'_>) -> Result<(), &'static str> {
    match (args.get(3), args.get(4), args.len()) {
        (None, ..) => Ok(()),
        (Some(option), Some(number), 5) if option.eq_ignore_ascii_case(b"SAMPLES") => {
            let number = parse_integer(number).ok_or(texts::NOT_INTEGER)?;
            if number < 0 { Err(texts::SYNTAX) } else { Ok(()) }
        }
        _ => Err(texts::SYNTAX),
    }
}

/// What Redis would call the way such a value is kept.
fn encoding(bytes: &[u8]) -> &'static str {
    if parse_integer(bytes).is_some() {
        "int"
    } else if bytes.len() <= EMBEDDED_MOST {
        "embstr"
    } else {
        "raw"
    }
}
