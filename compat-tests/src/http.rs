//! A blocking HTTP/1.1 client on a unix socket that sends exactly what it is told.
//!
//! An ordinary client would tidy the target (`//swarm/init`, `%73warm`) or the head before sending, and would hide on
//! which connection a request goes. Tests and benchmarks need neither.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Tried};

/// An answer with its body read to the end.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, or an error that shows it.
    pub fn json(&self) -> Result<Value, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|e| Error::Answer(format!("{e} in {} {}", self.status, self.text())))
    }

    /// The body as JSON if the status says success, else an error that shows the answer.
    pub fn success(&self) -> Result<Value, Error> {
        match self.status {
            200..=299 if self.body.is_empty() => Ok(Value::Null),
            200..=299 => self.json(),
            status => Err(Error::Setup(format!("HTTP {status}: {}", self.text()))),
        }
    }

    /// The `message` of Docker's error body.
    pub fn message(&self) -> String {
        let parsed: Option<Value> = serde_json::from_slice(&self.body).ok();
        parsed
            .and_then(|body| Some(body.get("message")?.as_str()?.to_owned()))
            .unwrap_or_else(|| self.text())
    }
}

/// A request as it goes onto the wire.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// A request without a body.
    pub fn new(method: &'a str, target: &'a str) -> Self {
        Self {
            method,
            target,
            ..Self::default()
        }
    }

    fn head(&self) -> String {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: docker\r\n",
            self.method, self.target
        );
        for (name, value) in self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.body {
            Some(body) => head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len())),
            None => head.push_str("\r\n"),
        }
        head
    }
}

/// One keep-alive connection.
pub struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    /// Connects to `socket`; reads and writes on it fail after `limit` of silence.
    pub fn open(socket: &Path, limit: Duration) -> Result<Self, Error> {
        let stream =
            UnixStream::connect(socket).tried(|| format!("connect to {}", socket.display()))?;
        let timeouts = stream
            .set_read_timeout(Some(limit))
            .and_then(|()| stream.set_write_timeout(Some(limit)));
        timeouts.tried(|| "set a timeout".to_owned())?;
        Ok(Self {
            stream: BufReader::with_capacity(256 * 1024, stream),
        })
    }

    /// Sends the request and reads the whole answer.
    pub fn call(&mut self, request: &Request<'_>) -> Result<Response, Error> {
        let mut body = Vec::new();
        let mut response = self.stream_into(request, &mut body)?;
        response.body = body;
        Ok(response)
    }

    /// Sends a request whose body, if it has one, is JSON, and reads the whole answer.
    pub fn call_json(
        &mut self,
        method: &str,
        target: &str,
        body: Option<&Value>,
    ) -> Result<Response, Error> {
        let bytes = body.map(|value| value.to_string().into_bytes());
        let json = [("Content-Type", "application/json")];
        self.call(&Request {
            method,
            target,
            headers: if body.is_some() { &json } else { &[] },
            body: bytes.as_deref(),
        })
    }

    /// Sends the request and copies the answer's body to `sink`; the response's own body stays empty.
    pub fn stream_into(
        &mut self,
        request: &Request<'_>,
        sink: &mut impl Write,
    ) -> Result<Response, Error> {
        let tried = || format!("{} {}", request.method, request.target);
        self.send(request).tried(tried)?;
        let response = self.head()?;
        let bodiless = request.method == "HEAD" || matches!(response.status, 101 | 204 | 304);
        if !bodiless {
            self.body(&response, sink).tried(tried)?;
        }
        Ok(response)
    }

    fn send(&mut self, request: &Request<'_>) -> io::Result<()> {
        let mut bytes = request.head().into_bytes();
        bytes.extend_from_slice(request.body.unwrap_or_default());
        self.stream.get_mut().write_all(&bytes)
    }

    fn head(&mut self) -> Result<Response, Error> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| Error::Answer(format!("status line {first:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Response {
                    status,
                    headers,
                    body: Vec::new(),
                });
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| Error::Answer(format!("header {line:?}")))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        let read = self
            .stream
            .read_line(&mut line)
            .tried(|| "read an answer".to_owned())?;
        if read == 0 {
            return Err(Error::Answer(
                "the connection ended before the answer did".to_owned(),
            ));
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn body(&mut self, response: &Response, sink: &mut impl Write) -> io::Result<()> {
        if response
            .header("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
        {
            return self.chunks(sink);
        }
        let Some(length) = response
            .header("content-length")
            .and_then(|n| n.parse::<u64>().ok())
        else {
            return io::copy(&mut self.stream, sink).map(drop);
        };
        self.exactly(length, sink)
    }

    fn chunks(&mut self, sink: &mut impl Write) -> io::Result<()> {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let size = line.trim().split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(size, 16)
                .map_err(|_| io::Error::other(format!("chunk size {line:?}")))?;
            self.exactly(size, sink)?;
            self.stream.read_line(&mut String::new())?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn exactly(&mut self, length: u64, sink: &mut impl Write) -> io::Result<()> {
        let copied = io::copy(&mut (&mut self.stream).take(length), sink)?;
        if copied == length {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

/// One request on a connection of its own.
pub fn call(socket: &Path, request: &Request<'_>, limit: Duration) -> Result<Response, Error> {
    Connection::open(socket, limit)?.call(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes: &'static str) -> Result<Response, Error> {
        let (client, mut server) = UnixStream::pair().unwrap();
        server.write_all(bytes.as_bytes()).unwrap();
        let mut connection = Connection {
            stream: BufReader::new(client),
        };
        let request = Request::new("GET", "/x");
        let answer = connection.call(&request);
        drop(server);
        answer
    }

    #[test]
    fn a_chunked_body_is_put_together() {
        let response = answer(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        )
        .unwrap();
        assert_eq!(response.text(), "abcde");
    }

    #[test]
    fn a_counted_body_ends_where_it_says() {
        let response = answer(
            "HTTP/1.1 404 Not Found\r\ncontent-length: 15\r\n\r\n{\"message\":\"m\"}trailing",
        )
        .unwrap();
        assert_eq!((response.status, response.message()), (404, "m".to_owned()));
    }
}
