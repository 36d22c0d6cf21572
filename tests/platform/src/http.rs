//! As much of HTTP/1.1 as a SOAP service needs: one request after the other, answers of known length.

use std::io::{self, BufRead, Read, Write};

/// A request, its body read.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The next request; none where the client has closed the connection.
    pub(crate) fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(first) = line(stream)? else {
            return Ok(None);
        };
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(invalid("no request line of HTTP/1.1"));
        };
        let mut request = Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        while let Some(line) = line(stream)?.filter(|line| !line.is_empty()) {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| invalid("a header without a colon"))?;
            let header = (name.to_ascii_lowercase(), value.trim().to_owned());
            request.headers.push(header);
            if request.headers.len() > MOST_HEADERS {
                return Err(invalid("too many headers"));
            }
        }
        request.body = request.read_body(stream)?;
        Ok(Some(request))
    }

    /// The value of a header; none where there is none of that name, or more than one.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// Whether the client wants to use the connection for no more than this.
    pub(crate) fn is_last(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    fn read_body(&self, stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
        if let Some(coding) = self.header("transfer-encoding") {
            if !coding.eq_ignore_ascii_case("chunked") {
                return Err(invalid("an unknown transfer coding"));
            }
            return chunks(stream);
        }
        let length: u64 = match self.header("content-length") {
            None => 0,
            Some(text) => text.parse().map_err(|_| invalid("no content length"))?,
        };
        exactly(stream, length)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// An answer with a body of that type.
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", content_type.to_owned())],
            body: body.into(),
        }
    }

    /// An answer with XML.
    pub(crate) fn xml(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "text/xml;charset=UTF-8", body)
    }

    /// All of its bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let length = format!("Content-Length: {}\r\n\r\n", self.body.len());
        [
            self.head().into_bytes(),
            length.into_bytes(),
            self.body.clone(),
        ]
        .concat()
    }

    /// The status line and the headers, without a word about the body's length.
    pub(crate) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head
    }

    /// Sends it.
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
        _ => "Something Else",
    }
}

fn chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream)?.ok_or_else(|| invalid("no chunk"))?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| invalid("no size of a chunk"))?;
        if size == 0 {
            while line(stream)?.is_some_and(|line| !line.is_empty()) {}
            return Ok(body);
        }
        body.extend(exactly(stream, size)?);
        if body.len() as u64 > LARGEST_BODY {
            return Err(invalid("a body that is too large"));
        }
        if line(stream)?.is_none_or(|line| !line.is_empty()) {
            return Err(invalid("a chunk of another size than said"));
        }
    }
}

fn exactly(stream: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    if length > LARGEST_BODY {
        return Err(invalid("a body that is too large"));
    }
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body)?;
    match body.len() as u64 == length {
        true => Ok(body),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A line without its end; none where there is nothing more.
fn line(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    stream.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    let Some(content) = line.strip_suffix(b"\r\n") else {
        return Err(invalid("a line that does not end with CRLF"));
    };
    let text = str::from_utf8(content).map_err(|_| invalid("a line that is not text"))?;
    Ok(Some(text.to_owned()))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

const LONGEST_LINE: u64 = 16 << 10;
const LARGEST_BODY: u64 = 1 << 20;
const MOST_HEADERS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_whole_or_in_chunks() {
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
    fn what_is_no_request_is_refused() {
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
