//! A node's two clocks, as functions of the world's own time.

use driftless_core::{Instant, Now, WallTime};

use crate::queue::{MS, Time};

/// What the wall clocks of all nodes show at the beginning of the world: some day in 2026.
pub const EPOCH_MS: u64 = 1_780_000_000_000;

/// A node's clocks. The monotonic one runs at its own rate; the wall clock runs with it, from its own
/// beginning, until it is stepped or frozen.
#[derive(Clone, Debug)]
pub struct Clock {
    /// World time of the last change of rate.
    since: Time,
    /// Monotonic nanoseconds at `since`.
    mono: u64,
    /// How much faster than the world it runs, in parts per million.
    ppm: i64,
    /// Wall milliseconds that correspond to `mono` being zero.
    wall_zero: i64,
    /// What the wall clock shows while it is frozen.
    frozen: Option<u64>,
}

impl Clock {
    /// A clock that shows `mono` now, and whose wall clock is `offset_ms` off.
    pub fn new(now: Time, mono: u64, offset_ms: i64, ppm: i64) -> Self {
        let true_wall = EPOCH_MS as i64 + (now / MS) as i64;
        let wall_zero = true_wall + offset_ms - (mono / MS) as i64;
        Self { since: now, mono, ppm, wall_zero, frozen: None }
    }

    /// Both clocks at world time `now`.
    pub fn read(&self, now: Time) -> Now {
        let mono = self.mono_at(now);
        let running = self.wall_zero + (mono / MS) as i64;
        let wall = self.frozen.unwrap_or(running.max(0) as u64);
        Now { mono: Instant(mono), wall: WallTime(wall) }
    }

    /// The first world time at which the monotonic clock shows at least `mono`; not before `now`.
    pub fn when(&self, mono: Instant, now: Time) -> Time {
        if mono.0 <= self.mono_at(now) {
            return now;
        }
        let (ahead, rate) = (mono.0 - self.mono, (1_000_000 + self.ppm) as u64);
        // A wide division takes long, and is only needed for a deadline in the far future.
        let span = ahead.checked_mul(1_000_000).map_or_else(
            || (u128::from(ahead) * 1_000_000).div_ceil(u128::from(rate)),
            |scaled| u128::from(scaled.div_ceil(rate)),
        );
        // It may not overflow the timeline.
        let span = span.min(u128::from(u64::MAX / 4)) as u64;
        self.since.saturating_add(span).max(now)
    }

    /// Changes the rate from `now` on.
    pub fn drift(&mut self, now: Time, ppm: i64) {
        assert!(ppm > -1_000_000, "a monotonic clock does not stand still or run back");
        self.mono = self.mono_at(now);
        self.since = now;
        self.ppm = ppm;
    }

    /// Moves the wall clock forward, or back.
    pub fn step(&mut self, milliseconds: i64) {
        self.wall_zero += milliseconds;
        if let Some(shown) = &mut self.frozen {
            *shown = shown.saturating_add_signed(milliseconds);
        }
    }

    /// Stops the wall clock; the monotonic one runs on.
    pub fn freeze(&mut self, now: Time) {
        self.frozen = Some(self.read(now).wall.0);
    }

    /// Lets the wall clock run again, from what it shows.
    pub fn thaw(&mut self, now: Time) {
        if let Some(shown) = self.frozen.take() {
            self.wall_zero = shown as i64 - (self.mono_at(now) / MS) as i64;
        }
    }

    /// Sets the wall clock right, as a time daemon would, within `error_ms`.
    pub fn correct(&mut self, now: Time, error_ms: i64) {
        self.frozen = None;
        let true_wall = EPOCH_MS as i64 + (now / MS) as i64;
        self.wall_zero = true_wall + error_ms - (self.mono_at(now) / MS) as i64;
    }

    /// A restart of the machine: the monotonic clock begins anew, the wall clock goes on.
    pub fn reboot(&mut self, now: Time, mono: u64) {
        self.thaw(now);
        let wall = self.read(now).wall.0;
        self.since = now;
        self.mono = mono;
        self.wall_zero = wall as i64 - (mono / MS) as i64;
    }

    /// How fast it runs, in parts per million off.
    pub fn ppm(&self) -> i64 {
        self.ppm
    }

    #[inline]
    fn mono_at(&self, now: Time) -> u64 {
        let passed = now - self.since;
        if self.ppm == 0 {
            return self.mono + passed;
        }
        let scaled = (passed as i64).checked_mul(self.ppm);
        let extra = scaled.expect("a world does not last for hours") / 1_000_000;
        (self.mono + passed).saturating_add_signed(extra)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::SECOND;

    #[test]
    fn a_deadline_is_reached_exactly_when_the_clock_says_so() {
        for ppm in [-400_000, -500, 0, 1, 333, 900_000] {
            let clock = Clock::new(7 * SECOND, 123_456, 0, ppm);
            for ahead in [1, 999, 1_000_003, 17 * SECOND] {
                let deadline = Instant(clock.read(8 * SECOND).mono.0 + ahead);
                let at = clock.when(deadline, 8 * SECOND);
                assert!(clock.read(at).mono >= deadline, "ppm {ppm} ahead {ahead}: too early");
                assert!(
                    clock.read(at.saturating_sub(4)).mono < deadline,
                    "ppm {ppm} ahead {ahead}: too late"
                );
            }
        }
    }

    #[test]
    fn steps_and_freezes_move_only_the_wall_clock() {
        let mut clock = Clock::new(0, 0, 250, 0);
        let before = clock.read(SECOND);
        assert_eq!(before.wall.0, EPOCH_MS + 1_250);
        clock.step(-5_000);
        assert_eq!(clock.read(SECOND).wall.0, EPOCH_MS - 3_750);
        assert_eq!(clock.read(SECOND).mono, before.mono);
        clock.freeze(SECOND);
        assert_eq!(clock.read(9 * SECOND).wall.0, EPOCH_MS - 3_750);
        clock.thaw(9 * SECOND);
        assert_eq!(clock.read(10 * SECOND).wall.0, EPOCH_MS - 2_750);
        clock.correct(10 * SECOND, 0);
        assert_eq!(clock.read(10 * SECOND).wall.0, EPOCH_MS + 10_000);
    }

    #[test]
    fn a_change_of_rate_does_not_jump() {
        let mut clock = Clock::new(0, 0, 0, 0);
        let before = clock.read(SECOND).mono;
        clock.drift(SECOND, 500_000);
        assert_eq!(clock.read(SECOND).mono, before);
        assert_eq!(clock.read(2 * SECOND).mono.0, before.0 + SECOND + SECOND / 2);
    }
}
