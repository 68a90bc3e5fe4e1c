//! A small HTTP client for tests.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::cluster::PATIENCE;

/// What a server has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The rest.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// A field of the head.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A connection on which one request comes after the other.
#[derive(Debug)]
pub struct Kept {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Kept {
    /// Connects to a server.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), host: address.to_string() })
    }

    /// Asks, with lines of the head of its own. The error: there is no answer, or not all of it.
    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let length = body.len().to_string();
        let own = [("host", self.host.as_str()), ("content-length", &length)];
        let lines = own.iter().chain(headers).map(|(name, value)| format!("{name}: {value}\r\n"));
        let head = format!("{method} {path} HTTP/1.1\r\n{}\r\n", lines.collect::<String>());
        let bytes = [head.as_bytes(), body].concat();
        // The node may refuse what is too long before all of it is sent.
        let sent = self.stream.get_mut().write_all(&bytes);
        self.answer().or_else(|error| sent.and(Err(error)))
    }

    fn answer(&mut self) -> io::Result<Response> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            // Some servers put no space behind the colon.
            let (name, value) = line.split_once(':').expect("a field has a name and a value");
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let status = status.expect("an answer begins with its code");
        let mut response = Response { status, headers, body: Vec::new() };
        match response.header("content-length") {
            Some(length) => {
                response.body.resize(length.parse().expect("a length is a number"), 0);
                self.stream.read_exact(&mut response.body)?;
            }
            None => _ = self.stream.read_to_end(&mut response.body)?,
        }
        Ok(response)
    }

    /// The next line of the head, without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// Asks once, with lines of the head of its own.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let headers = [&[("connection", "close")], headers].concat();
    let mut connection = Kept::connect(address).expect("the door is open");
    connection.ask(method, path, &headers, body).expect("it is answered")
}

/// Asks for JSON.
pub fn get(address: SocketAddr, path: &str) -> Response {
    request(address, "GET", path, &[], b"")
}
