//! The kernel programs of wirespan.
#![no_std]
#![no_main]
