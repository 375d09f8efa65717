//! Memory that the start needed goes back to the system. Knows the allocator, and nothing else.

/// Gives the allocator's unused pages back. Reading the kernel's types takes some 18 MB for a
/// moment, which glibc would otherwise keep for as long as the agent runs.
pub fn release_unused() {
    // SAFETY: takes no pointer; may be called at any time from any thread (glibc 2.8).
    unsafe {
        libc::malloc_trim(0);
    }
}
