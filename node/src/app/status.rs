//! `driftless cluster status`: what each node says of itself, in a table.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::Failure;
use super::local::{LocalCluster, LocalNode};
use super::resp::{Answer, Connection};
use super::secure::Secure;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a node says of itself: the fields of INFO.
pub(crate) type Info = BTreeMap<String, String>;

/// Prints the table.
pub(crate) fn print(dir: &Path) -> Result<(), Failure> {
    let cluster = LocalCluster::expect(dir)?;
    let secure = cluster.tls.secure();
    let infos: Vec<_> = cluster.nodes.iter().map(|node| (node, ask(&secure, node))).collect();
    // Committed entries can be compared where every node holds all groups.
    let everywhere = cluster.replication_factor as usize == cluster.nodes.len();
    let furthest = infos.iter().filter_map(|(_, info)| info.as_ref().and_then(committed)).max();
    let furthest = furthest.filter(|_| everywhere);
    let rows: Vec<_> =
        infos.iter().map(|(node, info)| row(node, info.as_ref(), furthest)).collect();
    print!("{}", table(&rows));
    let down = cluster.nodes.iter().filter(|node| !node.is_running()).count();
    if down == cluster.nodes.len() {
        return Err("no node runs".into());
    }
    Ok(())
}

/// What the node on a port says.
pub(crate) fn info(secure: &Secure, port: u16) -> Result<Info, Failure> {
    let mut connection = Connection::open_secure(secure, "127.0.0.1", port, PATIENCE)?;
    match connection.call(&["INFO"])? {
        Answer::Bulk(text) => Ok(parse(&String::from_utf8_lossy(&text))),
        other => Err(format!("INFO was answered with {other:?}").into()),
    }
}

fn parse(text: &str) -> Info {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect()
}

const HEADINGS: [&str; 9] =
    ["node", "port", "process", "state", "groups", "leads", "term", "commit lag", "memory"];

fn ask(secure: &Secure, node: &LocalNode) -> Option<Info> {
    if node.is_running() { info(secure, node.port).ok() } else { None }
}

/// Entries committed in all groups of a node together, as far as it knows.
pub(crate) fn committed(info: &Info) -> Option<u64> {
    info.get("master_repl_offset")?.parse().ok()
}

fn row(node: &LocalNode, info: Option<&Info>, furthest: Option<u64>) -> [String; 9] {
    let running = node.is_running();
    let state = match (running, info) {
        (false, _) => "down",
        (true, None) => "silent",
        (true, Some(_)) => "up",
    };
    let field = |name: &str| {
        info.and_then(|info| info.get(name)).cloned().unwrap_or_else(|| "-".to_owned())
    };
    let lag = info.and_then(committed).zip(furthest).map(|(own, furthest)| furthest - own);
    [
        node.node.to_string(),
        node.port.to_string(),
        if running { node.pid.to_string() } else { "-".to_owned() },
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
