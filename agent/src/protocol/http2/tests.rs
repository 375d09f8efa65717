//! Tests.

mod bytes;
mod likeness;
mod losses;
mod reading;
