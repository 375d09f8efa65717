//! Who a connection is: its role, its addresses, its key. Knows no bytes.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use wirespan_ebpf::records::{OpenRecord, family, open_flags, role};

use super::exchange::{Activity, Addresses, Connection, ConnectionKey, Role};

/// What an [`OpenRecord`] says that is needed later.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) send_base: u64,
    pub(super) receive_base: u64,
    pub(super) addresses: Option<Addresses>,
    flags: u8,
}

impl Origin {
    fn new(open: &OpenRecord) -> Self {
        Self {
            send_base: open.send_base,
            receive_base: open.receive_base,
            addresses: addresses(open),
            flags: open.flags,
        }
    }

    fn key(&self, role: Role, syn: u64) -> Option<ConnectionKey> {
        if self.flags & open_flags::POSITIONS_LOCAL != 0 {
            return None;
        }
        // TCP sequence numbers have 32 bits, the addresses of unix sockets have no SYN.
        let send = match syn {
            0 => self.send_base,
            syn => self.send_base.wrapping_add(syn) & u64::from(u32::MAX),
        };
        Some(match role {
            Role::Client => ConnectionKey {
                client: send,
                server: self.receive_base,
            },
            Role::Server => ConnectionKey {
                client: self.receive_base,
                server: send,
            },
        })
    }
}

/// Who a connection is, as far as it is known.
#[derive(Debug)]
pub(super) struct Identity {
    id: u64,
    pub(super) role: Option<Role>,
    pub(super) is_unix: bool,
    /// In use before the agent saw it, or its opening record was lost.
    pub(super) is_old: bool,
    /// Needed until the connection is announced.
    origin: Option<Box<Origin>>,
    announced: Option<Arc<Connection>>,
    /// Send positions count the SYN, see [`open_flags::PRE_EXISTING`].
    counts_syn: bool,
}

impl Identity {
    /// A connection of which nothing but the id is known.
    pub(super) fn unknown(id: u64) -> Self {
        Self {
            id,
            role: None,
            is_unix: false,
            is_old: true,
            origin: None,
            announced: None,
            counts_syn: false,
        }
    }

    pub(super) fn open(&mut self, open: &OpenRecord) {
        self.role = role_of(open.role);
        self.is_unix = open.family == family::UNIX;
        self.is_old = open.flags & open_flags::PRE_EXISTING != 0;
        self.counts_syn = self.is_old && !self.is_unix;
        self.origin = Some(Box::new(Origin::new(open)));
    }

    /// The opening record was lost, but another tells the role.
    pub(super) fn recall(&mut self, role: Role, is_old: bool) {
        self.role = Some(role);
        self.is_old = is_old;
    }

    pub(super) fn addresses(&self) -> Option<&Addresses> {
        match &self.announced {
            Some(connection) => connection.addresses.as_ref(),
            None => self.origin.as_ref()?.addresses.as_ref(),
        }
    }

    /// What a client's send positions are too high by.
    pub(super) fn send_bias(&self) -> u64 {
        u64::from(self.counts_syn && self.role == Some(Role::Client))
    }

    /// Tells of the connection, once its role is known.
    pub(super) fn announce(&mut self, out: &mut Vec<Activity>) -> Option<Arc<Connection>> {
        if self.announced.is_none() {
            let role = self.role?;
            let syn = self.send_bias();
            let origin = self.origin.take();
            let connection = Arc::new(Connection {
                id: self.id,
                role,
                key: origin.as_ref().and_then(|origin| origin.key(role, syn)),
                addresses: origin.and_then(|origin| origin.addresses),
            });
            out.push(Activity::Connected(Arc::clone(&connection)));
            self.announced = Some(connection);
        }
        self.announced.clone()
    }

    /// Tells that the connection is gone, if it was told of.
    pub(super) fn leave(&mut self, out: &mut Vec<Activity>) {
        if let Some(connection) = self.announced.take() {
            out.push(Activity::Disconnected(connection));
        }
    }
}

/// The role that a record tells.
pub(super) fn role_of(role: u8) -> Option<Role> {
    match role {
        role::CLIENT => Some(Role::Client),
        role::SERVER => Some(Role::Server),
        _ => None,
    }
}

fn addresses(open: &OpenRecord) -> Option<Addresses> {
    let address = |bytes: &[u8; 16]| match open.family {
        family::INET => {
            let [a, b, c, d, ..] = *bytes;
            Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        family::INET6 => Some(IpAddr::V6(Ipv6Addr::from(*bytes)).to_canonical()),
        _ => None,
    };
    Some(Addresses {
        local: SocketAddr::new(address(&open.local_address)?, open.local_port),
        peer: SocketAddr::new(address(&open.peer_address)?, open.peer_port),
    })
}
