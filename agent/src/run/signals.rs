//! SIGINT and SIGTERM: the first asks for an orderly end, the second ends at once.

use std::{
    io,
    process::exit,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What shells report for a program that SIGINT has ended.
const INTERRUPTED: i32 = 130;

/// Listens on a thread of its own.
pub(super) struct Signals {
    wanted: Arc<AtomicBool>,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        let wanted = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let (interrupt, terminate) = runtime.block_on(async {
            Ok::<_, io::Error>((
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            ))
        })?;
        let seen = Arc::clone(&wanted);
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(listen(interrupt, terminate, &seen)))?;
        Ok(Self { wanted })
    }

    /// Whether the agent was asked to end.
    pub(super) fn stop_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }
}

async fn listen(mut interrupt: Signal, mut terminate: Signal, seen: &AtomicBool) {
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if seen.swap(true, Ordering::Relaxed) {
            exit(INTERRUPTED);
        }
    }
}
