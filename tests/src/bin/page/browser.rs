//! A browser without a window, driven through chromedriver by the `WebDriver` protocol (W3C, 2018).

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use driftless_tests::cluster::{free_port, until};
use driftless_tests::http::request;
use serde_json::{Value, json};

/// The key Tab, and Return, as `WebDriver` writes them.
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const RETURN: &str = "\u{e007}";

/// How long a browser may take to end.
const GOODBYE: Duration = Duration::from_secs(10);

/// A browser with one page. It ends with the value that stands for it.
pub(crate) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
}

impl Browser {
    /// Starts one, if it runs on this machine. Panics if there is no `chromedriver` to be found.
    pub(crate) fn start() -> Option<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={}", address.port()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = command.spawn().expect("chromedriver can be started");
        let mut browser = Self { driver, address, session: String::new() };
        until("chromedriver listens", || TcpStream::connect(address).ok());
        // The page is a stranger's to the sandbox of a container, and shared memory may be small there.
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let kind = [("content-type", "application/json")];
        let begun =
            request(address, "POST", "/session", &kind, wanted.to_string().as_bytes()).json();
        if let Some(name) = begun["value"]["sessionId"].as_str() {
            name.clone_into(&mut browser.session);
            return Some(browser);
        }
        eprintln!("{begun}");
        None
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let kind = [("content-type", "application/json")];
        let answer = request(self.address, method, path, &kind, body.as_bytes());
        let mut said = answer.json();
        assert_eq!(answer.status, 200, "{method} {path}: {said}");
        said["value"].take()
    }

    fn of_page(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, &format!("/session/{}{path}", self.session), body)
    }

    /// Opens a page.
    pub(crate) fn open(&self, url: &str) {
        self.of_page("POST", "/url", &json!({"url": url}));
    }

    /// What a script of the page's own language returns; it is the body of a function.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.of_page("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// The text that the page shows at a place.
    pub(crate) fn text(&self, selector: &str) -> String {
        let script = format!(
            "const found = document.querySelector('{selector}');
            return found?.innerText ?? found?.textContent ?? ''"
        );
        self.run(&script).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the text at a place is as wanted.
    pub(crate) fn until_text(&self, selector: &str, wanted: impl Fn(&str) -> bool) -> String {
        until(selector, || Some(self.text(selector)).filter(|text| wanted(text)))
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub(crate) fn press(&self, keys: &str) {
        let presses: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|what| json!({"type": what, "value": key.to_string()}))
            })
            .collect();
        let actions = json!({"actions": [{"type": "key", "id": "keys", "actions": presses}]});
        self.of_page("POST", "/actions", &actions);
    }

    /// As wide and high as a screen.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let screen = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.command("Emulation.setDeviceMetricsOverride", &screen);
    }

    /// As somebody sees it who likes it `dark` or `light`.
    pub(crate) fn prefer(&self, scheme: &str) {
        let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.command("Emulation.setEmulatedMedia", &feature);
    }

    fn command(&self, command: &str, parameters: &Value) {
        let asked = json!({"cmd": command, "params": parameters});
        self.of_page("POST", "/goog/cdp/execute", &asked);
    }

    /// What the page complained about since this was last asked.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.of_page("POST", "/se/log", &json!({"type": "browser"}));
        let entries = log.as_array().into_iter().flatten();
        let severe = entries.filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Keeps a picture of the page.
    pub(crate) fn picture(&self, place: &Path, name: &str) {
        let picture = self.of_page("GET", "/screenshot", &Value::Null);
        let bytes = BASE64_STANDARD.decode(picture.as_str().expect("a picture is text"));
        fs::create_dir_all(place).expect("the place for pictures can be made");
        let path = place.join(format!("{name}.png"));
        fs::write(path, bytes.expect("a picture is base64")).expect("a picture can be kept");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its session, also where the page was not as it should be.
        let end = format!(
            "DELETE /session/{} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            self.session, self.address
        );
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            let _ = stream.set_read_timeout(Some(GOODBYE));
            let _ = stream.write_all(end.as_bytes());
            let _ = stream.read(&mut [0; 1024]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
