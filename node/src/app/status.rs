//! `driftless cluster status`: what each node says of itself, in a table.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::Failure;
use super::local::{LocalCluster, LocalNode};
use super::login::Login;
use super::resp::{Answer, Connection};
use super::secure::Secure;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a node says of itself: the fields of INFO.
pub(crate) type Info = BTreeMap<String, String>;

/// Prints the table.
pub(crate) fn print(dir: &Path, login: &Login) -> Result<(), Failure> {
    let cluster = LocalCluster::expect(dir)?;
    let secure = cluster.tls.secure();
    let said: Vec<_> = cluster.nodes.iter().map(|node| (node, ask(&secure, node, login))).collect();
    // Committed entries can be compared where every node holds all groups.
    let everywhere = cluster.replication_factor as usize == cluster.nodes.len();
    let furthest = said.iter().filter_map(|(_, said)| committed(said.info()?)).max();
    let furthest = furthest.filter(|_| everywhere);
    let rows: Vec<_> = said.iter().map(|(node, said)| row(node, said, furthest)).collect();
    print!("{}", table(&rows));
    if said.iter().all(|(_, said)| *said == Said::Down) {
        return Err("no node runs".into());
    }
    for (node, said) in said {
        if let Said::Refused(why) = said {
            return Err(format!("node {}: {why}: see --user and --password", node.node).into());
        }
    }
    Ok(())
}

/// What became of asking a node.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// No process runs it.
    Down,
    /// It does not answer.
    Nothing,
    /// It does not tell whoever asks, and why.
    Refused(String),
    Info(Info),
}

impl Said {
    fn info(&self) -> Option<&Info> {
        match self {
            Self::Info(info) => Some(info),
            _ => None,
        }
    }
}

fn ask(secure: &Secure, node: &LocalNode, login: &Login) -> Said {
    if !node.is_running() {
        return Said::Down;
    }
    let Ok(mut connection) = Connection::open_secure(secure, "127.0.0.1", node.port, PATIENCE)
    else {
        return Said::Nothing;
    };
    match login.greet(&mut connection).and_then(|()| connection.call(&["INFO"])) {
        Ok(Answer::Bulk(text)) => Said::Info(parse(&String::from_utf8_lossy(&text))),
        Ok(Answer::Error(why)) => Said::Refused(why),
        Err(error) if error.kind() == io::ErrorKind::Other => Said::Refused(error.to_string()),
        _ => Said::Nothing,
    }
}

fn parse(text: &str) -> Info {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect()
}

const HEADINGS: [&str; 9] =
    ["node", "port", "process", "state", "groups", "leads", "term", "commit lag", "memory"];

/// Entries committed in all groups of a node together, as far as it knows.
pub(crate) fn committed(info: &Info) -> Option<u64> {
    info.get("master_repl_offset")?.parse().ok()
}

fn row(node: &LocalNode, said: &Said, furthest: Option<u64>) -> [String; 9] {
    let state = match said {
        Said::Down => "down",
        Said::Nothing => "silent",
        Said::Refused(_) | Said::Info(_) => "up",
    };
    let info = said.info();
    let field = |name: &str| {
        info.and_then(|info| info.get(name)).cloned().unwrap_or_else(|| "-".to_owned())
    };
    let lag = info.and_then(committed).zip(furthest).map(|(own, furthest)| furthest - own);
    [
        node.node.to_string(),
        node.port.to_string(),
        if *said == Said::Down { "-".to_owned() } else { node.pid.to_string() },
        state.to_owned(),
        field("driftless_groups"),
        field("driftless_groups_led"),
        field("driftless_term"),
        lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
        field("used_memory_human"),
    ]
}

fn table(rows: &[[String; 9]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].len());
        cells.chain([HEADINGS[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..HEADINGS.len()).map(width).collect();
    let line = |cells: &[&str]| {
        let padded: Vec<_> =
            cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:>width$}")).collect();
        format!("{}\n", padded.join("  "))
    };
    let mut text = line(&HEADINGS);
    for row in rows {
        text.push_str(&line(&row.each_ref().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read_by_field() {
        let info = parse("# Server\r\nredis_version:7.4.0\r\n\r\ndriftless_groups:16\r\n");
        assert_eq!(info["driftless_groups"], "16");
        assert_eq!(info.len(), 2);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut row = ["1"; 9].map(str::to_owned);
        row[8] = "123.45M".to_owned();
        let text = table(&[row]);
        let widths: Vec<_> = text.lines().map(str::len).collect();
        assert_eq!(widths[0], widths[1]);
        assert!(text.lines().nth(1).unwrap().ends_with("123.45M"));
    }
}
