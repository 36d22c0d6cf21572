//! The part of HTTP/1.1 that a SOAP service needs: sequential requests, and responses of known length.

use std::io::{self, BufRead, Read, Write};

/// A complete request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads the next request; `None` if the client has closed the connection.
    pub(crate) fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(first) = read_line(stream)? else {
            return Ok(None);
        };
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(invalid("the request line is not HTTP/1.1"));
        };
        let mut request = Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        while let Some(line) = read_line(stream)?.filter(|line| !line.is_empty()) {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| invalid("a header has no colon"))?;
            let header = (name.to_ascii_lowercase(), value.trim().to_owned());
            request.headers.push(header);
            if request.headers.len() > MAX_HEADERS {
                return Err(invalid("more than 100 headers"));
            }
        }
        request.body = request.read_body(stream)?;
        Ok(Some(request))
    }

    /// Returns the value of a header; `None` if it is missing or occurs more than once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// Whether the client asks to close the connection after this request.
    pub(crate) fn is_last(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    fn read_body(&self, stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
        if let Some(coding) = self.header("transfer-encoding") {
            if !coding.eq_ignore_ascii_case("chunked") {
                return Err(invalid("the transfer coding is not chunked"));
            }
            return read_chunks(stream);
        }
        let length: u64 = match self.header("content-length") {
            None => 0,
            Some(text) => text
                .parse()
                .map_err(|_| invalid("Content-Length is not a number"))?,
        };
        read_exactly(stream, length)
    }
}

/// A response.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Creates a response with a body of this content type.
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", content_type.to_owned())],
            body: body.into(),
        }
    }

    /// Creates a response with an XML body.
    pub(crate) fn xml(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "text/xml;charset=UTF-8", body)
    }

    /// Returns the complete response.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let length = format!("Content-Length: {}\r\n\r\n", self.body.len());
        [
            self.head().into_bytes(),
            length.into_bytes(),
            self.body.clone(),
        ]
        .concat()
    }

    /// Returns the status line and the headers, without the body's length and the empty line.
    pub(crate) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head
    }

    /// Sends the response.
    pub(crate) fn write(&self, stream: &mut impl Write) -> io::Result<()> {
        stream.write_all(&self.to_bytes())?;
        stream.flush()
    }
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}

fn read_chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = read_line(stream)?.ok_or_else(|| invalid("a chunk is missing"))?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16)
            .map_err(|_| invalid("the size of a chunk is not a number"))?;
        if size == 0 {
            while read_line(stream)?.is_some_and(|line| !line.is_empty()) {}
            return Ok(body);
        }
        body.extend(read_exactly(stream, size)?);
        if body.len() as u64 > MAX_BODY_BYTES {
            return Err(invalid("the body is larger than 1 MiB"));
        }
        if read_line(stream)?.is_none_or(|line| !line.is_empty()) {
            return Err(invalid("a chunk does not have its stated size"));
        }
    }
}

fn read_exactly(stream: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    if length > MAX_BODY_BYTES {
        return Err(invalid("the body is larger than 1 MiB"));
    }
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body)?;
    match body.len() as u64 == length {
        true => Ok(body),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Reads a line without its end; `None` at the end of the stream.
fn read_line(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    stream.take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    let Some(content) = line.strip_suffix(b"\r\n") else {
        return Err(invalid(
            "a line does not end with CRLF or is longer than 16 KiB",
        ));
    };
    let text = str::from_utf8(content).map_err(|_| invalid("a line is not UTF-8"))?;
    Ok(Some(text.to_owned()))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

const MAX_LINE_BYTES: u64 = 16 << 10;
const MAX_BODY_BYTES: u64 = 1 << 20;
const MAX_HEADERS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_bodies_with_a_length_and_in_chunks() {
        let whole = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\nX: y\r\n\r\nabc";
        let parts = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nx:y\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        for bytes in [whole.as_slice(), parts] {
            let mut stream = bytes;
            let request = Request::read(&mut stream).unwrap().unwrap();
            assert_eq!(
                (request.method.as_str(), request.body.as_slice()),
                ("POST", b"abc".as_slice())
            );
            assert_eq!(request.header("x"), Some("y"));
            assert!(Request::read(&mut stream).unwrap().is_none());
        }
    }

    #[test]
    fn rejects_malformed_requests() {
        for bytes in [
            b"hello\r\n\r\n".as_slice(),
            b"GET / HTTP/1.0\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab",
            b"POST / HTTP/1.1\r\nContent-Length: 30000000\r\n\r\nab",
            b"POST / HTTP/1.1\nContent-Length: 0\n\n",
        ] {
            assert!(Request::read(&mut &*bytes).is_err());
        }
    }
}
