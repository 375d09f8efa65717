//! Tests.

mod bytes;
mod h2;
mod likeness;
mod losses;
mod reading;
