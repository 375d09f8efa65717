//! x
fn main() {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .init();
    let (k, mut rings) =
        wirespan::bpf::load::Kernel::load(wirespan::bpf::support::HookSet::Tracepoint).unwrap();
    for p in k.programs() {
        println!("{p:?}");
    }
    for _ in 0..300 {
        rings.wait(std::time::Duration::from_millis(10)).unwrap();
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        rings.drain(
            wirespan::clock::KernelTime(t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64),
            |r| {
                println!("{} {:?} {}", r[0], &r[1..8], r.len());
                if r[0] == 1 {
                    println!(
                        "{:?}",
                        String::from_utf8_lossy(&r[64.min(r.len())..r.len().min(164)])
                    );
                }
            },
        );
    }
    println!("{:?}", k.stats());
}
