//! INFO of a node with several engines: each says it all for itself, and the figures are added up.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::command::connection::info::Human;

/// Figures that are the sum of those of the engines. All others are those of the engine that was asked.
const SUMMED: &[&str] = &[
    "connected_clients",
    "used_memory",
    "used_memory_dataset",
    "aof_current_size",
    "total_connections_received",
    "total_commands_processed",
    "expired_keys",
    "acl_access_denied_auth",
    "keyspace_hits",
    "keyspace_misses",
    "total_reads_processed",
    "total_writes_processed",
    "master_repl_offset",
    "driftless_groups",
    "driftless_groups_led",
    "driftless_commit_lag",
    "driftless_messages_received",
];

/// Texts for people that follow the figure they show.
const SHOWN: &[(&str, &str)] = &[("used_memory_human", "used_memory")];

/// One text out of those of all engines, the one that was asked first.
pub fn merge_info(parts: &[&str]) -> String {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    let mut composed: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
    for (name, value) in
        parts.iter().flat_map(|part| part.lines()).filter_map(|line| line.split_once(':'))
    {
        if is_composed(name) {
            add(composed.entry(name).or_default(), value);
        } else if SUMMED.contains(&name) {
            *sums.entry(name).or_default() += value.parse().unwrap_or(0);
        }
    }
    let mut text = String::new();
    for line in parts.first().copied().unwrap_or_default().lines() {
        let Some((name, value)) = line.split_once(':') else {
            put(&mut text, format_args!("{line}"));
            let section = match line {
                "# Commandstats" => "cmdstat_",
                "# Keyspace" => "db",
                _ => continue,
            };
            put_composed(&mut text, section, &composed);
            continue;
        };
        if is_composed(name) {
            continue;
        }
        let shown = SHOWN.iter().find(|(text, _)| *text == name).and_then(|(_, of)| sums.get(of));
        match (sums.get(name), shown) {
            (Some(sum), _) => put(&mut text, format_args!("{name}:{sum}")),
            (None, Some(&sum)) => put(&mut text, format_args!("{name}:{}", Human(sum))),
            (None, None) => put(&mut text, format_args!("{name}:{value}")),
        }
    }
    text
}

/// Whether a line holds several figures, and may be missing at some engines.
fn is_composed(name: &str) -> bool {
    name.starts_with("cmdstat_")
        || name.strip_prefix("db").is_some_and(|number| number.parse::<u8>().is_ok())
}

/// Adds `name=figure,name=figure`.
fn add<'a>(sums: &mut Vec<(&'a str, u64)>, value: &'a str) {
    for (name, figure) in value.split(',').filter_map(|figure| figure.split_once('=')) {
        let figure = figure.parse().unwrap_or(0);
        match sums.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += figure,
            None => sums.push((name, figure)),
        }
    }
}

fn put_composed(text: &mut String, section: &str, composed: &BTreeMap<&str, Vec<(&str, u64)>>) {
    let mut lines: Vec<_> = composed.iter().filter(|(name, _)| name.starts_with(section)).collect();
    // Shorter names first, so that db2 is before db10.
    lines.sort_by_key(|(name, _)| (if section == "db" { name.len() } else { 0 }, **name));
    for (name, figures) in lines {
        let mut line = String::new();
        for (figure, sum) in figures {
            let comma = if line.is_empty() { "" } else { "," };
            write!(line, "{comma}{figure}={sum}").expect("writing to memory does not fail");
        }
        put(text, format_args!("{name}:{line}"));
    }
}

fn put(text: &mut String, line: core::fmt::Arguments<'_>) {
    write!(text, "{line}\r\n").expect("writing to memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_added_and_the_rest_is_said_once() {
        let one = "# Server\r\nrun_id:abc\r\n\r\n# Memory\r\nused_memory:1024\r\nused_memory_human:1.00K\r\n\r\n\
                   # Commandstats\r\ncmdstat_get:calls=2,usec=0\r\n\r\n# Keyspace\r\ndb0:keys=1,expires=1\r\n";
        let two = "# Server\r\nrun_id:abc\r\n\r\n# Memory\r\nused_memory:2048\r\nused_memory_human:2.00K\r\n\r\n\
                   # Commandstats\r\ncmdstat_get:calls=3,usec=0\r\ncmdstat_set:calls=1,usec=0\r\n\r\n\
                   # Keyspace\r\ndb0:keys=4,expires=0\r\ndb2:keys=7,expires=0\r\ndb10:keys=1,expires=0\r\n";
        let whole = "# Server\r\nrun_id:abc\r\n\r\n# Memory\r\nused_memory:3072\r\nused_memory_human:3.00K\r\n\r\n\
                     # Commandstats\r\ncmdstat_get:calls=5,usec=0\r\ncmdstat_set:calls=1,usec=0\r\n\r\n\
                     # Keyspace\r\ndb0:keys=5,expires=1\r\ndb2:keys=7,expires=0\r\ndb10:keys=1,expires=0\r\n";
        assert_eq!(merge_info(&[one, two]), whole);
    }
}
