//! Turns of HTTP/1 that are longer than what is copied of each: long heads, and messages that follow
//! each other. Both ends' spans are exact, and bodies are not copied.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, Result, ensure};
use wirespan_tests::{
    agent::{Agent, Report},
    capture::Mover,
    check, needs_root,
};

/// A way of moving bytes: sizes of the parts of each write in turn, and of each read.
type Calls = (&'static [usize], &'static [usize]);

/// From all at once to many small calls.
const CALLS: [Calls; 6] = [
    (&[1 << 20], &[1 << 20]),
    (&[1 << 20], &[4096]),
    (&[1000], &[1 << 20]),
    (&[8192], &[2000]),
    (&[30_000], &[16_384]),
    (&[5, 4091, 3], &[65_536]),
];

/// Moves one turn.
fn turn(mover: &mut Mover, way: u8, length: usize, calls: Calls) -> Result<()> {
    let (write, read) = calls;
    let mut left = length;
    for size in write.iter().cycle() {
        if left == 0 {
            break;
        }
        let size = (*size).min(left);
        mover.step(way, &[&[size]], &[read])?;
        left -= size;
    }
    Ok(())
}

/// Requests that are sent together, their responses, how they are moved, and their number.
type Turns = (Vec<u8>, Vec<u8>, Calls, usize);

/// Moves turns of requests and responses, and gives what was traced. Waits for the spans of each:
/// on a busy machine the agent may be slower than two threads that do nothing else.
fn trace(turns: &[Turns]) -> Result<Report> {
    let directory = tempfile::tempdir()?;
    let requests: Vec<u8> = turns.iter().flat_map(|turn| turn.0.clone()).collect();
    let responses: Vec<u8> = turns.iter().flat_map(|turn| turn.1.clone()).collect();
    let mut mover = Mover::start(directory.path(), &requests, &responses)?;
    let agent = Agent::start(&["--pid".to_owned(), mover.pid().to_string()])?;
    let mut spans = 0;
    for (request, response, calls, count) in turns {
        turn(&mut mover, 0, request.len(), *calls)?;
        turn(&mut mover, 1, response.len(), *calls)?;
        spans += 2 * count;
        agent.wait_spans(spans, Duration::from_secs(10))?;
    }
    agent.stop()
}

/// Checks that each target has two spans, whole and of these sizes.
fn check_spans(report: &Report, expected: &[(String, i64, i64)]) -> Result<()> {
    report.summary.lost_nothing()?;
    let pairs = check::pairs(&report.spans);
    for (target, request, response) in expected {
        let pair = pairs
            .get(target)
            .with_context(|| format!("no span of {target}"))?;
        let ([server], [client]) = (pair.server.as_slice(), pair.client.as_slice()) else {
            anyhow::bail!("{target}: {pair:?}");
        };
        for span in [server, client] {
            let sizes = ["http.request.body.size", "http.response.body.size"]
                .map(|key| span.number(key).unwrap_or(0));
            ensure!(
                sizes == [*request, *response]
                    && !span.attributes.contains_key("wirespan.truncated")
                    && !span.attributes.contains_key("wirespan.gap_bytes"),
                "{target}: {:?} {:?}",
                span.kind,
                span.attributes
            );
        }
    }
    let others: Vec<_> = report
        .spans
        .iter()
        .filter(|span| !expected.iter().any(|known| known.0 == span.target()))
        .map(|span| (span.target(), &span.attributes))
        .collect();
    ensure!(others.is_empty(), "{others:?}");
    Ok(())
}

/// Fields of so many bytes: many short ones, and at last one long one.
fn fields(length: usize) -> String {
    let mut fields = String::new();
    while fields.len() + 100 < length / 2 {
        fields.push_str("X-Filler: the same value over and over again\r\n");
    }
    let rest = length.saturating_sub(fields.len() + 13);
    fields + "X-Filler: " + &"v".repeat(rest) + "\r\n"
}

#[test]
fn long_heads() -> Result<()> {
    needs_root!("long_heads");
    let mut turns = Vec::new();
    let mut expected = Vec::new();
    for (number, length) in [4000, 4090, 5000, 9000, 16_000, 33_000, 60_000]
        .into_iter()
        .enumerate()
    {
        for (way, calls) in CALLS.into_iter().enumerate() {
            // Also bodies, right behind the head.
            let body = [0, 10, 20_000][(number + way) % 3];
            let target = format!("/long/{length}/{way}");
            let request = format!(
                "POST {target} HTTP/1.1\r\nHost: x\r\n{}Content-Length: {body}\r\n\r\n{}",
                fields(length),
                "b".repeat(body)
            );
            let response = format!(
                "HTTP/1.1 200 OK\r\n{}Content-Length: {}\r\n\r\n{}",
                fields(length),
                2 * body,
                "r".repeat(2 * body)
            );
            turns.push((request.into_bytes(), response.into_bytes(), calls, 1));
            let body = i64::try_from(body)?;
            expected.push((target, body, 2 * body));
        }
    }
    check_spans(&trace(&turns)?, &expected)
}

#[test]
fn pipelined_requests() -> Result<()> {
    needs_root!("pipelined_requests");
    for calls in CALLS {
        let mut expected = Vec::new();
        let mut turns = Vec::new();
        // The first turn of requests is short, its responses are long. Then it is the other way
        // round.
        for (turn, (count, padding, body)) in [
            (30, 0, 700),
            (200, 120, 2),
            (200, 200, 1000),
            (3, 0, 30_000),
        ]
        .into_iter()
        .enumerate()
        {
            let mut requests = String::new();
            let mut responses = String::new();
            for number in 0..count {
                let target = format!("/{turn}/{number}");
                let padding = "p".repeat(padding);
                write!(
                    requests,
                    "GET {target} HTTP/1.1\r\nHost: x\r\nX-Pad: {padding}\r\n\r\n"
                )?;
                write!(
                    responses,
                    "HTTP/1.1 200 OK\r\nServer: mover\r\nContent-Length: {body}\r\n\r\n"
                )?;
                responses += &"r".repeat(body);
                expected.push((target, 0, i64::try_from(body)?));
            }
            turns.push((requests.into_bytes(), responses.into_bytes(), calls, count));
        }
        check_spans(&trace(&turns)?, &expected).with_context(|| format!("{calls:?}"))?;
    }
    Ok(())
}

#[test]
fn bodies_are_not_copied() -> Result<()> {
    needs_root!("bodies_are_not_copied");
    let mut turns = Vec::new();
    let mut expected = Vec::new();
    let body = "text\nof several lines,\n\nthe second empty\n".repeat(20_000);
    for (way, calls) in [CALLS[0], CALLS[1], CALLS[4]].into_iter().enumerate() {
        let target = format!("/body/{way}");
        let length = body.len();
        let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        turns.push(((head + &body).into_bytes(), response.into_bytes(), calls, 1));
        let length = i64::try_from(length)?;
        expected.push((target, length, length));
    }
    let report = trace(&turns)?;
    check_spans(&report, &expected)?;
    // A turn's budget, twelve times, and what else moves on this host: far from one body, of twelve.
    let captured = report.summary.number("bytes", "captured")?;
    ensure!(captured < body.len() as u64, "{captured} bytes were copied");
    Ok(())
}
