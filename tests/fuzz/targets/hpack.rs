//! Header blocks: what a decoder that missed some of them still says is what one says that saw
//! them all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wirespan::protocol::hpack::Decoder;

type Fields = Vec<(Option<Vec<u8>>, Option<Vec<u8>>)>;

fn decode(decoder: &mut Decoder, block: &[u8]) -> Option<Fields> {
    let mut fields = Vec::new();
    let result = decoder.decode(block, |field| {
        fields.push((
            field.name.map(<[u8]>::to_vec),
            field.value.map(<[u8]>::to_vec),
        ));
    });
    result.ok().map(|()| fields)
}

fuzz_target!(|input: &[u8]| {
    let Some((missed, input)) = input.split_first() else {
        return;
    };
    let mut all = Decoder::new();
    let mut some = Decoder::new();
    let mut rest = input;
    for number in 0_usize.. {
        let Some((length, behind)) = rest.split_first() else {
            break;
        };
        let (block, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        rest = behind;
        let Some(truth) = decode(&mut all, block) else {
            // Peers end the connection here.
            return;
        };
        if number == usize::from(missed % 8) {
            some.lose();
            continue;
        }
        let Some(told) = decode(&mut some, block) else {
            panic!("what is right with all of them is right with less");
        };
        assert_eq!(told.len(), truth.len());
        for (told, truth) in told.iter().zip(&truth) {
            assert!(told.0.is_none() || told.0 == truth.0);
            assert!(told.1.is_none() || told.1 == truth.1);
            assert!(some.is_certain() || number > usize::from(missed % 8));
        }
    }
    let _ = Decoder::uncertain().decode_cut(input, |_| ());
});
