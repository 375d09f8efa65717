//! Tests.

mod appendix_c;
