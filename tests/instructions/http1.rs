//! A GET with heads of 300 bytes and a short answer, one after the other on one connection.

use anyhow::{Result, ensure};

use crate::{Ends, agent::Agent, socket::Socket};

/// Length of both heads.
const HEAD: usize = 300;

const REQUEST: &str = "GET /api/v1/orders?customer=471&page=2 HTTP/1.1\r\n\
    Host: shop.example.com:8080\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: application/json, text/plain, */*\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Connection: keep-alive\r\n\r\n";

const RESPONSE: &str = "HTTP/1.1 200 OK\r\n\
    Server: nginx/1.22.1\r\n\
    Date: Sat, 21 Nov 2026 16:47:25 GMT\r\n\
    Content-Type: application/json; charset=utf-8\r\n\
    Content-Length: 15\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: no-cache, private\r\n\
    ETag: \"5f2b8c-1a4-6c1d\"\r\n\
    Vary: Accept-Encoding\r\n\
    X-Request-Id: 8f14e45fceea167a5a36dedd4bea25427\r\n\r\n";

const BODY: &str = "{\"orders\":[42]}";

/// Between two steps of an exchange, in nanoseconds.
const STEP: u64 = 25_000;

pub(crate) fn play(agent: &mut Agent, ends: Ends, count: u64) -> Result<()> {
    ensure!(
        (REQUEST.len(), RESPONSE.len()) == (HEAD, HEAD),
        "heads of {} and {} bytes",
        REQUEST.len(),
        RESPONSE.len()
    );
    let response = [RESPONSE, BODY].concat();
    let mut client = match ends {
        Ends::Client | Ends::Both => Some(Socket::open(agent, false)?),
        Ends::Server => None,
    };
    let mut server = match ends {
        Ends::Server | Ends::Both => Some(Socket::open(agent, true)?),
        Ends::Client => None,
    };
    for _ in 0..count {
        for socket in client.iter_mut().chain(&mut server) {
            agent.advance(STEP);
            socket.client_says(agent, REQUEST.as_bytes())?;
        }
        for socket in server.iter_mut().chain(&mut client) {
            agent.advance(STEP);
            socket.server_says(agent, response.as_bytes())?;
        }
    }
    Ok(())
}
