//! The examples of RFC 7541 appendix C, all of them.

use super::super::{Decoder, wire::Wire};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

/// Decodes one block; gives its fields as `name: value`.
fn fields(decoder: &mut Decoder, hex: &str) -> Vec<String> {
    let mut fields = Vec::new();
    decoder
        .decode(&bytes(hex), |field| {
            fields.push(format!(
                "{}: {}",
                str::from_utf8(field.name.unwrap()).unwrap(),
                str::from_utf8(field.value.unwrap()).unwrap()
            ));
        })
        .unwrap();
    fields
}

/// The table's entries and its size.
fn table(decoder: &mut Decoder) -> (Vec<String>, usize) {
    let mut entries = Vec::new();
    while let Ok(Some(entry)) = decoder.table_mut().get(entries.len()) {
        let name = entry.name.as_ref().unwrap().text().unwrap();
        entries.push(format!("{name}: {}", entry.value.text().unwrap()));
    }
    (entries, decoder.table_mut().size())
}

#[test]
fn c1_integers() {
    for (hex, prefix, value) in [("0a", 5, 10), ("1f9a0a", 5, 1337), ("2a", 8, 42)] {
        assert_eq!(Wire::new(&bytes(hex)).integer(prefix), Ok(value));
    }
}

#[test]
fn c2_representations() {
    for (hex, field, size) in [
        (
            "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            "custom-key: custom-header",
            55,
        ),
        (
            "040c 2f73 616d 706c 652f 7061 7468",
            ":path: /sample/path",
            0,
        ),
        (
            "1008 7061 7373 776f 7264 0673 6563 7265 74",
            "password: secret",
            0,
        ),
        ("82", ":method: GET", 0),
    ] {
        let mut decoder = Decoder::new();
        assert_eq!(fields(&mut decoder, hex), [field]);
        assert_eq!(table(&mut decoder).1, size);
    }
}

/// Sequences of blocks on one connection: each block, its fields, the table and its size after it.
struct Example {
    blocks: [&'static str; 3],
    fields: [&'static [&'static str]; 3],
    tables: [(&'static [&'static str], usize); 3],
    /// The table's size limit.
    limit: usize,
}

fn check(example: &Example) {
    let mut decoder = Decoder::new();
    decoder.table_mut().resize(example.limit);
    for ((block, expected), (entries, size)) in example
        .blocks
        .iter()
        .zip(example.fields)
        .zip(example.tables)
    {
        assert_eq!(fields(&mut decoder, block), expected);
        let (found, found_size) = table(&mut decoder);
        assert_eq!(found, entries);
        assert_eq!(found_size, size);
        assert!(decoder.is_certain());
    }
}

const REQUESTS: [&[&str]; 3] = [
    &[
        ":method: GET",
        ":scheme: http",
        ":path: /",
        ":authority: www.example.com",
    ],
    &[
        ":method: GET",
        ":scheme: http",
        ":path: /",
        ":authority: www.example.com",
        "cache-control: no-cache",
    ],
    &[
        ":method: GET",
        ":scheme: https",
        ":path: /index.html",
        ":authority: www.example.com",
        "custom-key: custom-value",
    ],
];

const REQUEST_TABLES: [(&[&str], usize); 3] = [
    (&[":authority: www.example.com"], 57),
    (
        &["cache-control: no-cache", ":authority: www.example.com"],
        110,
    ),
    (
        &[
            "custom-key: custom-value",
            "cache-control: no-cache",
            ":authority: www.example.com",
        ],
        164,
    ),
];

#[test]
fn c3_and_c4_requests() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let huffman = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for blocks in [plain, huffman] {
        check(&Example {
            blocks,
            fields: REQUESTS,
            tables: REQUEST_TABLES,
            limit: 4096,
        });
    }
}

const DATE: &str = "date: Mon, 21 Oct 2013 20:13:21 GMT";
const LATER: &str = "date: Mon, 21 Oct 2013 20:13:22 GMT";
const LOCATION: &str = "location: https://www.example.com";
const PRIVATE: &str = "cache-control: private";
const COOKIE: &str = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const GZIP: &str = "content-encoding: gzip";

#[test]
fn c5_and_c6_responses_that_evict() {
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
         6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
         3d31",
    ];
    let huffman = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
         9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    for blocks in [plain, huffman] {
        check(&Example {
            blocks,
            fields: [
                &[":status: 302", PRIVATE, DATE, LOCATION],
                &[":status: 307", PRIVATE, DATE, LOCATION],
                &[":status: 200", PRIVATE, LATER, LOCATION, GZIP, COOKIE],
            ],
            tables: [
                (&[LOCATION, DATE, PRIVATE, ":status: 302"], 222),
                (&[":status: 307", LOCATION, DATE, PRIVATE], 222),
                (&[COOKIE, GZIP, LATER], 215),
            ],
            limit: 256,
        });
    }
}
