//! A remote procedure call as a span, by the RPC, gRPC and Connect conventions (OpenTelemetry
//! semantic conventions, `docs/rpc/`). Pure; knows no ids, no parents, no clock.
//!
//! Beyond the conventions: `wirespan.rpc.request.messages` and `wirespan.rpc.response.messages`
//! count the messages in each direction, `wirespan.rpc.timeout` is the time that the client gave
//! the call, in seconds (`grpc-timeout`, `connect-timeout-ms`). The version of HTTP and the sizes
//! of the bodies are those of HTTP spans; `http.response.status_code` is there when it is not 200.
#![forbid(unsafe_code)]

mod conclusion;
mod procedures;

use std::time::Duration;

use compact_str::CompactString;

use self::{
    conclusion::{conclude, of_number},
    procedures::{Name, path},
};
use super::{
    attributes::Attributes,
    describe::Conventions,
    errors::OTHER,
    http::{self, Authority, Hidden, Peer, seen},
    model::Status,
};
use crate::{
    protocol::grpc::{self, Status as Code},
    stream::exchange::{Finished, HeaderName, Opened, RequestHead, Role, Rpc, RpcSystem},
};

pub(super) use self::procedures::Procedures;

/// A call that has ended.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) opened: &'a Opened,
    pub(super) finished: &'a Finished,
    pub(super) rpc: &'a Rpc,
}

impl Call<'_> {
    fn role(&self) -> Role {
        self.opened.connection.role
    }

    fn is_connect(&self) -> bool {
        self.rpc.system == RpcSystem::Connect
    }

    /// HTTP status code, if there is one and it is known.
    fn http_status(&self) -> Option<u16> {
        self.finished.response?.status
    }

    /// The time that the client gave the call; `None` where it said nothing, or nothing valid.
    fn timeout(&self) -> Result<Option<Duration>, Hidden> {
        let request = &self.opened.request;
        Ok(if self.is_connect() {
            seen(request, HeaderName::ConnectTimeout)?.and_then(grpc::connect_timeout)
        } else {
            seen(request, HeaderName::GrpcTimeout)?.and_then(grpc::timeout)
        })
    }

    /// A status code's name. Connect writes those of errors its own way, and has none for success.
    fn name_of(&self, code: Code) -> Option<CompactString> {
        if !self.is_connect() {
            return Some(CompactString::const_new(code.name()));
        }
        match code {
            Code::Ok => None,
            Code::Cancelled => Some(CompactString::const_new("canceled")),
            error => Some(error.name().to_ascii_lowercase().into()),
        }
    }
}

/// Adds all attributes of a call, and gives the span's name and status.
pub(super) fn describe(
    conventions: &Conventions,
    procedures: &mut Procedures,
    call: Call<'_>,
    attributes: &mut Attributes,
) -> (CompactString, Status) {
    let request = &call.opened.request;
    let system = if call.is_connect() {
        "connectrpc"
    } else {
        "grpc"
    };
    attributes.text("rpc.system.name", system);
    let method = method(procedures, call, attributes);
    server(request, attributes);
    let peer = call.opened.connection.addresses.map(Peer::of);
    http::network(request.version, peer, attributes);
    let conclusion = conclude(call, attributes);
    if conventions.former_rpc_names {
        former_names(call, method.as_deref(), conclusion.code, attributes);
    }
    attributes.count("wirespan.rpc.request.messages", call.rpc.request_messages);
    attributes.count("wirespan.rpc.response.messages", call.rpc.response_messages);
    http::body_sizes(call.finished, attributes);
    let name = method.unwrap_or(CompactString::const_new(system));
    (name, conclusion.status)
}

/// Adds the method; `None` unless it is known to exist.
fn method(
    procedures: &mut Procedures,
    call: Call<'_>,
    attributes: &mut Attributes,
) -> Option<CompactString> {
    let Ok(target) = http::target(&call.opened.request) else {
        attributes.unknown(&["rpc.method", "rpc.method_original"]);
        return None;
    };
    let path = path(call.is_connect(), target.path());
    match procedures.name(path, conclusion::evidence(call)) {
        Name::Procedure => {
            attributes.text("rpc.method", path);
            Some(path.into())
        }
        Name::Other => {
            attributes.text("rpc.method", OTHER);
            attributes.text("rpc.method_original", path);
            None
        }
    }
}

/// Adds the server as the client named it; the network's addresses are not what is asked for.
fn server(request: &RequestHead, attributes: &mut Attributes) {
    let target = http::target(request).ok();
    match http::authority(request, target.as_ref()) {
        Err(Hidden) => attributes.unknown(&["server.address", "server.port"]),
        Ok(named) => {
            let Some(authority) = named.and_then(Authority::parse) else {
                return;
            };
            attributes.text("server.address", authority.host);
            if let Some(port) = authority.port {
                attributes.number("server.port", port.into());
            }
        }
    }
}

/// Adds what semantic conventions 1.37 and before called otherwise. `rpc.method`, which was
/// without the service then, can have one value only: the current one.
fn former_names(
    call: Call<'_>,
    method: Option<&str>,
    code: Option<u32>,
    attributes: &mut Attributes,
) {
    let system = if call.is_connect() {
        "connect_rpc"
    } else {
        "grpc"
    };
    attributes.text("rpc.system", system);
    if let Some((service, _)) = method.and_then(|method| method.rsplit_once('/')) {
        attributes.text("rpc.service", service);
    }
    let Some(code) = code else {
        return;
    };
    if !call.is_connect() {
        attributes.number("rpc.grpc.status_code", code.into());
    } else if let Some(name) = call.name_of(of_number(code)) {
        attributes.text("rpc.connect_rpc.error_code", &name);
    }
}

#[cfg(test)]
mod tests;
