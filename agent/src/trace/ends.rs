//! The two ends of a connection on one host: which connections have both here, and which client
//! and server exchange are the same request. Knows no identities, no times but those of closing.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::{
    clock::KernelTime,
    stream::exchange::{Connection, ConnectionKey, ExchangeId, Role},
};

/// Connections whose ends are remembered at most; of more, only addresses tell who is local.
const CONNECTIONS: usize = 131_072;

/// How likely the other end of a connection is on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// It was seen here.
    Here,
    /// By its address it is.
    MaybeHere,
    /// Nothing tells that it is, or its exchanges could not be found.
    Elsewhere,
}

/// The two exchanges of one request; each is seen first at times.
#[derive(Debug, Default)]
struct Pair {
    client: Option<ExchangeId>,
    server: Option<ExchangeId>,
}

impl Pair {
    fn slot(&mut self, role: Role) -> &mut Option<ExchangeId> {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }
}

#[derive(Debug, Default)]
struct Open {
    client: u32,
    server: u32,
}

impl Open {
    fn slot(&mut self, role: Role) -> &mut u32 {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }
}

/// Connections and unpaired exchanges.
#[derive(Debug, Default)]
pub(super) struct Ends {
    connections: HashMap<ConnectionKey, Open>,
    closed: VecDeque<(KernelTime, ConnectionKey, Role)>,
    unpaired: HashMap<(ConnectionKey, u64), Pair>,
}

impl Ends {
    /// An end of a connection exists.
    pub(super) fn connect(&mut self, connection: &Connection) {
        if let Some(key) = connection.key
            && (self.connections.len() < CONNECTIONS || self.connections.contains_key(&key))
        {
            *self
                .connections
                .entry(key)
                .or_default()
                .slot(connection.role) += 1;
        }
    }

    /// An end is gone; its last exchanges may be settled later.
    pub(super) fn disconnect(&mut self, connection: &Connection, now: KernelTime) {
        if let Some(key) = connection.key
            && self.connections.contains_key(&key)
        {
            self.closed.push_back((now, key, connection.role));
        }
    }

    /// Forgets ends that were gone before that time.
    pub(super) fn forget_closed(&mut self, before: KernelTime) {
        while let Some((_, key, role)) = self.closed.pop_front_if(|(time, ..)| *time < before) {
            if let Some(open) = self.connections.get_mut(&key) {
                let count = open.slot(role);
                *count = count.saturating_sub(1);
                if open.client == 0 && open.server == 0 {
                    self.connections.remove(&key);
                }
            }
        }
    }

    /// Where the other end is.
    pub(super) fn peer(&self, connection: &Connection) -> Peer {
        let Some(key) = connection.key else {
            return Peer::Elsewhere;
        };
        let other = self
            .connections
            .get(&key)
            .map_or(0, |open| match connection.role {
                Role::Client => open.server,
                Role::Server => open.client,
            });
        if other > 0 {
            return Peer::Here;
        }
        match connection.addresses {
            None => Peer::MaybeHere,
            Some(addresses)
                if addresses.peer.ip().is_loopback()
                    || addresses.peer.ip() == addresses.local.ip() =>
            {
                Peer::MaybeHere
            }
            Some(_) => Peer::Elsewhere,
        }
    }

    /// The exchange of the other end that has the same request, which is to be judged by
    /// its times; `None` if it was not seen yet. The exchange is found by the other end from now.
    pub(super) fn meet(
        &mut self,
        connection: &Connection,
        position: u64,
        id: ExchangeId,
    ) -> Option<ExchangeId> {
        let pair = self
            .unpaired
            .entry((connection.key?, position))
            .or_default();
        *pair.slot(connection.role) = Some(id);
        match connection.role {
            Role::Client => pair.server,
            Role::Server => pair.client,
        }
    }

    /// The exchange has found the other end, or will not be looked for any more.
    pub(super) fn part(&mut self, key: ConnectionKey, position: u64, role: Role, id: ExchangeId) {
        let Some(pair) = self.unpaired.get_mut(&(key, position)) else {
            return;
        };
        let slot = pair.slot(role);
        if *slot == Some(id) {
            *slot = None;
        }
        if pair.client.is_none() && pair.server.is_none() {
            self.unpaired.remove(&(key, position));
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.closed.is_empty() && self.unpaired.is_empty()
    }
}
