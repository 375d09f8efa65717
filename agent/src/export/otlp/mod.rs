//! OTLP to a back end, by gRPC, HTTP/protobuf or HTTP/JSON.
//!
//! `worker` makes batches, retries and splits; `transport` sends one request; `answer` says what a
//! reply means; `endpoint` and `tls` check the settings at start.

use std::{sync::Arc, thread};

mod answer;
mod backoff;
mod endpoint;
pub mod settings;
mod tls;
mod transport;
mod worker;

use self::{settings::OtlpSettings, transport::Transport, worker::Worker};
use super::{
    ExportError,
    queue::{FinishOnDrop, Pace, Queue},
};
use crate::metrics::counters::Counters;

/// Starts an exporter on a thread with a single-threaded runtime of its own.
pub(super) fn start(
    settings: OtlpSettings,
    pace: Pace,
    counters: Arc<Counters>,
) -> Result<Arc<Queue>, ExportError> {
    let transport = Transport::new(&settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|source| ExportError::Thread { source })?;
    let batch = settings.batch;
    let queue = Arc::new(Queue::new(
        batch.max_queue_size,
        batch.max_export_batch_size,
        pace,
        counters,
    ));
    let finish = FinishOnDrop(Arc::clone(&queue));
    let worker = Worker::new(Arc::clone(&queue), transport, settings);
    thread::Builder::new()
        .name("export-otlp".to_owned())
        .spawn(move || {
            runtime.block_on(worker.run());
            drop(finish);
            // A name look-up may still block one of the runtime's threads.
            runtime.shutdown_background();
        })
        .map_err(|source| ExportError::Thread { source })?;
    Ok(queue)
}

#[cfg(test)]
mod tests;
