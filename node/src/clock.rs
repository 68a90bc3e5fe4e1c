//! Both clocks of the machine, as the core wants to be told them.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use driftless_core::{Instant as Moment, Now, WallTime};

/// Reads both clocks; its monotonic one is strictly larger with every reading.
#[derive(Debug)]
pub struct Clock {
    origin: Instant,
    last: u64,
}

impl Clock {
    /// A clock that begins now. Moments of two clocks cannot be compared.
    pub fn new() -> Self {
        Self { origin: Instant::now(), last: 0 }
    }

    /// Reads both clocks.
    pub fn now(&mut self) -> Now {
        let elapsed = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last = elapsed.max(self.last + 1);
        Now { mono: Moment(self.last), wall: wall() }
    }

    /// The moment as the operating system's clock has it, for timers.
    pub fn system(&self, moment: Moment) -> Instant {
        self.origin + std::time::Duration::from_nanos(moment.0)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Milliseconds since the Unix epoch, as this machine believes. The one place that asks.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn wall() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_readings_rise_strictly() {
        let mut clock = Clock::new();
        let mut last = clock.now().mono;
        for _ in 0..1_000 {
            let next = clock.now().mono;
            assert!(next > last);
            last = next;
        }
    }
}
