//! Link layers: from a frame to the IP packet in it. Knows nothing of what is in that packet.
//!
//! Numbers and forms: <https://www.tcpdump.org/linktypes.html>.

/// Numbers that differ between systems are all accepted: a raw IP packet is 12, 14 (OpenBSD) or
/// 101 (in files), and NULL's family is in the byte order of the capturing host.
const NULL: u32 = 0;
const ETHERNET: u32 = 1;
const RAW: [u32; 3] = [12, 14, 101];
const LOOP: u32 = 108;
const SLL: u32 = 113;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
const SLL2: u32 = 276;

/// Ethernet protocol numbers (IEEE 802 numbers, and what was in use for VLANs before 802.1ad).
const TYPE_IPV4: u16 = 0x0800;
const TYPE_IPV6: u16 = 0x86dd;
const TYPE_VLAN: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];

/// `AF_INET` is 2 everywhere; `AF_INET6` is 10 on Linux, 24, 28 or 30 on BSDs and macOS.
const FAMILY_IPV4: u32 = 2;
const FAMILY_IPV6: [u32; 4] = [10, 24, 28, 30];

/// Whether packets of a link type can be read.
pub(super) fn is_supported(link: u32) -> bool {
    RAW.contains(&link) || matches!(link, NULL | ETHERNET | LOOP | SLL | IPV4 | IPV6 | SLL2)
}

/// The name of a link type that people capture and that is not supported, for a message.
pub(super) fn name(link: u32) -> &'static str {
    match link {
        6 => " (token ring)",
        9 => " (PPP)",
        50 => " (PPP in HDLC framing)",
        51 => " (PPPoE)",
        105 => " (802.11)",
        127 => " (802.11 with radiotap headers)",
        147..=162 => " (private use)",
        187 | 201 => " (Bluetooth)",
        189 | 220 => " (USB)",
        192 => " (PPI)",
        195 | 230 => " (802.15.4)",
        239 => " (netfilter log)",
        253 => " (netlink)",
        _ => "",
    }
}

/// Bytes before the IP packet in a frame; `None` when it holds none, or not all of them are there.
pub(super) fn header(link: u32, frame: &[u8]) -> Option<usize> {
    match link {
        ETHERNET => ether(frame, 12),
        SLL => ether(frame, 14),
        // Its protocol comes first, its header ends 20 bytes later.
        SLL2 => match number(frame, 0)? {
            vlan if TYPE_VLAN.contains(&vlan) => ether(frame, 22),
            protocol => is_ip(protocol).then_some(20),
        },
        NULL | LOOP => {
            let family = u32::from_be_bytes(*frame.first_chunk()?);
            // A family has one byte: in the other order it is the last one of the number.
            let family = if family > 0xffff {
                family.swap_bytes()
            } else {
                family
            };
            (family == FAMILY_IPV4 || FAMILY_IPV6.contains(&family)).then_some(4)
        }
        _ => Some(0),
    }
}

/// Follows protocol numbers from the one at `at`, through any number of VLAN tags.
fn ether(frame: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let protocol = number(frame, at)?;
        if TYPE_VLAN.contains(&protocol) {
            at += 4;
        } else {
            return is_ip(protocol).then_some(at + 2);
        }
    }
}

fn is_ip(protocol: u16) -> bool {
    matches!(protocol, TYPE_IPV4 | TYPE_IPV6)
}

fn number(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?))
}
