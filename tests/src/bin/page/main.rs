//! Looks at the page of a cluster in a real browser, in each of its states: `tests/page.sh` finds the browser.

mod browser;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Parser;
use driftless_tests::cluster::{Cluster, until};
use driftless_tests::http::request;

use browser::{Browser, RETURN, TAB};

/// Looks at the page of a cluster in a real browser; fails if it does not show what it should.
#[derive(Parser, Debug)]
#[command(version)]
struct Arguments {
    /// Where pictures of the page are kept
    #[arg(long, default_value = "target/page")]
    pictures: PathBuf,
}

/// The exit code where the browser does not run.
const NO_BROWSER: u8 = 3;
/// Widths and heights of a screen, and of a telephone.
const SCREEN: (u32, u32) = (1400, 1000);
const TELEPHONE: (u32, u32) = (390, 844);
/// The words that the page has for partitions that nobody leads.
const LEADERLESS: &str = "partitions without a leader";

fn main() -> ExitCode {
    let pictures = Arguments::parse().pictures;
    let Some(browser) = Browser::start() else { return ExitCode::from(NO_BROWSER) };
    browser.resize(SCREEN.0, SCREEN.1);
    empty_then_healthy_then_broken(&browser, &pictures);
    whoever_has_no_password(&browser, &pictures);
    println!("the page is as it should be; pictures are in {}", pictures.display());
    ExitCode::SUCCESS
}

fn state(name: &str) {
    println!("looks at it: {name}");
}

fn empty_then_healthy_then_broken(browser: &Browser, pictures: &Path) {
    let mut cluster = Cluster::start(3, &["--partitions", "16", "--replication-factor", "3"]);
    state("empty");
    browser.open(&format!("http://{}/", cluster.http_address(0)));
    browser.until_text("#state", |text| text == "healthy");
    browser.run("document.querySelector('#search button').click()");
    browser.until_text("#found", |text| text == "No such key.");
    browser.picture(pictures, "empty");

    state("healthy");
    fill(&cluster);
    until("all keys are counted", || {
        let shown = browser.text("[data-chart=keys] b");
        (shown == "40 (10)").then_some(())
    });
    assert_eq!(count(browser, "#ring path"), 16, "an arc for each partition");
    assert_eq!(count(browser, "#cards .card"), 3, "a card for each node");
    let cards = browser.text("#cards");
    assert_eq!(cards.matches("alive").count(), 3, "{cards}");
    for row in ["leads", "commands/s", "keys led", "entries behind", "memory", "log", "fsync p99"] {
        assert_eq!(cards.matches(row).count(), 3, "{row}: {cards}");
    }
    browser.until_text("#log", |text| text.contains("this node leads"));
    keys_by_keyboard(browser);
    browser.picture(pictures, "healthy");
    accessible(browser);
    browser.prefer("dark");
    let ground = "return getComputedStyle(document.body).backgroundColor";
    until("it is dark", || (browser.run(ground) == "rgb(20, 23, 28)").then_some(()));
    browser.picture(pictures, "dark");
    browser.prefer("light");
    browser.resize(TELEPHONE.0, TELEPHONE.1);
    let wide = "return document.documentElement.scrollWidth > window.innerWidth";
    assert_eq!(browser.run(wide), false, "nothing sticks out on a telephone");
    browser.picture(pictures, "telephone");
    browser.resize(SCREEN.0, SCREEN.1);
    nothing_from_elsewhere(browser);

    state("one node dead");
    cluster.kill(2);
    browser.until_text("#state", |text| text.contains("serving") && text.contains("is dead"));
    browser.until_text("#cards", |text| text.contains("last seen"));
    browser.picture(pictures, "one-dead");

    state("election under way");
    cluster.kill(1);
    browser.until_text("#state", |text| text.contains(LEADERLESS));
    browser.until_text("#ring svg", |text| text.contains("without leader"));
    browser.picture(pictures, "no-leaders");

    state("healed");
    cluster.restart(1);
    cluster.restart(2);
    browser.until_text("#state", |text| text == "healthy");

    state("connection lost");
    assert_eq!(complaints(browser), Vec::<String>::new());
    cluster.kill(0);
    browser.until_text("#state", |text| text.contains("connection lost"));
    browser.picture(pictures, "connection-lost");
    cluster.restart(0);
    browser.until_text("#state", |text| text == "healthy");
}

/// Keys of which a quarter ends some time.
fn fill(cluster: &Cluster) {
    for number in 0..40 {
        let ends = if number % 4 == 0 { ",\"ttl\":3600" } else { "" };
        let body =
            format!("{{\"key\":\"user:{number:02}\",\"value\":{{\"number\":{number}}}{ends}}}");
        let kind = [("content-type", "application/json")];
        let put = || request(cluster.http_address(0), "POST", "/put", &kind, body.as_bytes());
        until("it is put", || (put().status == 200).then_some(()));
    }
}

fn count(browser: &Browser, selector: &str) -> u64 {
    let script = format!("return document.querySelectorAll('{selector}').length");
    browser.run(&script).as_u64().expect("a number")
}

/// The key browser without a mouse: Tab to the field, a prefix, Return; Tab to a key, Return; what it holds.
fn keys_by_keyboard(browser: &Browser) {
    browser.run("document.activeElement.blur(); window.scrollTo(0, 0)");
    let focus = "return document.activeElement.id || document.activeElement.innerText";
    until("the field has the focus", || {
        browser.press(TAB);
        (browser.run(focus) == "prefix").then_some(())
    });
    browser.press(&format!("user:1{RETURN}"));
    browser.until_text("#found", |text| text.lines().count() == 10);
    browser.press(TAB);
    browser.press(TAB);
    let key = browser.run(focus);
    let key = key.as_str().expect("a key has a name").to_owned();
    assert!(key.starts_with("user:1"), "{key}");
    browser.press(RETURN);
    let value = browser.until_text("#value", |text| text.contains("number"));
    assert!(
        value.starts_with(&key) && value.contains("led by") && value.contains(", on "),
        "{value}"
    );
}

/// What a reader of the screen needs: names for all that can be used, a language, a title, live parts.
fn accessible(browser: &Browser) {
    let nameless = "return [...document.querySelectorAll('button, input, svg[role=img], section')]
        .filter((e) => !(e.innerText || e.ariaLabel || e.labels?.length || e.getAttribute('aria-labelledby')))
        .map((e) => e.outerHTML.slice(0, 80))";
    assert_eq!(browser.run(nameless), serde_json::json!([]), "all have names");
    let frame = "return [document.documentElement.lang, document.title,
        document.querySelector('#state').getAttribute('role'),
        document.querySelector('#log').getAttribute('aria-live'), document.querySelectorAll('h1').length]";
    assert_eq!(browser.run(frame), serde_json::json!(["en", "Driftless", "status", "polite", 1]));
}

fn nothing_from_elsewhere(browser: &Browser) {
    let elsewhere = "return performance.getEntriesByType('resource').map((entry) => entry.name)
        .filter((name) => !name.startsWith(location.origin))";
    assert_eq!(browser.run(elsewhere), serde_json::json!([]), "nothing comes from elsewhere");
}

/// What the page complained about; a browser asks every site for a small picture, and this one has none.
fn complaints(browser: &Browser) -> Vec<String> {
    let mut complaints = browser.complaints();
    complaints.retain(|what| !what.contains("favicon.ico"));
    complaints
}

fn whoever_has_no_password(browser: &Browser, pictures: &Path) {
    state("unauthenticated");
    let cluster = Cluster::start(1, &["--password", "secret"]);
    let at = cluster.http_address(0);
    // A browser asks for a password in a window of its own, which a headless one has not; whoever has none sees this.
    let turned_away = request(at, "GET", "/", &[], b"");
    assert_eq!(turned_away.status, 401);
    assert!(turned_away.header("www-authenticate").is_some_and(|how| how.starts_with("Basic")));
    browser.open(&format!("data:text/html;base64,{}", BASE64_STANDARD.encode(turned_away.body)));
    let shown = browser.text("body");
    assert!(shown.contains("Unauthorized") && shown.contains("user and a password"), "{shown}");
    browser.picture(pictures, "unauthenticated");
    browser.open(&format!("http://default:secret@{at}/"));
    browser.until_text("#state", |text| text == "healthy");
    browser.picture(pictures, "authenticated");
}
