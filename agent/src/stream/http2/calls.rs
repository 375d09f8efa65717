//! Remote procedure calls over HTTP/2: what gRPC says in headers, trailers and messages. Knows no
//! streams.

use super::Content;
use crate::{
    protocol::http2::{FieldName, HeaderBlock},
    stream::exchange::{HeaderName, RequestHead, Rpc},
};

/// A call whose exchange has not ended.
#[derive(Debug)]
pub(super) struct Call {
    rpc: Rpc,
}

impl Call {
    /// The call that a request begins, if it begins one.
    pub(super) fn begin(request: &RequestHead) -> Option<Box<Self>> {
        let content_type = request.header(HeaderName::ContentType)?;
        content_type.starts_with("application/grpc").then(|| {
            Box::new(Self {
                rpc: Rpc::default(),
            })
        })
    }

    /// The head of the response. With it alone a call can end ("trailers-only").
    pub(super) fn answered(call: &mut Option<Box<Self>>, block: &HeaderBlock, _ends: bool) {
        if let Some(call) = call {
            call.trailers(block);
        }
    }

    pub(super) fn trailers(&mut self, block: &HeaderBlock) {
        if let Some(status) = block.get(FieldName::GrpcStatus).known() {
            self.rpc.status = status.parse().ok();
        }
        if let Some(message) = block.get(FieldName::GrpcMessage).known() {
            self.rpc.message = Some(message.into());
        }
    }

    pub(super) fn content(&mut self, _is_request: bool, _content: Content<'_>) {}

    /// Content of one side went by unread.
    pub(super) fn lose_track(&mut self, _is_request: bool) {}

    pub(super) fn end(self) -> Rpc {
        self.rpc
    }
}
