//! Remote procedure calls that a client is to make: the truth for the spans of gRPC.

pub mod compare;
mod programs;

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use anyhow::{Result, ensure};

pub use self::programs::Grpc;

/// How a call is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The server says this status.
    Status(u32),
    /// The client gives up at its deadline.
    Deadline(Duration),
    /// The client cancels after this time.
    Cancel(Duration),
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Calls of one lane go one after the other; lanes share one connection.
    pub lane: usize,
    /// Name of the method without its service.
    pub method: &'static str,
    /// Messages to send.
    pub requests: u64,
    /// Bytes of each.
    pub request_size: usize,
    /// Messages to be answered, if the call is not cut short.
    pub responses: u64,
    /// Bytes of each.
    pub response_size: usize,
    /// The service sleeps so long before each message (`Unary`, `Upload`: before the only one).
    pub delay: Duration,
    /// How it is to end.
    pub end: End,
}

/// What a client saw of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// gRPC's status code.
    pub code: u32,
    /// Messages received.
    pub received: u64,
}

const SERVICE: &str = "programs.Streams";

impl Call {
    const PLAIN: Self = Self {
        lane: 0,
        method: "Unary",
        requests: 1,
        request_size: 20,
        responses: 1,
        response_size: 10,
        delay: Duration::ZERO,
        end: End::Status(0),
    };

    /// A unary call.
    #[must_use]
    pub fn unary(lane: usize, request_size: usize, response_size: usize) -> Self {
        Self {
            lane,
            request_size,
            response_size,
            ..Self::PLAIN
        }
    }

    /// A call that the server answers with a stream.
    #[must_use]
    pub fn download(lane: usize, responses: u64, response_size: usize, delay: Duration) -> Self {
        Self {
            lane,
            method: "Download",
            responses,
            response_size,
            delay,
            ..Self::PLAIN
        }
    }

    /// A stream in both directions.
    #[must_use]
    pub fn chat(lane: usize, messages: u64, size: usize, delay: Duration) -> Self {
        Self {
            lane,
            method: "Chat",
            requests: messages,
            responses: messages,
            response_size: size,
            delay,
            ..Self::PLAIN
        }
    }

    /// `rpc.method` of its spans.
    #[must_use]
    pub fn full_method(&self) -> String {
        format!("{SERVICE}/{}", self.method)
    }

    /// Every kind of call and every way to end.
    #[must_use]
    pub fn standard() -> Vec<Self> {
        let milliseconds = Duration::from_millis;
        let failing = |code| Self {
            lane: 1,
            responses: 0,
            end: End::Status(code),
            ..Self::PLAIN
        };
        let upload = |requests, request_size, responses, code| Self {
            lane: 2,
            method: "Upload",
            requests,
            request_size,
            responses,
            end: End::Status(code),
            ..Self::PLAIN
        };
        // In a lane that has shown that the connection is there.
        let slow = Self {
            responses: 0,
            delay: milliseconds(3000),
            ..Self::PLAIN
        };
        vec![
            Self::unary(0, 20, 10),
            Self::unary(0, 100_000, 100_000),
            Self {
                delay: milliseconds(50),
                ..Self::unary(0, 300, 0)
            },
            failing(5),
            failing(13),
            Self {
                method: "Missing",
                ..failing(12)
            },
            upload(5, 20, 1, 0),
            upload(3, 30, 0, 3),
            upload(4, 1000, 1, 0),
            Self::download(3, 7, 3000, milliseconds(10)),
            Self::download(3, 0, 0, milliseconds(0)),
            Self {
                end: End::Status(8),
                ..Self::download(3, 2, 30, milliseconds(0))
            },
            Self::chat(3, 6, 500, milliseconds(5)),
            Self {
                end: End::Status(9),
                ..Self::chat(3, 4, 500, milliseconds(0))
            },
            Self {
                end: End::Deadline(milliseconds(1000)),
                ..slow
            },
            Self {
                end: End::Cancel(milliseconds(200)),
                ..slow
            },
            Self {
                end: End::Cancel(milliseconds(330)),
                ..Self::download(0, 100, 10, milliseconds(50))
            },
        ]
    }

    fn write(&self, number: usize, text: &mut String) -> Result<()> {
        let code = match self.end {
            End::Status(code) if self.method != "Missing" => code,
            _ => 0,
        };
        let (deadline, cancel) = match self.end {
            End::Status(_) => (0, 0),
            End::Deadline(time) => (time.as_millis(), 0),
            End::Cancel(time) => (0, time.as_millis()),
        };
        writeln!(
            text,
            "{}\t{number}\t{}\t{}\t{}\t{} {} {} {code}\t{deadline}\t{cancel}",
            self.lane,
            self.method,
            self.requests,
            self.request_size,
            self.responses,
            self.response_size,
            self.delay.as_millis(),
        )?;
        Ok(())
    }
}

/// Reads what a client printed and compares it with what must come.
fn check(calls: &[Call], printed: &str) -> Result<Vec<Outcome>> {
    let mut outcomes = BTreeMap::new();
    for line in printed.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [number, code, received] = fields[..] else {
            anyhow::bail!("the client printed {line:?}");
        };
        let outcome = Outcome {
            code: code.parse()?,
            received: received.parse()?,
        };
        let twice = outcomes.insert(number.parse::<usize>()?, outcome).is_some();
        ensure!(!twice, "the client counted call {number} twice");
    }
    ensure!(
        outcomes.len() == calls.len(),
        "the client counted {} of {} calls: {printed}",
        outcomes.len(),
        calls.len()
    );
    let outcomes: Vec<Outcome> = outcomes.into_values().collect();
    for (call, outcome) in calls.iter().zip(&outcomes) {
        let expected = match call.end {
            End::Status(code) => outcome.code == code && outcome.received == call.responses,
            // tonic says CANCELLED for a deadline of its own, and UNKNOWN when the server, whose
            // time is over as well, is first to reset the stream.
            End::Deadline(_) => matches!(outcome.code, 1 | 2 | 4),
            End::Cancel(_) => outcome.code == 1 && outcome.received < 100,
        };
        ensure!(expected, "{call:?} ended with {outcome:?}");
    }
    Ok(outcomes)
}
