//! Tests.

mod appendix_c;
mod encoder;
mod independent;
mod interop;
mod sequences;

use super::Decoder;

#[test]
fn a_size_update_between_fields_as_go_writes_it() {
    let mut fields = Vec::new();
    let block = b"\x3f\xe1\x1f\x88\x5c\x010\x3f\xe1\x1f\x89";
    let result = Decoder::new().decode(block, |field| {
        fields.push((field.name.unwrap().to_vec(), field.value.unwrap().to_vec()));
    });
    let field = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
    assert_eq!(result, Ok(()));
    assert_eq!(
        fields,
        [
            field(b":status", b"200"),
            field(b"content-length", b"0"),
            field(b":status", b"204"),
        ]
    );
}
