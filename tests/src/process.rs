//! What the system says of a process.

use std::fs;

/// Parts of a second in which the system counts processor time.
pub const TICKS_A_SECOND: u32 = 100;

/// Processor time that a process has used, its own and the system's for it, in ticks.
pub fn ticks(process: u32) -> u64 {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    // The name, in parentheses, may contain anything; the times are the 14th and 15th field.
    let (_, fields) = text.rsplit_once(')').expect("the name stands in parentheses");
    let times = fields.split_whitespace().skip(11).take(2);
    times.map(|field| field.parse::<u64>().expect("times are numbers")).sum()
}

/// Bytes of memory that a process holds.
pub fn resident_bytes(process: u32) -> u64 {
    status(process, "VmRSS:")
}

/// The most that it has ever held.
pub fn peak_bytes(process: u32) -> u64 {
    status(process, "VmHWM:")
}

/// A field of a process's status that is an amount of memory, in bytes.
fn status(process: u32, field: &str) -> u64 {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    kilobytes.and_then(|text| text.parse::<u64>().ok()).expect("a process has memory") << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_time_and_memory() {
        let own = std::process::id();
        let begun = ticks(own);
        let mut sum = 0_u64;
        while ticks(own) < begun + 2 {
            sum = (0..100_000).fold(sum, |sum, next: u64| std::hint::black_box(sum ^ next));
        }
        assert!(resident_bytes(own) > 1 << 16, "{sum}");
        assert!(peak_bytes(own) > 1 << 16, "{sum}");
    }
}
