//! What a client is to send and what the service must answer: the truth for the spans.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use anyhow::{Result, ensure};

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Requests of one connection go one after the other.
    pub connection: usize,
    /// Method.
    pub method: &'static str,
    /// Path and query; the query is unique.
    pub target: String,
    /// Bytes of its body, `None` for no body.
    pub body: Option<u64>,
    /// Chunked transfer coding instead of a `Content-Length`.
    pub chunked: bool,
    /// What the service must answer.
    pub answer: Answer,
}

/// What a service answers.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Bytes of payload.
    pub size: u64,
    /// Chunked, or ended by the end of the connection.
    pub chunked: bool,
    /// How long the service sleeps before.
    pub sleep: Duration,
}

/// Requests in the order of their connections.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// All of them.
    pub requests: Vec<Request>,
    /// Clients that can are to share one connection of HTTP/2 between all "connections".
    pub one_connection: bool,
}

/// What a service understands beyond `Content-Length` bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The contract of `programs/README.md`.
    Full,
    /// The same without chunked bodies.
    NoChunks,
    /// Static files; bodies are stored by PUT.
    Files,
    /// Static files; a POST is answered like a GET.
    FilesByPost,
}

/// Sizes of the files `bytes/N` that static servers have.
pub const FILE_SIZES: [u64; 5] = [0, 1, 100, 100_000, 5_000_000];

fn ok(size: u64) -> Answer {
    Answer {
        status: 200,
        size,
        chunked: false,
        sleep: Duration::ZERO,
    }
}

fn status(status: u16) -> Answer {
    Answer { status, ..ok(0) }
}

impl Plan {
    /// Adds a request with a unique query.
    pub fn add(
        &mut self,
        connection: usize,
        method: &'static str,
        path: &str,
        body: Option<u64>,
        answer: Answer,
    ) {
        let number = self.requests.len();
        self.requests.push(Request {
            connection,
            method,
            target: format!("{path}?n={number}"),
            body,
            chunked: false,
            answer,
        });
    }

    /// The same plan with other queries, so that two clients can be told apart, and other files
    /// to put, so that each is a new one.
    #[must_use]
    pub fn tagged(mut self, tag: &str) -> Self {
        for request in &mut self.requests {
            let target = request.target.replace("/put/", &format!("/put/{tag}-"));
            request.target = format!("{target}&client={tag}");
        }
        self
    }

    /// The same plan over HTTP/2, which has no chunks: every size is exact.
    #[must_use]
    pub fn over_http2(mut self) -> Self {
        for request in &mut self.requests {
            request.chunked = false;
            request.answer.chunked = false;
        }
        self
    }

    /// Downloads of each size, and uploads where the service takes them, as streams of one
    /// connection, `count` of them at the same time.
    #[must_use]
    pub fn streams(count: usize, sizes: &[u64], uploads: bool) -> Self {
        let mut plan = Self {
            one_connection: true,
            ..Self::default()
        };
        for stream in 0..count {
            for &size in sizes {
                plan.add(stream, "GET", &format!("/bytes/{size}"), None, ok(size));
                if uploads {
                    plan.add_echo(stream, "POST", size);
                }
            }
        }
        plan
    }

    /// Without the requests that have a longer body, or a longer answer. Right after an upgrade, the
    /// kernel does not know yet where frames are, and of long ones a part is lost.
    #[must_use]
    pub fn below(mut self, limit: u64) -> Self {
        self.requests
            .retain(|request| request.body.unwrap_or(0).max(request.answer.size) <= limit);
        self
    }

    /// A few requests over two connections, for a recording of a few kilobytes.
    #[must_use]
    pub fn short(dialect: Dialect) -> Self {
        let mut plan = Self::default();
        for connection in 0..2 {
            for size in [0, 100, 100_000] {
                plan.add(connection, "GET", &format!("/bytes/{size}"), None, ok(size));
            }
            plan.add(connection, "HEAD", "/bytes/100", None, ok(0));
            plan.add(connection, "GET", "/status/404", None, status(404));
            if dialect == Dialect::Full {
                plan.add_echo(connection, "POST", 10);
                plan.add_echo(connection, "PUT", 100_000);
            }
        }
        plan
    }

    /// Every kind of request that a service of this dialect understands, over 20 connections.
    #[must_use]
    pub fn standard(dialect: Dialect) -> Self {
        let mut plan = Self::default();
        for connection in 0..20 {
            plan.add_downloads(connection);
            match dialect {
                Dialect::Full | Dialect::NoChunks => plan.add_service(connection, dialect),
                Dialect::Files | Dialect::FilesByPost => plan.add_files(connection, dialect),
            }
        }
        plan
    }

    fn add_downloads(&mut self, connection: usize) {
        for size in [0, 1, 100_000] {
            self.add(connection, "GET", &format!("/bytes/{size}"), None, ok(size));
        }
        if connection == 1 {
            self.add(connection, "GET", "/bytes/5000000", None, ok(5_000_000));
        }
        self.add(connection, "HEAD", "/bytes/100", None, ok(0));
        for code in [404, 500, 204, 304] {
            let method = if code == 204 { "DELETE" } else { "GET" };
            let path = format!("/status/{code}");
            self.add(connection, method, &path, None, status(code));
        }
    }

    fn add_service(&mut self, connection: usize, dialect: Dialect) {
        for (method, size) in [("POST", 0), ("PUT", 1), ("PATCH", 1000), ("POST", 100_000)] {
            self.add_echo(connection, method, size);
        }
        if connection == 0 {
            self.add_echo(connection, "POST", 5_000_000);
        }
        let sleep = Duration::from_millis(50);
        self.add(
            connection,
            "GET",
            "/sleep/50",
            None,
            Answer { sleep, ..ok(5) },
        );
        if dialect == Dialect::Full {
            let answer = Answer {
                chunked: true,
                ..ok(20_000)
            };
            self.add(connection, "GET", "/chunked/20000", None, answer);
            self.add_echo(connection, "POST", 30_000);
            if let Some(request) = self.requests.last_mut() {
                request.chunked = true;
            }
        }
    }

    fn add_echo(&mut self, connection: usize, method: &'static str, size: u64) {
        let answer = ok(size.to_string().len() as u64);
        self.add(connection, method, "/echo", Some(size), answer);
    }

    fn add_files(&mut self, connection: usize, dialect: Dialect) {
        for size in [0, 1, 100_000, 5_000_000] {
            if size == 5_000_000 && connection != 0 {
                continue;
            }
            if dialect == Dialect::Files {
                // A file of its own for each, so that each is answered with 201.
                let path = format!("/put/{}", self.requests.len());
                self.add(connection, "PUT", &path, Some(size), status(201));
            } else {
                self.add(connection, "POST", "/bytes/100", Some(size), ok(100));
            }
        }
        let answer = Answer {
            chunked: true,
            ..ok(20_000)
        };
        self.add(connection, "GET", "/chunked.shtml", None, answer);
    }

    /// In the form that the clients of `programs/` read.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for request in &self.requests {
            let body = request.body.map_or("-".to_owned(), |size| size.to_string());
            let framing = if request.chunked { "chunked" } else { "length" };
            let _ = writeln!(
                text,
                "{}\t{}\t{}\t{body}\t{framing}",
                request.connection, request.method, request.target
            );
        }
        text
    }

    /// Compares what a client printed with what the services promise.
    ///
    /// # Errors
    /// When an answer is missing, there twice, or another than promised.
    pub fn check_answers(&self, printed: &str) -> Result<()> {
        let mut answers = BTreeMap::new();
        for line in printed.lines() {
            let (target, answer) = line.split_once('\t').unwrap_or((line, ""));
            let twice = answers.insert(target, answer).is_some();
            ensure!(!twice, "the client counted {target} twice");
        }
        for request in &self.requests {
            let expected = format!("{}\t{}", request.answer.status, request.answer.size);
            let answer = answers.remove(request.target.as_str());
            ensure!(
                answer == Some(expected.as_str()),
                "{} {} was answered with {answer:?}, not {expected:?}",
                request.method,
                request.target
            );
        }
        ensure!(answers.is_empty(), "nobody asked for {answers:?}");
        Ok(())
    }
}
