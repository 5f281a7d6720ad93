//! smux frames as the documents have them, apart from the crate's own code
//! (docs/PROTOCOL.md 8).

/// What a frame does to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Syn,
    Fin,
    Push,
    Nop,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SmuxFrame {
    pub(crate) command: Command,
    pub(crate) stream: u32,
    pub(crate) data: Vec<u8>,
}

/// A frame on the wire.
pub(crate) fn encoded(command: Command, stream: u32, data: &[u8]) -> Vec<u8> {
    let command = match command {
        Command::Syn => 0,
        Command::Fin => 1,
        Command::Push => 2,
        Command::Nop => 3,
    };
    let length = u16::try_from(data.len()).unwrap();
    let mut wire = vec![1, command];
    wire.extend(length.to_le_bytes());
    wire.extend(stream.to_le_bytes());
    wire.extend(data);
    wire
}

/// The frames of a whole byte stream.
pub(crate) fn frames(mut wire: &[u8]) -> Vec<SmuxFrame> {
    let mut frames = Vec::new();
    while let Some((header, rest)) = wire.split_first_chunk::<8>() {
        let [version, command, l0, l1, s0, s1, s2, s3] = *header;
        assert_eq!(version, 1);
        let (data, rest) = rest.split_at(usize::from(u16::from_le_bytes([l0, l1])));
        frames.push(SmuxFrame {
            command: match command {
                0 => Command::Syn,
                1 => Command::Fin,
                2 => Command::Push,
                3 => Command::Nop,
                other => panic!("command {other}"),
            },
            stream: u32::from_le_bytes([s0, s1, s2, s3]),
            data: data.to_vec(),
        });
        wire = rest;
    }
    assert!(wire.is_empty(), "half a frame");
    frames
}
