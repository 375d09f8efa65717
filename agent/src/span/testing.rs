//! Exchanges for the tests of this module.

use std::{net::SocketAddr, sync::Arc};

use compact_str::CompactString;

use super::{
    describe::{Conventions, Describer, Description},
    model::Value,
};
use crate::{
    clock::KernelTime,
    stream::exchange::{
        Addresses, Connection, ExchangeError, ExchangeId, Finished, HeaderName, HttpVersion,
        Opened, RequestHead, Response, Role, Session,
    },
};

/// An exchange to describe; tests change what they are about.
pub(super) struct Case {
    pub(super) role: Role,
    pub(super) method: Option<&'static str>,
    pub(super) target: Option<String>,
    pub(super) version: HttpVersion,
    pub(super) headers: Vec<(HeaderName, CompactString)>,
    pub(super) hidden: bool,
    pub(super) peer: Option<SocketAddr>,
    pub(super) response: Option<Response>,
    pub(super) error: Option<ExchangeError>,
    pub(super) session: Session,
    pub(super) lasted: u64,
    pub(super) body: Option<u64>,
    pub(super) truncated: bool,
    pub(super) gap_bytes: u64,
}

pub(super) fn case(role: Role, target: &str, headers: &[(HeaderName, &str)]) -> Case {
    Case {
        role,
        method: Some("GET"),
        target: Some(target.to_owned()),
        version: HttpVersion::Http11,
        headers: headers
            .iter()
            .map(|(name, value)| (*name, (*value).into()))
            .collect(),
        hidden: false,
        peer: Some("10.0.0.7:8080".parse().unwrap()),
        response: response(200),
        error: None,
        session: Session::Plain,
        lasted: 1,
        body: Some(3),
        truncated: false,
        gap_bytes: 0,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "there may be none")]
pub(super) fn response(status: u16) -> Option<Response> {
    Some(Response {
        status: Some(status),
    })
}

impl Case {
    pub(super) fn describe(&self) -> Description {
        self.describe_with(&Conventions::default())
    }

    pub(super) fn describe_with(&self, conventions: &Conventions) -> Description {
        self.describe_by(&mut Describer::new(conventions.clone()))
    }

    pub(super) fn describe_by(&self, describer: &mut Describer) -> Description {
        let opened = Opened {
            id: ExchangeId(1),
            connection: Arc::new(Connection {
                id: 1,
                role: self.role,
                key: None,
                addresses: self.peer.map(|peer| Addresses {
                    local: "10.0.0.1:80".parse().unwrap(),
                    peer,
                }),
            }),
            tgid: 1,
            tid: 1,
            position: 0,
            started: KernelTime(1),
            head_ended: KernelTime(1),
            request: RequestHead {
                method: self.method.map(Into::into),
                target: self.target.as_deref().map(Into::into),
                hidden: self.hidden,
                version: self.version,
                headers: self.headers.clone(),
            },
        };
        let finished = Finished {
            id: ExchangeId(1),
            response: self.response,
            request_body: self.body,
            response_body: Some(12),
            ended: KernelTime(1 + self.lasted),
            error: self.error,
            truncated: self.truncated,
            gap_bytes: self.gap_bytes,
            session: self.session.clone(),
        };
        describer.describe(&opened, &finished)
    }

    pub(super) fn get(&self, key: &str) -> Option<String> {
        get(&self.describe(), key)
    }

    /// What `wirespan.unknown` names, and that none of it is there.
    pub(super) fn unknown(&self) -> Vec<String> {
        let description = self.describe();
        let list = get(&description, "wirespan.unknown").unwrap_or_default();
        let names: Vec<_> = list.split_terminator(',').map(str::to_owned).collect();
        for name in &names {
            assert_eq!(get(&description, name), None, "{name} is unknown");
        }
        names
    }
}

pub(super) fn get(description: &Description, key: &str) -> Option<String> {
    let (_, value) = description
        .attributes
        .iter()
        .find(|(name, _)| *name == key)?;
    Some(match value {
        Value::Str(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::List(list) => list.join(","),
    })
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what may be absent")]
pub(super) fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}
