//! Types made by hand, broken in every way, and the running kernel's own.

use proptest::prelude::*;

use super::*;

/// Writes BTF as a compiler does.
#[derive(Default)]
pub(crate) struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            strings: vec![0],
            ..Self::default()
        }
    }

    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.types.extend(word.to_le_bytes());
        }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        at
    }

    fn add(&mut self, name: &str, kind: u8, size_or_type: u32, extra: &[u32]) -> u32 {
        let name = self.string(name);
        self.words(&[name, u32::from(kind) << 24, size_or_type]);
        self.words(extra);
        self.count += 1;
        self.count
    }

    pub(crate) fn integer(&mut self, bytes: u32) -> u32 {
        self.add("integer", kind::INT, bytes, &[bytes * 8])
    }

    pub(crate) fn composite(
        &mut self,
        name: &str,
        is_union: bool,
        size: u32,
        members: &[(&str, u32, u32)],
    ) -> u32 {
        self.flagged(name, is_union, false, size, members)
    }

    fn flagged(
        &mut self,
        name: &str,
        is_union: bool,
        flag: bool,
        size: u32,
        members: &[(&str, u32, u32)],
    ) -> u32 {
        let kind = if is_union { kind::UNION } else { kind::STRUCT };
        let count = u32::try_from(members.len()).unwrap();
        let name = self.string(name);
        let info = u32::from(flag) << 31 | u32::from(kind) << 24 | count;
        self.words(&[name, info, size]);
        for &(name, number, placed) in members {
            let name = self.string(name);
            self.words(&[name, number, placed]);
        }
        self.count += 1;
        self.count
    }

    /// An enumeration, of 64-bit values where `wide`.
    pub(crate) fn enumeration(&mut self, name: &str, wide: bool, values: &[(&str, u64)]) -> u32 {
        let kind = if wide { kind::ENUM64 } else { kind::ENUM };
        let count = u32::try_from(values.len()).unwrap();
        let name = self.string(name);
        self.words(&[
            name,
            u32::from(kind) << 24 | count,
            if wide { 8 } else { 4 },
        ]);
        for &(name, value) in values {
            let name = self.string(name);
            let [low, high] = [value & 0xffff_ffff, value >> 32];
            let [low, high] = [low, high].map(|half| u32::try_from(half).unwrap());
            self.words(&[name, low]);
            if wide {
                self.words(&[high]);
            }
        }
        self.count += 1;
        self.count
    }

    pub(crate) fn finish(&self) -> Vec<u8> {
        let types = u32::try_from(self.types.len()).unwrap();
        let strings = u32::try_from(self.strings.len()).unwrap();
        let mut file = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types, types, strings] {
            file.extend(word.to_le_bytes());
        }
        file.extend(&self.types);
        file.extend(&self.strings);
        file
    }
}

/// `struct sock` in small: anonymous unions, qualifiers, arrays, pointers and bit-fields.
fn sample() -> Vec<u8> {
    let mut to = Builder::new();
    let byte = to.integer(1);
    let short = to.integer(2);
    let word = to.integer(4);
    let long = to.integer(8);
    let constant = to.add("", kind::CONST, word, &[]);
    let alias = to.add("__be32", kind::TYPEDEF, constant, &[]);
    let address = to.composite(
        "",
        false,
        8,
        &[("skc_daddr", alias, 0), ("skc_rcv", alias, 32)],
    );
    let pair = to.composite("", true, 8, &[("skc_pair", long, 0), ("", address, 0)]);
    let array = to.add("", kind::ARRAY, 0, &[byte, word, 16]);
    let pointer = to.add("", kind::POINTER, 0, &[]);
    let common = to.composite(
        "sock_common",
        false,
        32,
        &[
            ("", pair, 0),
            ("skc_family", short, 64),
            ("skc_name", array, 80),
        ],
    );
    to.flagged(
        "sock",
        false,
        true,
        64,
        &[
            ("__sk_common", common, 0),
            ("sk_socket", pointer, 32 * 8),
            ("sk_shutdown", byte, (2 << 24) | (40 * 8)),
            ("sk_plain", word, 44 * 8),
        ],
    );
    to.add("sock", kind::FORWARD, 0, &[]);
    let old_bits = to.add("old_bits", kind::INT, 4, &[3]);
    to.composite("old", false, 8, &[("few", old_bits, 32)]);
    let prototype = to.add("", kind::PROTOTYPE, word, &[]);
    to.add("tcp_sendmsg", kind::FUNCTION, prototype, &[]);
    to.add("btf_trace_sock_send_length", kind::TYPEDEF, pointer, &[]);
    to.enumeration("colour", false, &[("RED", 0), ("GREEN", 6)]);
    to.enumeration("size", true, &[("SMALL", 7), ("LARGE", 1 << 40)]);
    to.finish()
}

fn bytes_at(btf: &Btf, path: &str) -> (u32, u32) {
    let member = btf.byte_member(path).unwrap();
    (member.offset, member.size)
}

#[test]
fn members_are_found_through_anonymous_ones() {
    let btf = Btf::parse(sample()).unwrap();
    assert_eq!(bytes_at(&btf, "sock.__sk_common.skc_daddr"), (0, 4));
    assert_eq!(bytes_at(&btf, "sock.__sk_common.skc_rcv"), (4, 4));
    assert_eq!(bytes_at(&btf, "sock.__sk_common.skc_pair"), (0, 8));
    assert_eq!(bytes_at(&btf, "sock.__sk_common.skc_family"), (8, 2));
    assert_eq!(bytes_at(&btf, "sock.__sk_common.skc_name"), (10, 16));
    assert_eq!(bytes_at(&btf, "sock.sk_socket"), (32, 8));
    assert_eq!(bytes_at(&btf, "sock.sk_plain"), (44, 4));
    assert_eq!(bytes_at(&btf, "sock"), (0, 64));
}

#[test]
fn bit_fields_have_no_byte_offset() {
    let btf = Btf::parse(sample()).unwrap();
    let member = btf.member("sock.sk_shutdown").unwrap();
    assert_eq!(
        member,
        Member {
            bit_offset: 320,
            bit_size: 2,
            bit_field: true
        }
    );
    assert!(matches!(
        btf.byte_member("sock.sk_shutdown"),
        Err(BtfError::BitField { .. })
    ));
    assert_eq!(btf.member("old.few").unwrap().bit_size, 3);
    assert!(btf.byte_member("old.few").is_err());
}

#[test]
fn what_is_missing_is_named() {
    let btf = Btf::parse(sample()).unwrap();
    let text = |path| btf.member(path).unwrap_err().to_string();
    assert_eq!(
        text("nothing.here"),
        "the kernel has no structure named nothing"
    );
    assert_eq!(
        text("sock.__sk_common.absent"),
        "the kernel's structures have no sock.__sk_common.absent: no member named absent"
    );
    // A pointer is not looked through, and a prefix of a name is not the name.
    assert!(btf.member("sock.sk_socket.file").is_err());
    assert!(btf.member("sock.sk_sock").is_err());
    assert!(btf.member("soc.sk_plain").is_err());
}

#[test]
fn functions_and_tracepoints_are_found() {
    let btf = Btf::parse(sample()).unwrap();
    assert!(btf.has_function("tcp_sendmsg"));
    assert!(!btf.has_function("tcp_recvmsg"));
    assert!(!btf.has_function("sock"));
    assert!(btf.has_tracepoint("sock_send_length"));
    assert!(!btf.has_tracepoint("sock_recv_length"));
    assert!(btf.has_struct("sock"));
    assert!(!btf.has_struct("__be32"));
}

#[test]
fn enumerators_have_their_values() {
    let btf = Btf::parse(sample()).unwrap();
    assert_eq!(btf.enumerator("colour", "RED"), Some(0));
    assert_eq!(btf.enumerator("colour", "GREEN"), Some(6));
    assert_eq!(btf.enumerator("size", "SMALL"), Some(7));
    // Too large, of another enumeration, no enumeration, not there.
    assert_eq!(btf.enumerator("size", "LARGE"), None);
    assert_eq!(btf.enumerator("size", "GREEN"), None);
    assert_eq!(btf.enumerator("sock", "RED"), None);
    assert_eq!(btf.enumerator("none", "RED"), None);
}

#[test]
fn enumerations_of_one_name_must_agree() {
    let mut to = Builder::new();
    to.enumeration("twice", false, &[("SAME", 1), ("MOVED", 2), ("ONCE", 4)]);
    to.enumeration("twice", false, &[("MOVED", 3), ("SAME", 1)]);
    let btf = Btf::parse(to.finish()).unwrap();
    assert_eq!(btf.enumerator("twice", "SAME"), Some(1));
    assert_eq!(btf.enumerator("twice", "ONCE"), Some(4));
    assert_eq!(btf.enumerator("twice", "MOVED"), None);
}

#[test]
fn structures_of_one_name_must_agree() {
    let mut to = Builder::new();
    let word = to.integer(4);
    to.composite("twice", false, 8, &[("same", word, 32), ("moved", word, 0)]);
    to.composite(
        "twice",
        false,
        16,
        &[("same", word, 32), ("moved", word, 64)],
    );
    let btf = Btf::parse(to.finish()).unwrap();
    assert_eq!(bytes_at(&btf, "twice.same"), (4, 4));
    assert!(matches!(
        btf.member("twice.moved"),
        Err(BtfError::Ambiguous { .. })
    ));
}

#[test]
fn types_that_contain_themselves_end() {
    let mut to = Builder::new();
    // Each anonymous member leads back to the structure: 2 to the power of the depth paths.
    to.composite("loop", false, 8, &[("", 1, 0), ("", 1, 0)]);
    to.add("", kind::TYPEDEF, 2, &[]);
    to.add("", kind::ARRAY, 0, &[3, 1, 2]);
    to.composite("more", false, 8, &[("typedef", 2, 0), ("array", 3, 0)]);
    let btf = Btf::parse(to.finish()).unwrap();
    for path in ["loop.x", "more.typedef", "more.array"] {
        assert!(
            matches!(btf.member(path), Err(BtfError::Malformed { .. })),
            "{path}"
        );
    }
}

#[test]
fn every_truncation_is_refused() {
    let whole = sample();
    for length in 0..whole.len() {
        let error = Btf::parse(whole[..length].to_vec()).unwrap_err();
        assert!(matches!(error, BtfError::Malformed { .. }), "{length}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Btf::from_file(Path::new("/nonexistent/btf")).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/btf"));
}

#[test]
fn the_running_kernel_is_understood() {
    let btf = Btf::from_kernel().unwrap();
    // These four have not moved since they were put into one cache line (Linux 3.11).
    assert_eq!(bytes_at(&btf, "sock.__sk_common.skc_daddr"), (0, 4));
    assert_eq!(bytes_at(&btf, "sock.__sk_common.skc_rcv_saddr"), (4, 4));
    assert_eq!(bytes_at(&btf, "sock.__sk_common.skc_dport"), (12, 2));
    assert_eq!(bytes_at(&btf, "sock.__sk_common.skc_num"), (14, 2));
    assert!(btf.has_function("tcp_sendmsg"));
    assert!(btf.has_tracepoint("inet_sock_set_state"));
    assert!(!btf.has_tracepoint("no_such_tracepoint"));
    assert!(btf.member("sock.__sk_common.skc_reuse").unwrap().bit_field);
}

/// Asks everything that can be asked; only a panic or an endless search would fail.
fn ask_everything(bytes: Vec<u8>) {
    let Ok(btf) = Btf::parse(bytes) else {
        return;
    };
    for path in [
        "sock",
        "sock.__sk_common.skc_rcv",
        "sock.__sk_common.absent",
        "sock.sk_shutdown",
        "old.few",
        "",
        ".",
        "sock..sk_plain",
    ] {
        let _ = btf.member(path);
        let _ = btf.byte_member(path);
    }
    let _ = btf.has_function("tcp_sendmsg");
    let _ = btf.has_tracepoint("sock_send_length");
    let _ = btf.enumerator("colour", "GREEN");
    let _ = btf.enumerator("size", "");
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
    ) {
        let mut bytes = sample();
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        ask_everything(bytes);
    }

    #[test]
    fn changed_words_never_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 1..6),
    ) {
        let mut bytes = sample();
        for (index, value) in changes {
            let at = index.index(bytes.len() / 4) * 4;
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        ask_everything(bytes);
    }

    #[test]
    fn arbitrary_types_never_panic(types in proptest::collection::vec(0u32..40, 0..200)) {
        let mut to = Builder::new();
        to.string("sock");
        for word in types {
            // Small numbers make references to other types and plausible kinds likely.
            to.words(&[word, (word << 24) | (word % 4), word]);
        }
        ask_everything(to.finish());
    }
}
