//! Requests of one connection that wait for their responses, oldest first. Knows no bytes.

use std::collections::VecDeque;

use crate::{
    clock::KernelTime,
    protocol::http1::{Answering, ResponseHead},
    stream::{call::Call, exchange::ExchangeId},
};

/// A request whose exchange has not ended.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
#[derive(Debug)]
pub(super) struct Pending {
    /// `None` for a request that is known to be there and could not be read: its response is
    /// passed over.
    pub(super) id: Option<ExchangeId>,
    pub(super) answering: Answering,
    /// Turn in which the request's head ended.
    pub(super) opened: u32,
    /// Last turn in which a part of the request was read.
    pub(super) turn: u32,
    pub(super) request_body: u64,
    /// How long the request's body is, is not known.
    pub(super) request_unmeasured: bool,
    /// The request waits for a 100 before its content follows, and none came.
    pub(super) expects: bool,
    /// Whether no more of the request will come.
    pub(super) request_done: bool,
    pub(super) response: Option<ResponseHead>,
    pub(super) response_body: u64,
    /// When the response was whole.
    pub(super) response_ended: Option<KernelTime>,
    /// The request's head was not copied to its end.
    pub(super) request_cut: bool,
    /// The response's head was not copied to its end.
    pub(super) response_cut: bool,
    pub(super) gap_bytes: u64,
    pub(super) call: Option<Box<Call>>,
}

impl Pending {
    pub(super) fn new(id: Option<ExchangeId>, answering: Answering, turn: u32) -> Self {
        Self {
            id,
            answering,
            opened: turn,
            turn,
            request_body: 0,
            request_unmeasured: false,
            expects: false,
            request_done: false,
            response: None,
            response_body: 0,
            response_ended: None,
            request_cut: false,
            response_cut: false,
            gap_bytes: 0,
            call: None,
        }
    }
}

/// First in, first out. Nearly always there is one at most, which needs no allocation.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    oldest: Option<Pending>,
    rest: VecDeque<Pending>,
}

impl Pipeline {
    pub(super) fn len(&self) -> usize {
        usize::from(self.oldest.is_some()) + self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.oldest.is_none()
    }

    pub(super) fn first(&self) -> Option<&Pending> {
        self.oldest.as_ref()
    }

    pub(super) fn oldest(&mut self) -> Option<&mut Pending> {
        self.oldest.as_mut()
    }

    pub(super) fn newest(&mut self) -> Option<&mut Pending> {
        self.rest.back_mut().or(self.oldest.as_mut())
    }

    pub(super) fn last(&self) -> Option<&Pending> {
        self.rest.back().or(self.oldest.as_ref())
    }

    pub(super) fn push(&mut self, pending: Pending) {
        if self.oldest.is_none() {
            self.oldest = Some(pending);
        } else {
            self.rest.push_back(pending);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Pending> {
        let oldest = self.oldest.take();
        self.oldest = self.rest.pop_front();
        if self.rest.is_empty() {
            self.rest = VecDeque::new();
        }
        oldest
    }
}
