//! A remote procedure call on an exchange: its messages and its status, whatever HTTP version it
//! came over. Knows no streams, no framing and no time.

use super::exchange::{HeaderName, RequestHead, Rpc, RpcStatus, RpcSystem};
use crate::protocol::grpc::{self, Flavor, MessageCounter, Outcome, Status};

/// An error of a unary call of Connect is read up to this length.
const MAX_ERROR: usize = 8 * 1024;

/// A part of a body, without any framing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'a> {
    /// Its bytes.
    Bytes(&'a [u8]),
    /// So many bytes that were not copied.
    Uncopied(u64),
    /// It is not known how many.
    Unmeasured,
}

/// The body that says how a unary call of Connect failed.
#[derive(Debug, Default)]
struct ErrorBody {
    bytes: Vec<u8>,
    is_cut: bool,
}

/// A call whose exchange has not ended.
#[derive(Debug)]
pub(super) struct Call {
    flavor: Flavor,
    request: Option<MessageCounter>,
    response: Option<MessageCounter>,
    /// What a field says; `None` where no field was seen.
    status: Option<u32>,
    message: Option<String>,
    /// A status may have been where nothing was captured.
    is_hidden: bool,
    /// HTTP status of the response, of a unary call of Connect.
    answer: Option<u16>,
    error: ErrorBody,
}

impl Call {
    /// The call that a request begins, if it begins one.
    pub(super) fn begin(request: &RequestHead) -> Option<Box<Self>> {
        let content_type = request.header(HeaderName::ContentType)?;
        let is_connect = request.header(HeaderName::ConnectProtocolVersion).is_some();
        let flavor = Flavor::of(content_type, is_connect)?;
        Some(Box::new(Self::new(flavor, MessageCounter::new(flavor))))
    }

    /// The call that a response shows when its request did not. Its request was not counted.
    pub(super) fn late(content_type: &str) -> Option<Box<Self>> {
        let flavor = Flavor::of(content_type, false)?;
        Some(Box::new(Self::new(flavor, None)))
    }

    fn new(flavor: Flavor, request: Option<MessageCounter>) -> Self {
        Self {
            flavor,
            request,
            response: MessageCounter::new(flavor),
            status: None,
            message: None,
            is_hidden: false,
            answer: None,
            error: ErrorBody::default(),
        }
    }

    /// The final response's status; `None` where it is not known.
    pub(super) fn answered(&mut self, status: Option<u16>) {
        self.answer = status;
    }

    /// What headers or trailers say of the call's end. `is_hidden` when there may be more than
    /// what is known.
    pub(super) fn fields(&mut self, status: Option<&str>, message: Option<&str>, is_hidden: bool) {
        if let Some(status) = status {
            self.status = status.parse().ok();
            self.is_hidden = false;
        } else {
            self.is_hidden |= is_hidden && self.status.is_none();
        }
        if let Some(message) = message {
            self.message = Some(grpc::message(message).into_owned());
        }
    }

    pub(super) fn content(&mut self, is_request: bool, content: Content<'_>) {
        if !is_request && self.flavor == Flavor::ConnectUnary {
            self.error_body(content);
        }
        let counter = if is_request {
            &mut self.request
        } else {
            &mut self.response
        };
        if let Some(counter) = counter {
            match content {
                Content::Bytes(bytes) => counter.feed(bytes),
                Content::Uncopied(count) => counter.skip(count),
                Content::Unmeasured => counter.lose(),
            }
        }
    }

    fn error_body(&mut self, content: Content<'_>) {
        match content {
            _ if self.answer == Some(200) => {}
            Content::Bytes(bytes) if bytes.len() <= MAX_ERROR - self.error.bytes.len() => {
                self.error.bytes.extend_from_slice(bytes);
            }
            _ => self.error.is_cut = true,
        }
    }

    /// Content of one side went by unread, and, of the response, maybe its end.
    pub(super) fn lose_track(&mut self, is_request: bool) {
        self.content(is_request, Content::Unmeasured);
        self.is_hidden |= !is_request && self.status.is_none();
    }

    /// How the call went. `is_whole` when the response came to its end.
    pub(super) fn end(self, is_whole: bool) -> Rpc {
        let outcome = self.outcome(is_whole);
        let status = self
            .status
            .or_else(|| Some(outcome.as_ref()?.status?.code().into()));
        let is_unary = self.flavor == Flavor::ConnectUnary;
        let one = |counter: Option<MessageCounter>| match counter {
            Some(counter) => counter.count(),
            None => (is_unary && is_whole).then_some(1),
        };
        Rpc {
            system: if self.flavor.is_connect() {
                RpcSystem::Connect
            } else {
                RpcSystem::Grpc
            },
            status: match status {
                Some(code) => RpcStatus::Code(code),
                None if self.is_hidden || (is_whole && self.hides_end()) => RpcStatus::Hidden,
                None => RpcStatus::Absent,
            },
            message: self.message.or_else(|| outcome?.message).map(Into::into),
            request_messages: one(self.request),
            response_messages: if is_unary && is_whole && self.answer != Some(200) {
                Some(0)
            } else {
                one(self.response)
            },
        }
    }

    /// How the call ended, where its content says so.
    fn outcome(&self, is_whole: bool) -> Option<Outcome> {
        match (&self.response, self.answer) {
            (Some(counter), _) => counter.outcome(),
            (None, Some(200)) if is_whole => Some(Outcome {
                status: Some(Status::Ok),
                message: None,
            }),
            (None, Some(_)) if !self.error.is_cut => Outcome::of_connect_error(&self.error.bytes),
            _ => None,
        }
    }

    /// Whether the place of the call's end is in content that was not copied.
    fn hides_end(&self) -> bool {
        match &self.response {
            Some(counter) => self.flavor != Flavor::Grpc && counter.count().is_none(),
            None => self.error.is_cut || self.answer.is_none(),
        }
    }
}
