//! Where a connection stops being HTTP/1 because both ends agreed on another protocol (RFC 9110
//! section 7.8). Knows nothing of that protocol.

use super::pipeline::Pending;
use crate::{
    clock::KernelTime,
    protocol::http1::Upgrade,
    stream::{
        exchange::{Activity, ExchangeError, ExchangeId, Finished, Response, Session},
        link::Context,
    },
};

/// An exchange that goes on in another protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::stream) struct Handover {
    /// What the connection speaks from here on.
    pub(in crate::stream) to: Upgrade,
    /// The exchange whose response, a 101, handed the connection over.
    pub(in crate::stream) id: ExchangeId,
    /// That response.
    pub(in crate::stream) response: Response,
    /// Bytes of the request's body, as [`crate::stream::exchange::Finished::request_body`].
    pub(in crate::stream) request_body: Option<u64>,
    pub(in crate::stream) truncated: bool,
    pub(in crate::stream) gap_bytes: u64,
    /// Whether the next byte of the direction of requests is the first of the new protocol.
    pub(in crate::stream) requests_in_step: bool,
    /// So many of the last bytes that were copied of the last record are behind the response.
    pub(in crate::stream) rest: usize,
}

impl Handover {
    /// `None` when nothing is done with what follows, or nobody knows the request.
    pub(super) fn new(
        to: Upgrade,
        pending: &Pending,
        requests_in_step: bool,
        rest: usize,
    ) -> Option<Self> {
        let status = pending.response.as_ref()?.status;
        (status == 101 && to != Upgrade::Other).then_some(Self {
            to,
            id: pending.id?,
            response: Response {
                status: Some(status),
            },
            request_body: (!pending.request_unmeasured).then_some(pending.request_body),
            truncated: pending.request_cut || pending.response_cut,
            gap_bytes: pending.gap_bytes,
            requests_in_step,
            rest,
        })
    }

    /// The exchange ends.
    pub(in crate::stream) fn finish(
        self,
        bodies: [Option<u64>; 2],
        ended: KernelTime,
        error: Option<ExchangeError>,
        session: Session,
        cx: &mut Context<'_>,
    ) {
        let [request_body, response_body] = bodies;
        cx.out.push(Activity::Finished(Finished {
            id: self.id,
            response: Some(self.response),
            request_body,
            response_body,
            ended,
            error,
            truncated: self.truncated,
            gap_bytes: self.gap_bytes,
            session,
        }));
    }
}
