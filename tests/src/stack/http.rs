//! A small HTTP/1.1 server on loopback for what tests stand in for: one thread per connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET`, `PUT`, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Without those of length and connection.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The length that is told, if it is not the body's: what a HEAD request would have, or more than
    /// comes before the connection breaks.
    pub length: Option<usize>,
}

/// Answers requests, or breaks the connection with `None`.
type Handler = dyn Fn(Request) -> Option<Reply> + Send + Sync;

/// A running server. Dropped, it takes no more connections.
pub struct HttpServer {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl HttpServer {
    /// Starts it on a free port.
    pub fn start(
        handler: impl Fn(Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Result<HttpServer> {
        let listener = TcpListener::bind("127.0.0.1:0").context("a port of 127.0.0.1")?;
        let address = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let handler: Arc<Handler> = Arc::new(handler);
        let over = ended.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let handler = handler.clone();
                // A client that goes away is no concern of the server's.
                thread::spawn(move || drop(serve(stream, &*handler)));
            }
        });
        Ok(HttpServer { address, ended })
    }

    /// `http://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // The loop sees the end with the next connection.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: TcpStream, handler: &Handler) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(request) = read_request(&mut reader)? {
        let head = request.method == "HEAD";
        let Some(reply) = handler(request) else { return Ok(()) };
        let mut bytes = format!("HTTP/1.1 {} .\r\n", reply.status);
        for (name, value) in &reply.headers {
            bytes += &format!("{name}: {value}\r\n");
        }
        let length = reply.length.unwrap_or(reply.body.len());
        bytes += &format!("content-length: {length}\r\n\r\n");
        let mut bytes = bytes.into_bytes();
        if !head {
            bytes.extend_from_slice(&reply.body);
        }
        writer.write_all(&bytes)?;
        if !head && length > reply.body.len() {
            // The rest never comes.
            return Ok(());
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let Some(first) = read_line(reader)? else { return Ok(None) };
    let mut words = first.split(' ').map(str::to_string);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers = read_headers(reader)?;
    let mut request = Request { method, target, headers, body: Vec::new() };
    let length = request.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

fn read_headers(reader: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while let Some(line) = read_line(reader)?.filter(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_lowercase(), value.trim().to_string()));
        }
    }
    Ok(headers)
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = reader.read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end().to_string()))
}

/// Passes a request on to `endpoint`, and its answer back.
pub fn forward(endpoint: &str, request: &Request) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(endpoint.trim_start_matches("http://"))?;
    let mut bytes = format!("{} {} HTTP/1.0\r\n", request.method, request.target);
    for (name, value) in request.headers.iter().filter(|(name, _)| name != "connection") {
        bytes += &format!("{name}: {value}\r\n");
    }
    bytes += "\r\n";
    stream.write_all(bytes.as_bytes())?;
    stream.write_all(&request.body)?;
    let mut reader = BufReader::new(stream);
    let first = read_line(&mut reader)?.unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(502);
    let mut headers = read_headers(&mut reader)?;
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok());
    headers.retain(|(name, _)| name != "content-length" && name != "connection");
    let mut body = Vec::new();
    reader.read_to_end(&mut body)?;
    Ok(Reply { status, headers, body, length })
}
