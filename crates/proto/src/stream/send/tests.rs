use super::*;
use crate::stream::congestion::MIN_WINDOW;
use crate::test_clock::epoch;

const TIMEOUT: Duration = Duration::from_millis(200);
const TOLERANCE: Duration = Duration::from_millis(10);

fn frame(number: u8) -> Bytes {
    Bytes::copy_from_slice(&[number])
}

fn sent(count: u8) -> SendBuffer {
    let mut buffer = SendBuffer::new();
    for number in 0..count {
        buffer.push(frame(number));
        assert_eq!(buffer.poll_transmit(epoch()), Some(frame(number)));
    }
    buffer
}

fn acknowledge(buffer: &mut SendBuffer, number: i64, now: Instant) -> Acknowledged {
    buffer.acknowledge(SequenceNumber(number), TOLERANCE, now)
}

#[test]
fn everything_due_is_sent_again_and_not_the_oldest_alone() {
    let mut buffer = sent(3);
    assert_eq!(
        acknowledge(&mut buffer, 1, epoch()),
        Acknowledged::Removed(Some(Duration::ZERO))
    );
    let due = epoch() + TIMEOUT;
    assert!(!buffer.handle_timeout(TIMEOUT, due - Duration::from_nanos(1)));
    assert_eq!(buffer.poll_transmit(due), None);
    assert!(buffer.handle_timeout(TIMEOUT, due));
    assert_eq!(buffer.poll_transmit(due), Some(frame(0)));
    assert_eq!(buffer.poll_transmit(due), Some(frame(2)));
    assert_eq!(buffer.poll_transmit(due), None);
    assert_eq!(buffer.next_due(TIMEOUT), Some(due + TIMEOUT));
}

#[test]
fn a_message_that_later_ones_overtook_is_sent_again_before_its_timeout() {
    let mut buffer = sent(2);
    let later = epoch() + 2 * TOLERANCE;
    buffer.push(frame(2));
    assert_eq!(buffer.poll_transmit(later), Some(frame(2)));
    acknowledge(&mut buffer, 1, later);
    assert_eq!(buffer.poll_transmit(later), None, "sent at the same time");
    acknowledge(&mut buffer, 2, later);
    assert_eq!(buffer.poll_transmit(later), Some(frame(0)));
    assert_eq!(buffer.clean_acknowledgements(), 0);
}

#[test]
fn a_message_sent_twice_gives_no_round_trip() {
    let mut buffer = sent(1);
    let later = epoch() + TIMEOUT;
    assert!(buffer.handle_timeout(TIMEOUT, later));
    assert!(buffer.poll_transmit(later).is_some());
    assert_eq!(
        acknowledge(&mut buffer, 0, later),
        Acknowledged::Removed(None)
    );
    assert!(buffer.is_empty());
    assert_eq!(buffer.next_due(TIMEOUT), None);
}

#[test]
fn an_acknowledgement_of_a_message_taken_for_lost_is_as_good_as_any() {
    let mut buffer = sent(2);
    assert!(buffer.handle_timeout(TIMEOUT, epoch() + TIMEOUT));
    acknowledge(&mut buffer, 0, epoch() + TIMEOUT);
    acknowledge(&mut buffer, 1, epoch() + TIMEOUT);
    assert_eq!(buffer.poll_transmit(epoch() + TIMEOUT), None);
    assert!(buffer.is_empty());
    assert_eq!((buffer.bytes, buffer.in_flight), (0, 0));
}

#[test]
fn acknowledgements_of_unknown_numbers_do_nothing() {
    let mut buffer = sent(1);
    buffer.push(frame(1));
    for number in [i64::MIN, -1, 1, 2, i64::MAX] {
        assert_eq!(
            acknowledge(&mut buffer, number, epoch()),
            Acknowledged::Unknown
        );
    }
    assert_eq!(buffer.next_number(), SequenceNumber(2));
}

#[test]
fn the_window_refuses_when_it_is_full_and_takes_more_when_the_oldest_is_acknowledged() {
    let mut buffer = SendBuffer::new();
    while buffer.has_room(1) {
        buffer.push(frame(0));
        assert!(buffer.poll_transmit(epoch()).is_some());
    }
    assert_eq!(buffer.next_number(), SequenceNumber(4096));
    acknowledge(&mut buffer, 1, epoch());
    assert!(!buffer.has_room(1), "the oldest still holds the window");
    acknowledge(&mut buffer, 0, epoch());
    assert!(buffer.has_room(1));
}

#[test]
fn only_what_the_congestion_window_admits_is_on_its_way() {
    let mut buffer = SendBuffer::new();
    let large = Bytes::from(vec![0; 1000]);
    while buffer.has_room(large.len()) {
        buffer.push(large.clone());
    }
    let window = buffer.congestion_window();
    assert_eq!(buffer.bytes, window / 1000 * 1000);
    while buffer.poll_transmit(epoch()).is_some() {}
    assert!(buffer.handle_timeout(TIMEOUT, epoch() + TIMEOUT));
    let mut again = 0;
    while buffer.poll_transmit(epoch() + TIMEOUT).is_some() {
        again += 1000;
    }
    assert_eq!(again, MIN_WINDOW / 1000 * 1000);
}

#[test]
fn a_burst_of_losses_is_made_good_in_a_few_round_trips() {
    let mut buffer = SendBuffer::new();
    let mut now = epoch();
    let mut trips = 0;
    let large = Bytes::from(vec![0; 1000]);
    // Until the window has grown to a megabyte, then all of it is lost.
    while buffer.congestion_window() < 1_000_000 {
        round_trip(&mut buffer, &large, &mut now);
    }
    while buffer.has_room(large.len()) {
        buffer.push(large.clone());
    }
    while buffer.poll_transmit(now).is_some() {}
    let lost = buffer.next_number();
    now += TIMEOUT;
    assert!(buffer.handle_timeout(TIMEOUT, now));
    while buffer.oldest < lost {
        round_trip(&mut buffer, &large, &mut now);
        trips += 1;
    }
    assert!(trips < 20, "{trips}");
}

/// Sends what may be sent, and a round trip of 50 ms later acknowledges it.
fn round_trip(buffer: &mut SendBuffer, frame: &Bytes, now: &mut Instant) {
    while buffer.has_room(frame.len()) {
        buffer.push(frame.clone());
    }
    buffer.on_limited();
    while buffer.poll_transmit(*now).is_some() {}
    let sent: Vec<_> = buffer
        .sendings
        .iter()
        .map(|sending| sending.number)
        .collect();
    *now += Duration::from_millis(50);
    for number in sent {
        acknowledge(buffer, number.0, *now);
    }
}

#[test]
fn a_message_larger_than_the_window_goes_out_alone() {
    let mut buffer = SendBuffer::new();
    assert!(buffer.has_room(1 << 20));
    buffer.push(Bytes::from(vec![0; 1 << 20]));
    assert!(!buffer.has_room(1));
    assert!(buffer.poll_transmit(epoch()).is_some());
}

#[test]
fn a_new_connection_sends_everything_again_in_order() {
    let mut buffer = sent(3);
    acknowledge(&mut buffer, 1, epoch());
    buffer.restart(epoch());
    assert_eq!(buffer.poll_transmit(epoch()), Some(frame(0)));
    assert_eq!(buffer.poll_transmit(epoch()), Some(frame(2)));
    assert_eq!(buffer.poll_transmit(epoch()), None);
    assert_eq!(
        acknowledge(&mut buffer, 0, epoch()),
        Acknowledged::Removed(None)
    );
}

#[test]
fn a_frame_can_take_the_place_of_another_under_its_number() {
    let mut buffer = sent(1);
    buffer.replace(SequenceNumber(0), Bytes::from_static(b"short"));
    assert_eq!((buffer.bytes, buffer.in_flight), (5, 5));
    buffer.restart(epoch());
    assert_eq!(
        buffer.poll_transmit(epoch()),
        Some(Bytes::from_static(b"short"))
    );
    assert!(buffer.contains(SequenceNumber(0)));
    acknowledge(&mut buffer, 0, epoch());
    assert!(!buffer.contains(SequenceNumber(0)));
    assert_eq!((buffer.bytes, buffer.in_flight), (0, 0));
}
