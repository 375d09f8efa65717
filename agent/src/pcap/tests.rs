//! Captures written by hand, by chance, and by real programs, read into exchanges.

mod chance;
mod connections;
mod ends;
mod files;
mod packets;
mod real;
mod replay;
mod talk;
