use super::*;
use crate::test_clock::epoch;

const PAYLOAD: usize = 1024;

fn client() -> Mux {
    Mux::new(MuxRole::Client, false, epoch())
}

fn agent() -> Mux {
    Mux::new(MuxRole::Agent, false, epoch())
}

/// Everything one end has to send, to the other.
fn carry(from: &mut Mux, to: &mut Mux) {
    while let Some(payload) = from.poll_transmit(PAYLOAD) {
        assert!(payload.len() <= PAYLOAD);
        to.handle_data(payload, epoch());
    }
}

fn events(mux: &mut Mux) -> Vec<MuxEvent> {
    std::iter::from_fn(|| mux.poll_event()).collect()
}

fn read_all(mux: &mut Mux, id: StreamId) -> (Vec<u8>, Received) {
    let mut data = Vec::new();
    loop {
        match mux.read(id) {
            Received::Data(piece) => data.extend(piece),
            end => return (data, end),
        }
    }
}

/// A stream that both ends know.
fn opened() -> (Mux, Mux, StreamId) {
    let (mut client, mut agent) = (client(), agent());
    let id = client.open().unwrap();
    carry(&mut client, &mut agent);
    assert_eq!(events(&mut agent), [MuxEvent::Opened(id)]);
    (client, agent, id)
}

#[test]
fn clients_open_streams_3_5_7_as_the_reference_client_does() {
    let mut client = client();
    let ids: Vec<_> = (0..3).map(|_| client.open().unwrap().0).collect();
    assert_eq!(ids, [3, 5, 7]);
    let payload = client.poll_transmit(PAYLOAD).unwrap();
    assert_eq!(payload[..8], [1, 0, 0, 0, 3, 0, 0, 0]);
    assert_eq!(payload.len(), 24);
}

#[test]
fn bytes_pass_both_ways_and_the_end_comes_behind_them() {
    let (mut client, mut agent, id) = opened();
    assert_eq!(client.write(id, Bytes::from_static(b"question")), 8);
    carry(&mut client, &mut agent);
    assert_eq!(events(&mut agent), [MuxEvent::Readable(id)]);
    assert_eq!(
        read_all(&mut agent, id),
        (b"question".to_vec(), Received::Pending)
    );
    agent.write(id, Bytes::from_static(b"answer"));
    agent.finish(id);
    carry(&mut agent, &mut client);
    assert_eq!(events(&mut client), [MuxEvent::Readable(id)]);
    assert_eq!(
        read_all(&mut client, id),
        (b"answer".to_vec(), Received::Finished)
    );
}

#[test]
fn a_stream_is_forgotten_when_both_ends_have_ended_it() {
    let (mut client, mut agent, id) = opened();
    client.finish(id);
    carry(&mut client, &mut agent);
    assert_eq!(agent.read(id), Received::Finished);
    agent.finish(id);
    carry(&mut agent, &mut client);
    assert_eq!((client.open_streams(), agent.open_streams()), (0, 0));
    assert_eq!(client.read(id), Received::Finished);
    assert_eq!(client.write(id, Bytes::from_static(b"x")), 0);
}

#[test]
fn data_read_after_the_end_was_sent_is_not_lost() {
    let (mut client, mut agent, id) = opened();
    client.finish(id);
    agent.write(id, Bytes::from_static(b"late"));
    agent.finish(id);
    carry(&mut client, &mut agent);
    carry(&mut agent, &mut client);
    assert_eq!(
        read_all(&mut client, id),
        (b"late".to_vec(), Received::Finished)
    );
    assert_eq!(client.open_streams(), 0);
}

#[test]
fn what_was_written_before_abandoning_still_goes_out_and_nothing_is_kept() {
    let (mut client, mut agent, id) = opened();
    agent.write(id, Bytes::from(vec![0; 100]));
    carry(&mut agent, &mut client);
    client.write(id, Bytes::from_static(b"last words"));
    client.abandon(id);
    assert_eq!(client.held, 0);
    carry(&mut client, &mut agent);
    assert_eq!(client.open_streams(), 0);
    assert_eq!(
        read_all(&mut agent, id),
        (b"last words".to_vec(), Received::Finished)
    );
    agent.write(id, Bytes::from_static(b"for nobody"));
    carry(&mut agent, &mut client);
    assert_eq!(client.held, 0);
}

#[test]
fn a_keystroke_leaves_in_the_next_payload_beside_a_bulk_transfer_on_every_other_stream() {
    let mut client = client();
    let bulk: Vec<_> = (0..100).map(|_| client.open().unwrap()).collect();
    let key = client.open().unwrap();
    for id in &bulk {
        client.write(*id, Bytes::from(vec![b'b'; 60_000]));
    }
    for _ in 0..250 {
        client.poll_transmit(PAYLOAD).unwrap();
    }
    for letter in [b"k", b"e", b"y"] {
        client.write(key, Bytes::from_static(letter));
        let payload = client.poll_transmit(PAYLOAD).unwrap();
        assert_eq!(payload[..9], [1, 2, 1, 0, 203, 0, 0, 0, letter[0]]);
        for _ in 0..500 {
            client.poll_transmit(PAYLOAD).unwrap();
        }
    }
}

#[test]
fn streams_with_much_to_send_get_equal_shares() {
    let mut client = client();
    let ids: Vec<_> = (0..4).map(|_| client.open().unwrap()).collect();
    let written: Vec<_> = ids
        .iter()
        .map(|id| client.write(*id, Bytes::from(vec![0; 100_000])))
        .collect();
    let payload = 16 * 1024;
    for _ in 0..8 {
        client.poll_transmit(payload).unwrap();
    }
    let sent: Vec<_> = ids
        .iter()
        .zip(written)
        .map(|(id, written)| written - client.streams[id].unsent())
        .collect();
    let (most, least) = (sent.iter().max().unwrap(), sent.iter().min().unwrap());
    assert!(most - least <= 2 * QUANTUM, "{sent:?}");
}

#[test]
fn a_frame_never_has_more_data_than_the_reference_sends() {
    let mut client = client();
    let id = client.open().unwrap();
    client.write(id, Bytes::from(vec![0; 65_000]));
    let payload = client.poll_transmit(1 << 20).unwrap();
    assert_eq!(payload[8..12], [1, 2, 0x00, 0x80]);
}

#[test]
fn a_writer_is_refused_beyond_its_bound_and_told_when_there_is_room() {
    let mut client = client();
    let id = client.open().unwrap();
    let room = client.room(id);
    assert_eq!(client.write(id, Bytes::from(vec![0; room + 1])), room);
    assert_eq!(client.room(id), 0);
    let mut told = Vec::new();
    while client.poll_transmit(PAYLOAD).is_some() {
        told.extend(events(&mut client));
    }
    assert_eq!(told, [MuxEvent::Writable(id)]);
}

/// Sends on every stream of `ids` in turn until `bytes` are sent on each.
fn send(agent: &mut Mux, client: &mut Mux, id: StreamId, bytes: usize) {
    let mut sent = 0;
    while sent < bytes {
        sent += agent.write(id, Bytes::from(vec![0; 32 * 1024]));
        carry(agent, client);
    }
}

#[test]
fn a_stream_that_nobody_reads_is_ended_and_the_others_go_on() {
    let (mut client, mut agent, dead) = opened();
    let alive = client.open().unwrap();
    carry(&mut client, &mut agent);
    events(&mut client);
    send(&mut agent, &mut client, dead, 1);
    assert_eq!(events(&mut client), [MuxEvent::Readable(dead)]);
    send(&mut agent, &mut client, dead, MAX_UNREAD);
    assert_eq!(events(&mut client), [MuxEvent::Readable(dead)], "again");
    assert_eq!(client.held, 0, "nothing of it is kept");
    assert_eq!(client.read(dead), Received::Overrun);
    assert_eq!(client.read(dead), Received::Finished);
    send(&mut agent, &mut client, alive, 1000);
    assert!(read_all(&mut client, alive).0.len() >= 1000);
    carry(&mut client, &mut agent);
    assert_eq!(client.open_streams(), 1);
    assert_eq!(read_all(&mut agent, dead).1, Received::Finished);
}

#[test]
fn a_stream_that_is_alone_holds_its_sender_back_instead() {
    let (mut client, mut agent, id) = opened();
    send(&mut agent, &mut client, id, MAX_UNREAD);
    assert!(client.is_saturated());
    let (data, end) = read_all(&mut client, id);
    assert!(data.len() >= MAX_UNREAD);
    assert_eq!(end, Received::Pending);
    assert!(!client.is_saturated());
}

#[test]
fn even_alone_a_stream_is_bounded() {
    let (mut client, mut agent, id) = opened();
    send(&mut agent, &mut client, id, MAX_UNREAD_IN_ALL);
    assert_eq!(client.read(id), Received::Overrun);
}

#[test]
fn all_readers_together_are_bounded_and_the_slowest_is_ended() {
    let (mut client, mut agent, first) = opened();
    let others: Vec<_> = (0..9).map(|_| client.open().unwrap()).collect();
    carry(&mut client, &mut agent);
    send(&mut agent, &mut client, first, 2_000_000);
    for id in others {
        send(&mut agent, &mut client, id, 1_800_000);
        assert!(client.held <= MAX_UNREAD_IN_ALL);
    }
    assert_eq!(client.read(first), Received::Overrun);
}

#[test]
fn the_smallest_pieces_count_too() {
    let (mut client, mut agent, dead) = opened();
    client.open().unwrap();
    carry(&mut client, &mut agent);
    for _ in 0..MAX_UNREAD / 64 {
        agent.write(dead, Bytes::from_static(b"x"));
        carry(&mut agent, &mut client);
    }
    assert_eq!(client.read(dead), Received::Overrun);
}

#[test]
fn frames_for_streams_that_do_not_exist_are_dropped_and_a_second_syn_is_ignored() {
    let (_, mut agent, id) = opened();
    for frame in [
        &[1, 2, 2, 0, 99, 0, 0, 0, 7, 7][..],
        &[1, 1, 0, 0, 99, 0, 0, 0],
        &[1, 0, 0, 0, 3, 0, 0, 0],
        &[1, 3, 0, 0, 0, 0, 0, 0],
    ] {
        agent.handle_data(Bytes::copy_from_slice(frame), epoch());
    }
    assert_eq!(events(&mut agent), []);
    assert_eq!((agent.open_streams(), id), (1, StreamId(3)));
}

#[test]
fn an_agent_takes_even_numbers_too() {
    let mut agent = agent();
    agent.handle_data(Bytes::from_static(&[1, 0, 0, 0, 2, 0, 0, 0]), epoch());
    assert_eq!(events(&mut agent), [MuxEvent::Opened(StreamId(2))]);
}

#[test]
fn an_agent_opens_no_stream_of_a_number_that_its_client_has_taken() {
    let mut agent = agent();
    let syn = Header::bare(Command::Syn, StreamId(2)).encode();
    agent.handle_data(Bytes::copy_from_slice(&syn), epoch());
    assert_eq!(agent.write(StreamId(2), Bytes::from_static(b"kept")), 4);
    assert_eq!(agent.open(), Some(StreamId(4)));
    let payload = agent.poll_transmit(PAYLOAD).unwrap();
    assert!(payload.windows(4).any(|part| part == b"kept"));
    assert_eq!(agent.open_streams(), 2);
}

#[test]
fn a_broken_peer_fails_the_session_once_and_for_all() {
    let (mut client, _, id) = opened();
    client.write(id, Bytes::from_static(b"x"));
    client.handle_data(Bytes::from_static(&[9; 64]), epoch());
    assert_eq!(
        events(&mut client),
        [MuxEvent::Failed(MuxError::Version(9))]
    );
    client.handle_data(Bytes::from_static(&[9; 64]), epoch());
    assert_eq!(events(&mut client), []);
    assert_eq!(client.open(), None);
    assert_eq!(client.poll_transmit(PAYLOAD), None);
    assert_eq!(client.read(id), Received::Finished);
}

#[test]
fn an_agent_has_a_bound_on_streams() {
    let mut agent = agent();
    for id in 0..=u32::try_from(MAX_STREAMS).unwrap() {
        let header = Header::bare(Command::Syn, StreamId(2 * id + 3)).encode();
        agent.handle_data(Bytes::copy_from_slice(&header), epoch());
    }
    assert_eq!(
        events(&mut agent).last(),
        Some(&MuxEvent::Failed(MuxError::TooManyStreams))
    );
}

#[test]
fn a_client_that_opens_too_many_streams_is_told_so() {
    let mut client = client();
    for _ in 0..MAX_STREAMS {
        client.open().unwrap();
    }
    assert_eq!(client.open(), None);
}

#[test]
fn keepalive_frames_go_out_every_ten_seconds() {
    let mut client = Mux::new(MuxRole::Client, true, epoch());
    let at = client.poll_timeout().unwrap();
    assert_eq!(at, epoch() + Duration::from_secs(10));
    client.handle_timeout(at);
    let nop = client.poll_transmit(PAYLOAD).unwrap();
    assert_eq!(nop[..], [1, 3, 0, 0, 0, 0, 0, 0]);
    assert_eq!(client.poll_transmit(PAYLOAD), None);
}

#[test]
fn a_client_without_keepalive_has_no_timer() {
    assert_eq!(client().poll_timeout(), None);
}

#[test]
fn an_agent_gives_up_a_client_that_is_silent_for_thirty_seconds() {
    let mut agent = Mux::new(MuxRole::Agent, true, epoch());
    let heard = epoch() + Duration::from_secs(5);
    agent.handle_data(Bytes::from_static(&[1, 3, 0, 0, 0, 0, 0, 0]), heard);
    while let Some(at) = agent.poll_timeout() {
        assert!(at <= heard + Duration::from_secs(30));
        agent.handle_timeout(at);
        drop(agent.poll_transmit(PAYLOAD));
    }
    assert_eq!(events(&mut agent), [MuxEvent::Failed(MuxError::Silence)]);
}
