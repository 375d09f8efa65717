//! x
/// x
pub enum HookSet {
    /// x
    Tracepoint,
    /// x
    Trampoline,
}
