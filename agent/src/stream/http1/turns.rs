//! Messages whose end their framing does not tell, because bytes that say it were not copied: their
//! turn and their last bytes tell it. Knows nothing of how those are read.

use super::{Http1, side::Sync, tail::Ending};
use crate::{clock::KernelTime, metrics::counters::Loss, stream::link::Context};

/// A chunked response whose last bytes are those of the last chunk is over when nothing followed
/// them for this long: content may look the same, and then goes on at once.
pub(super) const LAST_CHUNK_IDLE: u64 = 50_000_000;

impl Http1 {
    /// A turn is over. Messages whose end only that tells are whole, unless their last bytes show
    /// that they go on. `certain` when all records of that turn were seen.
    pub(super) fn turn_over(&mut self, certain: bool, cx: &mut Context<'_>) {
        let Some((request, response)) = self.link.ways() else {
            return;
        };
        if self.sides[request].sync == Sync::Turn
            && !(certain && self.request_ending() == Ending::Open)
        {
            self.sides[request].lose();
            let is_only = self.pipeline.len() == 1;
            if let Some(newest) = self.pipeline.newest() {
                // Others may stand behind it, of a client that is known to do that.
                newest.request_unmeasured |= !is_only || !certain;
            }
            self.request_whole(cx);
        }
        // What the client sends while its request is not whole says nothing of the response.
        let asks_anew = !self.sides[request].reader.is_in_body();
        if self.sides[response].sync == Sync::Turn
            && !(certain && (self.ending() == Some(Ending::Open) || !asks_anew))
        {
            self.response_turn_over(certain, cx);
        }
    }

    /// The response whose end only the end of its turn tells is over; `certain` if that is known.
    pub(super) fn response_turn_over(&mut self, certain: bool, cx: &mut Context<'_>) {
        let Some((_, response)) = self.link.ways() else {
            return;
        };
        let is_alone = self.is_alone();
        let last = self.sides[response].last;
        self.sides[response].lose();
        if certain && is_alone {
            self.response_whole(last, cx);
        } else {
            self.lose_oldest(Loss::Gap, cx);
        }
    }

    /// What is known of the end of a response that its framing no longer tells; `None` when there
    /// is no such response.
    pub(super) fn ending(&self) -> Option<Ending> {
        let (_, response) = self.link.ways()?;
        if self.sides[response].sync != Sync::Turn {
            return None;
        }
        // Behind a head that was cut may be a body of any kind, and the last bytes may be those
        // of another response than the oldest request's.
        let is_chunked = self.is_alone() && !self.pipeline.first()?.response_cut;
        Some(if is_chunked {
            self.sides[response].tail.ending()
        } else {
            Ending::Unknown
        })
    }

    /// What is known of the end of a request that its framing no longer tells.
    pub(super) fn request_ending(&self) -> Ending {
        match (self.link.ways(), self.pipeline.last()) {
            (Some((request, _)), Some(newest)) if !newest.request_cut => {
                self.sides[request].tail.ending()
            }
            _ => Ending::Unknown,
        }
    }

    /// Whether all that was sent in the turns of responses since the oldest request answers that.
    pub(super) fn is_alone(&self) -> bool {
        let is_read = |opened: u32| self.doubt.is_none_or(|doubt| doubt < opened);
        !self.overlaps
            && self.pipeline.len() == 1
            && self
                .pipeline
                .first()
                .is_some_and(|oldest| is_read(oldest.opened))
    }

    /// Since when the direction of responses is silent, when that ends the response in it.
    pub(super) fn silence(&self) -> Option<KernelTime> {
        let (_, response) = self.link.ways()?;
        (self.ending()? == Ending::Whole).then(|| self.sides[response].last)
    }
}
