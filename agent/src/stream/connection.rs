//! One connection, whatever it speaks. Hands what happens to it to the state of its protocol.

use wirespan_ebpf::records::{CloseRecord, DataRecord, OpenRecord};

use super::{
    exchange::Session,
    http1::{Handover, Http1},
    http2::{Http2, recognise},
    link::{Context, Fate, Link},
    websocket::WebSocket,
};
use crate::{clock::KernelTime, metrics::counters::Loss, protocol::http1::Upgrade};

/// One connection.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every connection is of the large variant"
)]
#[derive(Debug)]
pub(super) enum Conn {
    /// It speaks HTTP/1, or is not known yet.
    Http1(Http1),
    /// It speaks HTTP/2.
    Http2(Box<Http2>),
    /// It is a `WebSocket`.
    WebSocket(Box<WebSocket>),
}

impl Conn {
    pub(super) fn new(id: u64) -> Self {
        Self::Http1(Http1::new(id))
    }

    pub(super) fn link(&self) -> &Link {
        match self {
            Self::Http1(http1) => &http1.link,
            Self::Http2(http2) => &http2.link,
            Self::WebSocket(websocket) => &websocket.link,
        }
    }

    pub(super) fn link_mut(&mut self) -> &mut Link {
        match self {
            Self::Http1(http1) => &mut http1.link,
            Self::Http2(http2) => &mut http2.link,
            Self::WebSocket(websocket) => &mut websocket.link,
        }
    }

    pub(super) fn open(&mut self, open: &OpenRecord, missing: u32, cx: &mut Context<'_>) {
        match self {
            Self::Http1(http1) => http1.open(open, missing, cx),
            Self::Http2(http2) => http2.open(open, missing, cx),
            // It was handed over by bytes, which come after the opening record.
            Self::WebSocket(_) => {}
        }
    }

    pub(super) fn data(
        &mut self,
        data: &DataRecord,
        payload: &[u8],
        missing: u32,
        cx: &mut Context<'_>,
    ) -> Fate {
        if let Self::Http1(http1) = self
            && let Some(begun) = http1.begun(data)
            && let Some(recognised) = recognise(&http1.link, begun, data, payload)
        {
            let link = std::mem::replace(&mut http1.link, Link::new(0));
            *self = Self::Http2(Box::new(recognised.connection(link)));
        }
        match self {
            Self::Http1(http1) => {
                let fate = http1.data(data, payload, missing, cx);
                match http1.take_handover() {
                    Some(handover) => self.hand_over(handover, data, payload, cx),
                    None => fate,
                }
            }
            Self::Http2(http2) => http2.data(data, payload, missing, cx),
            Self::WebSocket(websocket) => websocket.data(data, payload, missing, cx),
        }
    }

    /// From within a record on the connection speaks another protocol.
    fn hand_over(
        &mut self,
        handover: Box<Handover>,
        data: &DataRecord,
        payload: &[u8],
        cx: &mut Context<'_>,
    ) -> Fate {
        let behind = payload.len().saturating_sub(handover.rest);
        let rest = payload.get(behind..).unwrap_or_default();
        match handover.to {
            Upgrade::WebSocket => {
                let link = std::mem::replace(self.link_mut(), Link::new(0));
                let (websocket, fate) = WebSocket::begin(link, handover, data, rest, cx);
                *self = Self::WebSocket(Box::new(websocket));
                fate
            }
            Upgrade::H2c => {
                let link = std::mem::replace(self.link_mut(), Link::new(0));
                let http2 = Http2::upgraded(link, &handover, data, rest, cx);
                *self = Self::Http2(Box::new(http2));
                Fate::Keep
            }
            Upgrade::Other => {
                let bodies = [handover.request_body, Some(0)];
                let ended = KernelTime(data.time);
                handover.finish(bodies, ended, None, Session::Plain, cx);
                Fate::Ignore
            }
        }
    }

    pub(super) fn close(
        &mut self,
        close: &CloseRecord,
        missing: u32,
        cx: &mut Context<'_>,
    ) -> Fate {
        match self {
            Self::Http1(http1) => http1.close(close, missing, cx),
            Self::Http2(http2) => http2.close(close, missing, cx),
            Self::WebSocket(websocket) => websocket.close(close, missing, cx),
        }
    }

    /// The peer of a unix socket is gone, or sends no more.
    pub(super) fn peer_left(&mut self, time: KernelTime) {
        match self {
            Self::Http1(http1) => http1.peer_left(time, false),
            Self::Http2(http2) => http2.peer_left(time),
            Self::WebSocket(websocket) => websocket.peer_left(time),
        }
    }

    /// The process that used the connection last is gone.
    pub(super) fn process_exited(&mut self, time: KernelTime, cx: &mut Context<'_>) -> Fate {
        match self {
            Self::Http1(http1) => http1.process_exited(time, cx),
            Self::Http2(http2) => http2.process_exited(time, cx),
            Self::WebSocket(websocket) => websocket.process_exited(time, cx),
        }
    }

    /// Whether time alone can change it.
    pub(super) fn is_waiting(&self) -> bool {
        match self {
            Self::Http1(http1) => http1.is_waiting(),
            Self::Http2(http2) => http2.is_waiting(),
            Self::WebSocket(websocket) => websocket.is_waiting(),
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: KernelTime, cx: &mut Context<'_>) -> Fate {
        match self {
            Self::Http1(http1) => http1.tick(now, cx),
            Self::Http2(http2) => http2.tick(now, cx),
            Self::WebSocket(websocket) => websocket.tick(now, cx),
        }
    }

    /// Whether no exchange is open.
    pub(super) fn is_idle(&self) -> bool {
        match self {
            Self::Http1(http1) => http1.is_idle(),
            Self::Http2(http2) => http2.is_idle(),
            Self::WebSocket(websocket) => websocket.is_idle(),
        }
    }

    /// Exchanges that are open make no spans.
    pub(super) fn lose_open(&mut self, reason: Loss, cx: &mut Context<'_>) {
        match self {
            Self::Http1(http1) => http1.lose_pending(reason, cx),
            Self::Http2(http2) => http2.lose_open(reason, cx),
            Self::WebSocket(websocket) => websocket.lose_open(reason, cx),
        }
    }

    /// The agent stops.
    pub(super) fn stop(&mut self, now: KernelTime, cx: &mut Context<'_>) {
        match self {
            Self::Http1(http1) => http1.stop(now, cx),
            Self::Http2(http2) => http2.stop(now, cx),
            Self::WebSocket(websocket) => websocket.stop(now, cx),
        }
    }
}
