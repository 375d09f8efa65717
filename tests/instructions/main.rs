//! Plays typical exchanges to the stages between records and spans, so that `cargo xtask bench
//! --instructions` can count what one costs. Measures nothing itself.

mod agent;
mod field;
mod http1;
mod http2;
mod socket;

use anyhow::{Context, Result, bail, ensure};

use self::agent::Agent;

/// Which ends of the connection are on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Server,
    Client,
    Both,
}

impl Ends {
    fn spans(self) -> u64 {
        match self {
            Self::Server | Self::Client => 1,
            Self::Both => 2,
        }
    }
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(workload), Some(count)) = (args.next(), args.next()) else {
        bail!("usage: wirespan-instructions (http1|http2|grpc)-(server|client|both) EXCHANGES");
    };
    let count: u64 = count.parse().context("EXCHANGES is not a number")?;
    let (protocol, ends) = workload.split_once('-').context("no end is named")?;
    let ends = match ends {
        "server" => Ends::Server,
        "client" => Ends::Client,
        "both" => Ends::Both,
        other => bail!("no such end: {other}"),
    };
    let mut agent = Agent::new();
    match protocol {
        "http1" => http1::play(&mut agent, ends, count)?,
        "http2" => http2::play(&mut agent, http2::Load::Get, ends, count)?,
        "grpc" => http2::play(&mut agent, http2::Load::Unary, ends, count)?,
        other => bail!("no such protocol: {other}"),
    }
    let spans = agent.finish();
    ensure!(
        spans == count * ends.spans(),
        "{count} exchanges made {spans} spans"
    );
    println!("{spans} spans");
    Ok(())
}
