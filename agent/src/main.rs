//! x
fn main() {
    tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).init();
    let h = if std::env::args().nth(1).as_deref() == Some("t") { wirespan::bpf::support::HookSet::Trampoline } else { wirespan::bpf::support::HookSet::Tracepoint };
    let (k, mut rings) = match wirespan::bpf::load::Kernel::load(h) { Ok(x) => x, Err(e) => { println!("{e}"); return; } };
    for p in k.programs() { println!("{p:?}"); }
    let mut n = 0u64; let mut b = 0u64; let mut passes=0u64;
    for _ in 0..700 {
        rings.wait(std::time::Duration::from_millis(10)).unwrap(); passes+=1;
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        rings.drain(wirespan::clock::KernelTime(t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64), |r| {
            n += 1; b += r.len() as u64;
            if r[0] <= 3 { println!("{:?} {}", &r[0..8], String::from_utf8_lossy(&r[56.min(r.len())..]).trim_end_matches('\0')); }
        });
    }
    println!("{n} {b} {passes} {:?}", k.stats());
}
