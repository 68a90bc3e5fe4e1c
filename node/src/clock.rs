//! Both clocks of the machine, as the core wants to be told them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use driftless_core::{Instant as Moment, Now, WallTime};

/// Reads both clocks; its monotonic one is strictly larger with every reading, and goes on while the machine is
/// suspended: a leader that wakes up must not take its lease to be as young as it was.
#[derive(Debug)]
pub struct Clock {
    origin: Origin,
    last: u64,
}

impl Clock {
    /// A clock that begins now. Moments of two clocks cannot be compared.
    pub fn new() -> Self {
        Self { origin: Origin::now(), last: 0 }
    }

    /// Reads both clocks.
    pub fn now(&mut self) -> Now {
        let elapsed = self.elapsed();
        self.last = elapsed.max(self.last + 1);
        Now { mono: Moment(self.last), wall: wall() }
    }

    /// The moment as the operating system's clock has it, for timers.
    pub fn system(&self, moment: Moment) -> Instant {
        Instant::now() + Duration::from_nanos(moment.0.saturating_sub(self.elapsed()))
    }

    /// Nanoseconds.
    fn elapsed(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A moment of the machine's, from which it counts on while it is suspended. [`Instant`] leaves that time out.
#[cfg(all(target_os = "linux", not(madsim)))]
#[derive(Clone, Copy, Debug)]
struct Origin(Duration);

#[cfg(all(target_os = "linux", not(madsim)))]
impl Origin {
    fn now() -> Self {
        use rustix::time::{ClockId, clock_gettime};
        let since_boot = clock_gettime(ClockId::Boottime);
        let nanoseconds = since_boot.tv_nsec.unsigned_abs();
        Self(
            Duration::from_secs(since_boot.tv_sec.unsigned_abs())
                + Duration::from_nanos(nanoseconds),
        )
    }

    fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// A simulated machine is not suspended, and on others than Linux this was never tried.
#[cfg(not(all(target_os = "linux", not(madsim))))]
use Instant as Origin;

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

    #[test]
    fn a_moment_is_as_far_away_for_the_system_as_for_the_core() {
        let mut clock = Clock::new();
        let (ahead, before) = (Duration::from_secs(100), Instant::now());
        let moment = Moment(clock.now().mono.0 + ahead.as_nanos() as u64);
        let there = clock.system(moment);
        assert!(there >= before + ahead.mul_f32(0.99) && there <= Instant::now() + ahead);
        assert!(clock.system(Moment(0)) <= Instant::now());
    }
}
