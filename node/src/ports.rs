//! Ports that are free, for clusters that are there only for a moment.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// The first port, and how many there are: below those that the system hands out by itself, so that no outgoing
/// connection takes one before its node does, and above those that nodes take if they are told nothing.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A port of the loopback address that nobody listens on, TCP or UDP; another one each time.
pub fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that run side by side begin far apart.
    let first = (std::process::id().wrapping_mul(97) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let address = ("127.0.0.1", FIRST + (first + next) % COUNT);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return Ok(address.1);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "the machine has no free port"))
}
