//! The instruments: names, units and attributes by the OpenTelemetry naming rules, values from
//! the counters and from `/proc/self`.

use std::{fs, sync::Arc};

use opentelemetry::{KeyValue, metrics::Meter};

use super::super::counters::{Counters, Flow, Loss};

/// Registers all of them.
pub(super) fn register(meter: &Meter, counters: &Arc<Counters>) {
    counter(
        meter,
        ("wirespan.spans", "{span}", "Spans made, by kind."),
        "wirespan.span.kind",
        counters,
        |counters| {
            vec![
                ("server", counters.flow(Flow::ServerSpans)),
                ("client", counters.flow(Flow::ClientSpans)),
            ]
        },
    );
    counter(
        meter,
        (
            "wirespan.exchanges.lost",
            "{exchange}",
            "Requests that are known to have gone by unseen, by the role of the observed end.",
        ),
        "wirespan.role",
        counters,
        |counters| {
            let lost = counters.exchanges_lost();
            vec![
                ("server", lost.server),
                ("client", lost.client),
                ("unknown", lost.unknown),
            ]
        },
    );
    counter(
        meter,
        (
            "wirespan.io",
            "By",
            "Bytes that traced sockets moved, by what became of them.",
        ),
        "wirespan.io.state",
        counters,
        |counters| {
            vec![
                ("captured", counters.flow(Flow::BytesCaptured)),
                ("skipped", counters.flow(Flow::BytesSkipped)),
                ("gap", counters.flow(Flow::BytesGap)),
            ]
        },
    );
    counter(
        meter,
        (
            "wirespan.export.spans",
            "{span}",
            "Spans handed to back ends, by outcome.",
        ),
        "wirespan.export.outcome",
        counters,
        |counters| {
            vec![
                ("accepted", counters.flow(Flow::ExportAccepted)),
                ("rejected", counters.flow(Flow::ExportRejected)),
                ("dropped", counters.flow(Flow::ExportDropped)),
            ]
        },
    );
    losses(meter, counters);
    process(meter);
}

/// An observable counter with one attribute.
fn counter(
    meter: &Meter,
    (name, unit, description): (&'static str, &'static str, &'static str),
    key: &'static str,
    counters: &Arc<Counters>,
    read: fn(&Counters) -> Vec<(&'static str, u64)>,
) {
    let counters = Arc::clone(counters);
    meter
        .u64_observable_counter(name)
        .with_unit(unit)
        .with_description(description)
        .with_callback(move |observer| {
            for (value, count) in read(&counters) {
                observer.observe(count, &[KeyValue::new(key, value)]);
            }
        })
        .build();
}

fn losses(meter: &Meter, counters: &Arc<Counters>) {
    let counters = Arc::clone(counters);
    meter
        .u64_observable_counter("wirespan.losses")
        .with_unit("{loss}")
        .with_description("What was lost, by reason; each reason has a unit of its own.")
        .with_callback(move |observer| {
            for reason in Loss::ALL {
                let attributes = [
                    KeyValue::new("wirespan.loss.reason", reason.name()),
                    KeyValue::new("wirespan.loss.unit", reason.unit()),
                ];
                observer.observe(counters.loss(*reason), &attributes);
            }
        })
        .build();
}

fn process(meter: &Meter) {
    meter
        .f64_observable_counter("process.cpu.time")
        .with_unit("s")
        .with_description("CPU time that the agent itself used, by mode.")
        .with_callback(|observer| {
            let stat = fs::read_to_string("/proc/self/stat");
            if let Some((user, system)) = stat.ok().and_then(|stat| cpu_seconds(&stat)) {
                observer.observe(user, &[KeyValue::new("cpu.mode", "user")]);
                observer.observe(system, &[KeyValue::new("cpu.mode", "system")]);
            }
        })
        .build();
    meter
        .i64_observable_up_down_counter("process.memory.usage")
        .with_unit("By")
        .with_description("Physical memory that the agent itself uses.")
        .with_callback(|observer| {
            let statm = fs::read_to_string("/proc/self/statm");
            if let Some(bytes) = statm.ok().and_then(|statm| resident_bytes(&statm)) {
                observer.observe(bytes, &[]);
            }
        })
        .build();
}

/// `utime` and `stime`, fields 14 and 15 of proc(5)'s `stat`; the state is field 3.
fn cpu_seconds(stat: &str) -> Option<(f64, f64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut seconds = || -> Option<f64> {
        // Ticks of 10 ms fit into 32 bits for 497 days of CPU time; then the counter stays.
        let ticks = u32::try_from(fields.next()?.parse::<u64>().ok()?).unwrap_or(u32::MAX);
        Some(f64::from(ticks) / 100.0)
    };
    Some((seconds()?, seconds()?))
}

/// The second field of proc(5)'s `statm`, in pages.
fn resident_bytes(statm: &str) -> Option<i64> {
    let pages: i64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(i64::try_from(rustix::param::page_size()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_usage() {
        let stat = "1 (a b) c) S 1 1 1 0 -1 4194560 1 2 3 4 1234 56 0 0 20 0 1 0 1 2 3";
        assert_eq!(cpu_seconds(stat), Some((12.34, 0.56)));
        assert_eq!(cpu_seconds("1 (a) S 1"), None);
        let statm = fs::read_to_string("/proc/self/statm").unwrap();
        assert!(resident_bytes(&statm).unwrap() > 1 << 20);
        assert_eq!(resident_bytes("12"), None);
    }
}
