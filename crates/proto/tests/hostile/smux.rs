//! A peer whose messages are in order and whose streams are not: garbage and floods inside a
//! multiplexed port session, for both ends.

mod end;

use ssm_session_proto::MAX_STREAMS;
use ssm_session_proto::MAX_UNREAD;
use ssm_session_proto::MAX_UNREAD_IN_ALL;
use ssm_session_proto::MuxRole;
use ssm_session_proto::Received;
use ssm_session_proto::StreamId;

use self::end::End;
use crate::support::memory::live;
use crate::support::random::Random;
use crate::support::smux::Command;
use crate::support::smux::encoded;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const ROLES: [MuxRole; 2] = [MuxRole::Client, MuxRole::Agent];
/// What a session takes that holds nothing: its queues, at the length they once had.
const EMPTY: usize = 600 * KIB;

#[test]
fn random_bytes_end_the_session_in_words_and_leave_nothing() {
    for role in ROLES {
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let before = live();
            let mut end = End::new(role);
            end.stream(3);
            for _ in 0..20 {
                let length = random.below(3000);
                end.feed(&random.bytes(length));
            }
            let words = end.over.take().unwrap();
            assert!(words.contains("smux"), "{words}");
            assert_eq!(end.mux().open_streams(), 0);
            drop(words);
            drop(end);
            assert_eq!(live(), before, "bytes stay behind");
        }
    }
}

/// Frames of every kind in any order, cut anywhere; only the version is always right.
#[test]
fn frames_in_any_order_never_take_more_than_the_bound() {
    for role in ROLES {
        for seed in 0..60 {
            let mut random = Random::new(seed);
            let before = live();
            let mut end = End::new(role);
            for id in [3, 5, 7, 9] {
                end.stream(id);
            }
            let mut wire = Vec::new();
            for _ in 0..400 {
                wire.extend(any_frame(&mut random));
                let cut = random.below(wire.len() + 1);
                let rest = wire.split_off(cut);
                end.feed(&wire);
                wire = rest;
                use_streams(&mut end, &mut random);
                assert!(end.mux().unread() <= MAX_UNREAD_IN_ALL);
            }
            assert_eq!(end.over, None);
            assert!(end.mux().open_streams() <= 12, "no more than there are ids");
            let held = live() - before;
            assert!(held < MAX_UNREAD_IN_ALL + EMPTY, "{held} bytes");
            drop((end, wire));
            assert_eq!(live(), before, "bytes stay behind");
        }
    }
}

fn any_frame(random: &mut Random) -> Vec<u8> {
    let id = u32::try_from(random.below(12)).unwrap();
    match random.below(8) {
        0 => encoded(Command::Syn, id, b""),
        1 => encoded(Command::Fin, id, b""),
        2 => encoded(Command::Nop, id, b""),
        3 => encoded(Command::Push, id, b""),
        4 => encoded(Command::Push, id, &vec![7; 65_535]),
        _ => {
            let length = random.below(3000);
            encoded(Command::Push, id, &vec![7; length])
        }
    }
}

/// Programs at this end do something now and then.
fn use_streams(end: &mut End, random: &mut Random) {
    let id = StreamId(u32::try_from(random.below(12)).unwrap());
    match random.below(20) {
        0 => end.mux().abandon(id),
        1 => end.mux().finish(id),
        2 => drop(end.mux().write(id, vec![1; 100_000].into())),
        3 => while let Received::Data(_) = end.mux().read(id) {},
        _ => {}
    }
}

#[test]
fn a_flood_of_streams_ends_an_agents_session_and_leaves_a_client_cold() {
    let flood = |end: &mut End| {
        for id in 0..2 * u32::try_from(MAX_STREAMS).unwrap() {
            end.feed(&encoded(Command::Syn, 100 + id, b""));
        }
    };
    let mut client = End::new(MuxRole::Client);
    let id = client.stream(3);
    let before = live();
    flood(&mut client);
    assert!(live() - before < 64 * KIB, "{} bytes", live() - before);
    assert_eq!(client.mux().open_streams(), 1);
    client.check_works(id);

    let before = live();
    let mut agent = End::new(MuxRole::Agent);
    flood(&mut agent);
    assert_eq!(agent.opened, MAX_STREAMS);
    assert!(agent.over.as_ref().unwrap().contains("4096"));
    assert!(live() - before < EMPTY, "{} bytes", live() - before);
}

#[test]
fn data_for_streams_that_do_not_exist_is_dropped() {
    for role in ROLES {
        let mut end = End::new(role);
        let id = end.stream(3);
        let ended = end.stream(5);
        end.feed(&encoded(Command::Fin, ended.0, b""));
        let before = live();
        for n in 0..2000 {
            for stream in [0, 5, 1000 + n, u32::MAX] {
                end.feed(&encoded(Command::Push, stream, &[7; 1000]));
                end.feed(&encoded(Command::Fin, stream, b""));
            }
        }
        let held = live() - before;
        assert!(held < 64 * KIB, "{role:?}: {held} bytes");
        end.check_works(id);
        assert_eq!(end.mux().read(ended), Received::Finished);
    }
}

#[test]
fn a_flood_nobody_reads_ends_its_stream_and_no_other() {
    for role in ROLES {
        let before = live();
        let mut end = End::new(role);
        let [dead, alive] = [end.stream(3), end.stream(5)];
        let mut most = 0;
        for _ in 0..3 * MAX_UNREAD / 60_000 {
            end.feed(&encoded(Command::Push, dead.0, &[7; 60_000]));
            most = most.max(live() - before);
        }
        assert!(most < MAX_UNREAD + EMPTY, "{role:?}: {most} bytes");
        let held = live() - before;
        assert!(held < EMPTY, "{role:?}: {held} bytes are still held");
        assert_eq!(end.mux().read(dead), Received::Overrun);
        end.check_works(alive);
    }
}

#[test]
fn even_alone_a_stream_that_nobody_reads_is_bounded() {
    for role in ROLES {
        let before = live();
        let mut end = End::new(role);
        let dead = end.stream(3);
        let mut most = 0;
        for _ in 0..2 * MAX_UNREAD_IN_ALL / 60_000 {
            end.feed(&encoded(Command::Push, dead.0, &[7; 60_000]));
            most = most.max(live() - before);
        }
        assert!(most < MAX_UNREAD_IN_ALL + EMPTY, "{role:?}: {most} bytes");
        assert_eq!(end.mux().read(dead), Received::Overrun);
    }
}

#[test]
fn a_hundred_streams_that_nobody_reads_are_bounded_together() {
    for role in ROLES {
        let before = live();
        let mut end = End::new(role);
        let ids: Vec<_> = (0..100).map(|n| end.stream(3 + 2 * n)).collect();
        let mut most = 0;
        for _ in 0..10 {
            for id in &ids {
                end.feed(&encoded(Command::Push, id.0, &[7; 60_000]));
                most = most.max(live() - before);
            }
        }
        assert!(most > MAX_UNREAD_IN_ALL / 2, "{role:?}: {most} bytes");
        assert!(most < MAX_UNREAD_IN_ALL + MIB, "{role:?}: {most} bytes");
    }
}

/// What is kept for each piece counts, and no piece keeps a message that is much larger.
#[test]
fn tiny_pieces_of_huge_messages_take_no_more_than_they_count() {
    for role in ROLES {
        for (pieces, length, rest) in [(900, 1, 0), (1, 100, 3000), (1, 513, 490)] {
            let before = live();
            let mut end = End::new(role);
            let [dead, alive] = [end.stream(3), end.stream(5)];
            let piece = encoded(Command::Push, dead.0, &vec![7; length]);
            let mut message = piece.repeat(pieces);
            message.extend(encoded(Command::Push, 99, &vec![7; rest]));
            let mut most = 0;
            for _ in 0..=MAX_UNREAD / (pieces * (length + 64)) {
                end.feed(&message);
                most = most.max(live() - before);
            }
            assert!(most < 2 * MAX_UNREAD + EMPTY, "{length}: {most} bytes");
            assert_eq!(end.mux().read(dead), Received::Overrun, "{length}");
            end.check_works(alive);
        }
    }
}
