//! Remote procedure calls over HTTP/1 (gRPC-Web, Connect): hands their content on. Knows nothing of
//! what it means.

use super::{Http1, pipeline::Pending};
use crate::{
    protocol::http1::{Answering, ResponseHead, Skipped, Step},
    stream::{
        call::{Call, Content},
        exchange::Session,
    },
};

impl Http1 {
    /// Reads on in a direction. The content of a call is counted on the way.
    pub(super) fn feed(&mut self, way: usize, bytes: &[u8], answering: Answering) -> Step {
        let reader = &mut self.sides[way].reader;
        if !reader.is_in_body() {
            return reader.feed(bytes, answering);
        }
        let is_request = self.link.ways().is_some_and(|(request, _)| request == way);
        let pending = if is_request {
            self.pipeline.newest().filter(|_| !self.is_unopened)
        } else {
            self.pipeline.oldest()
        };
        match pending.and_then(|pending| pending.call.as_deref_mut()) {
            Some(call) => reader.feed_content(bytes, answering, |bytes| {
                call.content(is_request, Content::Bytes(bytes));
            }),
            None => reader.feed(bytes, answering),
        }
    }

    /// Passes over bytes of a direction that were not copied, as [`MessageReader::skip`] does.
    ///
    /// [`MessageReader::skip`]: crate::protocol::http1::MessageReader::skip
    pub(super) fn skip(&mut self, way: usize, count: u64) -> Skipped {
        let reader = &mut self.sides[way].reader;
        let in_body = reader.is_in_body();
        let skipped = reader.skip(count);
        if in_body && count > 0 {
            let content = match skipped {
                Skipped::Within => Content::Uncopied(count),
                Skipped::Complete { consumed } => Content::Uncopied(consumed),
                Skipped::Lost => Content::Unmeasured,
            };
            self.content(way, content);
        }
        skipped
    }

    /// Content of the message that is being read in a direction.
    fn content(&mut self, way: usize, content: Content<'_>) {
        let is_request = self.link.ways().is_some_and(|(request, _)| request == way);
        let pending = if is_request {
            self.pipeline.newest().filter(|_| !self.is_unopened)
        } else {
            self.pipeline.oldest()
        };
        if let Some(call) = pending.and_then(|pending| pending.call.as_deref_mut()) {
            match content {
                Content::Unmeasured => call.lose_track(is_request),
                content => call.content(is_request, content),
            }
        }
    }

    /// The message that is being read in a direction goes on with what cannot be told from framing.
    pub(super) fn lose_content(&mut self, way: usize) {
        self.content(way, Content::Unmeasured);
    }
}

impl Pending {
    /// The head of the final response is known.
    pub(super) fn answered(&mut self, head: ResponseHead) {
        let rpc = head.rpc.as_deref();
        if self.call.is_none() {
            let content_type = rpc.and_then(|rpc| rpc.content_type.as_deref());
            self.call = content_type.and_then(Call::late);
        }
        if let Some(call) = &mut self.call {
            call.answered(Some(head.status));
            if let Some(rpc) = rpc {
                call.fields(rpc.status.as_deref(), rpc.message.as_deref(), false);
            }
        }
        self.response = Some(head);
    }

    /// What the exchange carried. `is_whole` when the response came to its end.
    pub(super) fn session(&mut self, is_whole: bool) -> Session {
        self.call.take().map_or(Session::Plain, |call| {
            Session::Rpc(Box::new(call.end(is_whole)))
        })
    }
}
