//! Where one direction of a socket is among its frames. Knows neither how they are found nor what
//! becomes of their bytes.

use wirespan_ebpf::frames::Header;

/// Where one direction of a socket is among its frames.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Framer {
    /// Position of the next byte.
    pub(crate) position: u64,
    /// Bytes left of the current frame's payload.
    pub(crate) left: u64,
    /// The first of them, which are still to be copied.
    pub(crate) copied: u32,
    /// Bytes of `header` that were read.
    pub(crate) have: u32,
    /// The frame header that is being read.
    pub(crate) header: Header,
    /// See [`step`].
    pub(crate) step: u32,
    /// Zero.
    pub(crate) reserved: u32,
}

/// Values of [`Framer::step`]; between them is one more than the number of frames that were found
/// one behind the other, where there may be frames.
pub(crate) mod step {
    /// Where the next frame begins is not known.
    pub(crate) const OUT: u32 = 0;
    /// It is.
    pub(crate) const IN: u32 = u32::MAX;
}

impl Framer {
    /// At the first byte of a frame.
    #[inline(always)]
    pub(crate) fn begin(&mut self, step: u32) {
        self.left = 0;
        self.copied = 0;
        self.have = 0;
        self.step = step;
    }

    /// Bytes have moved that cannot be read: inside of a payload they change nothing.
    #[inline(always)]
    pub(crate) fn pass(&mut self, count: u64) {
        if count == 0 {
            return;
        }
        if self.have > 0 || count > self.left {
            self.step = step::OUT;
            return;
        }
        self.left -= count;
        let left = u64::from(self.copied);
        self.copied = if count < left {
            (left - count) as u32
        } else {
            0
        };
    }
}
