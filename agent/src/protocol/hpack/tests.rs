//! Tests.

mod appendix_c;
mod encoder;
mod independent;
mod interop;
mod sequences;
