//! Commands out of the bytes of a connection: arrays of bulk strings, or inline commands.

use crate::resp::args::ArgsBuffer;

/// Why a connection cannot go on: its text is what Redis says, without the leading `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError(pub &'static str);

/// Takes one command off the front of `bytes`. `Ok(None)`: not all there yet. `Ok(Some(used))`: the
/// arguments are in `args` (possibly none, for an empty line), and `used` bytes are done with.
/// An error is final: answer with it and hang up.
pub fn parse(
    _bytes: &[u8],
    _args: &mut ArgsBuffer,
    _most: usize,
) -> Result<Option<usize>, ParseError> {
    todo!()
}
