use super::*;
use crate::message::SequenceNumber;
use crate::test_clock::composer;
use crate::test_clock::epoch;

struct End {
    stream: ReliableStream,
    composer: Composer,
}

impl End {
    fn new(outgoing: MessageType) -> Self {
        let mut stream = ReliableStream::new(outgoing, Some(Duration::from_secs(10)));
        stream.handle_connected(epoch());
        Self {
            stream,
            composer: composer(1),
        }
    }

    fn send(&mut self, payload: &'static [u8]) {
        self.stream
            .send(PayloadType::OUTPUT, payload, &mut self.composer, epoch());
    }

    fn transmit(&mut self, now: Instant) -> Vec<Message> {
        std::iter::from_fn(|| self.stream.poll_transmit(&mut self.composer, now))
            .map(|frame| Message::decode(&frame).unwrap())
            .collect()
    }

    /// Processes what is next at once; the numbers acknowledged.
    fn receive(&mut self, message: Message) -> Vec<i64> {
        let acknowledgement = Acknowledge::of(&message);
        if let Arrival::Next(_) = self.stream.handle_message(message) {
            self.stream.accept(acknowledgement);
            self.stream.begin_turn(epoch());
            while self.stream.take_next().is_some() {}
        }
        self.transmit(epoch()).iter().map(acknowledged).collect()
    }
}

fn acknowledged(message: &Message) -> i64 {
    assert_eq!(message.message_type, MessageType::ACKNOWLEDGE);
    Acknowledge::from_json(&message.payload)
        .unwrap()
        .sequence_number()
        .0
}

fn client_and_agent() -> (End, End) {
    (
        End::new(MessageType::INPUT_STREAM_DATA),
        End::new(MessageType::OUTPUT_STREAM_DATA),
    )
}

#[test]
fn duplicate_output_is_acknowledged_again() {
    let (mut client, mut agent) = client_and_agent();
    agent.send(b"a");
    let message = agent.transmit(epoch()).remove(0);
    assert_eq!(client.receive(message.clone()), [0]);
    assert_eq!(client.receive(message), [0]);
}

#[test]
fn early_messages_are_acknowledged_and_handed_out_in_order() {
    let (mut client, mut agent) = client_and_agent();
    agent.send(b"a");
    agent.send(b"b");
    let messages = agent.transmit(epoch());
    assert_eq!(client.receive(messages[1].clone()), [1]);
    assert_eq!(client.receive(messages[0].clone()), [0]);
    agent.send(b"c");
    assert_eq!(client.receive(agent.transmit(epoch()).remove(0)), [2]);
}

#[test]
fn what_a_missing_message_frees_is_handed_out_in_turns() {
    let (mut client, mut agent) = client_and_agent();
    agent.send(&[b'x'; TURN / 2]);
    let first = agent.transmit(epoch()).remove(0);
    for number in 1..4 {
        let message = Message {
            sequence_number: SequenceNumber(number),
            ..first.clone()
        };
        assert_eq!(client.stream.handle_message(message), Arrival::Kept);
    }
    assert_eq!(client.stream.next_turn(), None);
    client.stream.accept(Acknowledge::of(&first));
    let mut turn = || {
        client.stream.begin_turn(epoch());
        let taken = std::iter::from_fn(|| client.stream.take_next()).count();
        (taken, client.stream.next_turn().is_some())
    };
    assert_eq!(
        [turn(), turn(), turn()],
        [(2, true), (1, false), (0, false)]
    );
}

#[test]
fn an_acknowledgement_that_overtakes_the_send_is_not_lost() {
    let (mut client, _) = client_and_agent();
    client.send(b"a");
    let message = client.transmit(epoch()).remove(0);
    client
        .stream
        .handle_acknowledge(&Acknowledge::of(&message), epoch());
    assert!(client.stream.is_acknowledged());
    assert_eq!(client.stream.poll_timeout(), None);
}

#[test]
fn a_pause_holds_data_but_not_acknowledgements() {
    let (mut client, mut agent) = client_and_agent();
    client.send(b"a");
    agent.send(b"b");
    let input = client.transmit(epoch()).remove(0);
    agent.stream.handle_message(Message {
        sequence_number: SequenceNumber(-1),
        ..input
    });
    agent.stream.pause_publication(epoch());
    let sent = agent.transmit(epoch());
    assert_eq!(sent.iter().map(acknowledged).collect::<Vec<_>>(), [-1]);
}

#[test]
fn any_sign_of_the_peer_ends_a_pause() {
    let (mut client, mut agent) = client_and_agent();
    client.send(b"a");
    let input = client.transmit(epoch()).remove(0);
    agent.send(b"b");
    agent.stream.pause_publication(epoch());
    let early = Message {
        sequence_number: SequenceNumber(5),
        ..input
    };
    assert_eq!(agent.stream.handle_message(early), Arrival::Kept);
    assert_eq!(
        agent.transmit(epoch()).len(),
        2,
        "the acknowledgement and the data"
    );
}

#[test]
fn a_pause_without_a_word_lapses_at_its_limit() {
    let (mut client, _) = client_and_agent();
    client.send(b"a");
    client.stream.pause_publication(epoch());
    let end = client.stream.poll_timeout().unwrap();
    assert_eq!(end, epoch() + Duration::from_secs(10));
    client.stream.handle_timeout(end);
    assert_eq!(client.transmit(end).len(), 1);
}

/// Whoever waits for a blocked socket must not be called again and again meanwhile.
#[test]
fn once_called_for_an_overdue_acknowledgement_it_asks_for_no_more_until_something_is_sent() {
    let (mut client, _) = client_and_agent();
    client.send(b"a");
    assert_eq!(client.transmit(epoch()).len(), 1);
    let due = client.stream.poll_timeout().unwrap();
    client.stream.handle_timeout(due);
    assert_eq!(client.stream.poll_timeout(), None);
    assert_eq!(client.transmit(due).len(), 1, "it is sent again");
    assert!(client.stream.poll_timeout().unwrap() > due);
}

#[test]
fn a_peer_owes_an_answer_from_the_first_message_or_the_last_answer_on() {
    let (mut client, _) = client_and_agent();
    assert_eq!(client.stream.unanswered_since(), None);
    client.send(b"a");
    client.send(b"b");
    let messages = client.transmit(epoch());
    assert_eq!(client.stream.unanswered_since(), Some(epoch()));
    let later = epoch() + Duration::from_secs(1);
    for (message, owes) in messages.iter().zip([Some(later), None]) {
        client
            .stream
            .handle_acknowledge(&Acknowledge::of(message), later);
        assert_eq!(client.stream.unanswered_since(), owes);
    }
}

#[test]
fn without_a_connection_nobody_owes_an_answer_and_with_the_next_it_counts_anew() {
    let (mut client, _) = client_and_agent();
    client.send(b"a");
    client.stream.handle_disconnected();
    client.send(b"b");
    assert_eq!(client.stream.unanswered_since(), None);
    let later = epoch() + Duration::from_secs(1);
    client.stream.handle_connected(later);
    assert_eq!(client.stream.unanswered_since(), Some(later));
}

#[test]
fn state_survives_a_new_connection() {
    let (mut client, _) = client_and_agent();
    client.send(b"a");
    let before = client.transmit(epoch());
    client.stream.handle_disconnected();
    client.send(b"b");
    assert_eq!(client.transmit(epoch()), []);
    assert_eq!(client.stream.poll_timeout(), None);
    client.stream.handle_connected(epoch());
    let after = client.transmit(epoch());
    assert_eq!(after[0], before[0], "the same message, bit for bit");
    assert_eq!(after[1].sequence_number, SequenceNumber(1));
}

#[test]
fn waiting_acknowledgements_are_bounded() {
    let (mut client, mut agent) = client_and_agent();
    agent.send(b"a");
    let message = agent.transmit(epoch()).remove(0);
    for _ in 0..MAX_ACKNOWLEDGEMENTS + 10 {
        if let Arrival::Next(message) = client.stream.handle_message(message.clone()) {
            client.stream.accept(Acknowledge::of(&message));
        }
    }
    assert_eq!(client.transmit(epoch()).len(), MAX_ACKNOWLEDGEMENTS);
}
