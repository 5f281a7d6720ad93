//! A path that stands still for five seconds, and one that breaks.

use std::time::Duration;
use std::time::Instant;

use ssm_session_proto::StreamId;

use super::Tunnel;
use super::data::Pattern;
use super::data::Sink;
use super::data::Source;
use crate::link::Bottleneck;
use crate::link::Faults;
use crate::support::clock::MS;

const OUTAGE: Duration = Duration::from_secs(5);
const RATE: u32 = 1_000_000;
/// Without any queue.
const ROUND_TRIP: Duration = Duration::from_millis(40);

/// Round trips that no recovery takes.
const LONG: u32 = 200;

/// A bulk upload that has found its pace.
struct Upload {
    tunnel: Tunnel,
    id: StreamId,
    source: Source,
    sink: Sink,
}

impl Upload {
    fn under_way() -> Self {
        let path = Faults {
            delay: ROUND_TRIP / 2,
            bottleneck: Some(Bottleneck {
                rate: RATE,
                queue: RATE,
            }),
            ..Faults::default()
        };
        let mut tunnel = Tunnel::new(path.clone(), path);
        let pattern = Pattern::new(1);
        let mut upload = Self {
            id: tunnel.near().open().unwrap(),
            tunnel,
            source: Source::new(&pattern, usize::MAX),
            sink: Sink::new(&pattern),
        };
        upload.run(Duration::from_secs(10));
        upload
    }

    /// Lets time pass; says how much arrived in it.
    fn run(&mut self, time: Duration) -> usize {
        let (id, before) = (self.id, self.sink.at);
        self.tunnel.run(time, |tunnel| {
            self.source.pump(tunnel.near(), id);
            if let Some(far) = tunnel.far(id) {
                self.sink.pull(far, id);
            }
            false
        });
        self.sink.at - before
    }

    /// The round trips until a round trip carries four fifths of what the path can.
    fn recovery(&mut self) -> u32 {
        let enough = ROUND_TRIP.as_secs_f64() * f64::from(RATE) * 0.8;
        let arrived = (0..LONG).map(|_| f64::from(u32::try_from(self.run(ROUND_TRIP)).unwrap()));
        let poor = arrived.take_while(|arrived| *arrived < enough).count();
        u32::try_from(poor).unwrap()
    }
}

#[test]
fn after_the_path_stood_still_the_upload_is_back_within_three_round_trips() {
    let mut upload = Upload::under_way();
    let end: Instant = upload.tunnel.now + OUTAGE;
    upload.tunnel.up.stall_until(end);
    upload.tunnel.down.stall_until(end);
    assert_eq!(upload.run(OUTAGE - MS), 0);
    let recovery = upload.recovery();
    assert!(recovery <= 3, "{recovery} round trips");
}

#[test]
fn on_a_new_connection_the_upload_is_back_within_five_round_trips() {
    let mut upload = Upload::under_way();
    upload.tunnel.disconnect(OUTAGE);
    assert_eq!(upload.run(OUTAGE - MS), 0);
    let recovery = upload.recovery();
    assert!(recovery <= 5, "{recovery} round trips");
}

/// Nobody can know that a path is back but by trying: that takes up to as long as the outage.
#[test]
fn a_path_that_lost_everything_for_a_while_is_tried_again_and_again() {
    let mut upload = Upload::under_way();
    let end = upload.tunnel.now + OUTAGE;
    while upload.tunnel.now < end {
        upload.tunnel.up.clear();
        upload.tunnel.down.clear();
        upload.run(MS);
    }
    let began = upload.tunnel.now;
    while upload.run(ROUND_TRIP) == 0 && upload.tunnel.now < end + 2 * OUTAGE {}
    let silent = upload.tunnel.now - began;
    let recovery = upload.recovery();
    assert!(silent <= OUTAGE, "{silent:?}");
    assert!(recovery <= 10, "{recovery} round trips");
}
