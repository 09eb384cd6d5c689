//! The server that all contenders ask: a process of its own, so that it costs none of them more than another.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::FLAG;
use crate::entry::{Failure, say};

/// The child's task.
pub(crate) const TASK: &str = "serve";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nok\n";

/// Answers every request with 200, until it is dropped.
pub(crate) struct Server {
    child: Child,
    /// `host:port`
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start() -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([FLAG, TASK])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut address)?;
        }
        let address = address.trim().to_owned();
        let server = Self { child, address };
        if server.address.is_empty() { Err("the server did not start".into()) } else { Ok(server) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/health", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The child's side.
pub(crate) fn serve() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let listener: TcpListener = socket.listen(4096)?;
        say(&format!("{}\n", listener.local_addr()?));
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(async move { drop(converse(stream).await) });
        }
    })
}

/// Reads requests, with their bodies, and answers each of them.
async fn converse(mut stream: TcpStream) -> std::io::Result<()> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        while let Some(end) = whole(&bytes) {
            bytes.drain(..end);
            stream.write_all(ANSWER).await?;
        }
        match stream.read(&mut chunk).await? {
            0 => return Ok(()),
            size => bytes.extend_from_slice(&chunk[..size]),
        }
    }
}

/// Where the first request ends, once all of it is there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let end = head + length(&bytes[..head]).unwrap_or(0);
    (bytes.len() >= end).then_some(end)
}

/// What the header says of the size of the body.
pub(crate) fn length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    head.lines().find_map(header)
}
