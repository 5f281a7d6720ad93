//! One direction between client and agent, with the faults asked for.

use std::collections::VecDeque;
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::Rng as _;
use rand_chacha::rand_core::SeedableRng as _;
use ssm_session_proto::Frame;
use tokio::time::Instant;

use crate::plan::Faults;

/// Frames on their way.
///
/// ```text
///  push ──► loss, duplication ──► rate ──► delay ──► reordering ──► pop
/// ```
///
/// Where a rate is set, a frame leaves that stage when the bytes before it and its own have passed, and the queue in
/// front of it is what has not: none of it needs a clock of its own.
#[derive(Debug)]
pub(super) struct Link {
    faults: Faults,
    random: ChaCha12Rng,
    /// In order of their time.
    line: VecDeque<Passing>,
    overtaken: VecDeque<Overtaken>,
    arrived: VecDeque<Frame>,
    /// Of all frames here.
    bytes: usize,
    /// When everything pushed so far will have passed the rate's stage.
    passed: Instant,
}

#[derive(Debug)]
struct Passing {
    frame: Frame,
    due: Instant,
    overtaken: bool,
}

/// A frame held back until others have passed, or for a while.
#[derive(Debug)]
struct Overtaken {
    frame: Frame,
    others: usize,
    limit: Instant,
}

impl Link {
    /// An empty link. `direction` tells the two of a session apart.
    pub(super) fn new(faults: &Faults, direction: u64) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(faults.seed);
        random.set_stream(direction);
        Self {
            faults: faults.clone(),
            random,
            line: VecDeque::new(),
            overtaken: VecDeque::new(),
            arrived: VecDeque::new(),
            bytes: 0,
            passed: Instant::now(),
        }
    }

    /// Takes a frame. Whoever pushes asks [`has_room`](Self::has_room) first.
    pub(super) fn push(&mut self, frame: Frame, now: Instant) {
        if self.chance(self.faults.loss) {
            return;
        }
        let again = self.chance(self.faults.duplicate).then(|| frame.clone());
        self.send(frame, now);
        if let Some(frame) = again {
            self.send(frame, now);
        }
    }

    fn send(&mut self, frame: Frame, now: Instant) {
        let length = frame.as_bytes().len();
        self.bytes += length;
        let mut due = now;
        if let Some(rate) = self.faults.rate {
            due = self.passed.max(now) + time_for(length, rate);
            self.passed = due;
        }
        let overtaken = self.chance(self.faults.reorder);
        self.line.push_back(Passing {
            frame,
            due: due + self.faults.delay,
            overtaken,
        });
    }

    /// The next frame that has arrived.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Frame> {
        self.settle(now);
        let frame = self.arrived.pop_front()?;
        self.bytes -= frame.as_bytes().len();
        Some(frame)
    }

    /// Whether another frame may be pushed.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let most = if self.faults.delay.is_zero() {
            AT_HAND
        } else {
            ON_THE_WAY
        };
        self.bytes < most && self.room_from().is_none_or(|at| at <= now)
    }

    /// When a frame arrives next, or there is room again; never while frames that have arrived wait to be taken.
    pub(super) fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        self.settle(now);
        let arrival = self.line.front().map(|passing| passing.due);
        let overtaken = self.overtaken.iter().map(|overtaken| overtaken.limit).min();
        let room = self.room_from().filter(|at| *at > now);
        let next = arrival.into_iter().chain(overtaken).chain(room).min();
        next.filter(|_| self.arrived.is_empty())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty() && self.overtaken.is_empty() && self.arrived.is_empty()
    }

    /// Forgets what is on its way.
    pub(super) fn clear(&mut self) {
        self.line.clear();
        self.overtaken.clear();
        self.arrived.clear();
        self.bytes = 0;
    }

    /// When the queue in front of the rate's stage is short enough.
    fn room_from(&self) -> Option<Instant> {
        let rate = self.faults.rate?;
        self.passed.checked_sub(time_for(QUEUE, rate))
    }

    /// Moves on what is due.
    fn settle(&mut self, now: Instant) {
        while let Some(passing) = self.line.pop_front_if(|passing| passing.due <= now) {
            if passing.overtaken {
                self.overtaken.push_back(Overtaken {
                    frame: passing.frame,
                    others: OTHERS,
                    limit: passing.due + HELD_BACK,
                });
                continue;
            }
            self.arrived.push_back(passing.frame);
            for overtaken in &mut self.overtaken {
                overtaken.others = overtaken.others.saturating_sub(1);
            }
            self.release(now);
        }
        self.release(now);
    }

    /// Lets overtaken frames go that have waited long enough.
    fn release(&mut self, now: Instant) {
        while let Some(overtaken) = self
            .overtaken
            .pop_front_if(|overtaken| overtaken.others == 0 || overtaken.limit <= now)
        {
            self.arrived.push_back(overtaken.frame);
        }
    }

    /// Whether something of this probability happens.
    fn chance(&mut self, probability: f64) -> bool {
        // Without faults there is nothing to draw.
        probability > 0.0
            && f64::from(self.random.next_u32()) < probability * (f64::from(u32::MAX) + 1.0)
    }
}

/// How long `length` bytes take at `rate` bytes a second.
fn time_for(length: usize, rate: u64) -> Duration {
    let nanoseconds = (length as u128).saturating_mul(1_000_000_000) / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
        .min(Duration::from_secs(60 * 60))
}

/// Bytes that may wait for the rate, a frame more or less.
const QUEUE: usize = 64 * 1024;
/// Bytes that may be under way at a time where there is a delay, and where there is none.
const ON_THE_WAY: usize = 16 * 1024 * 1024;
const AT_HAND: usize = 256 * 1024;
/// How many later frames may overtake one, and for how long.
const OTHERS: usize = 3;
const HELD_BACK: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn without_faults_frames_arrive_at_once_and_in_order() {
        let (mut link, now) = link(&Faults::default());
        for number in 0..10 {
            link.push(frame(number, 100), now);
        }
        assert_eq!(numbers(&mut link, now), (0..10).collect::<Vec<_>>());
        assert!(link.is_empty());
        assert_eq!(link.poll_timeout(now), None);
    }

    #[test]
    fn a_frame_leaves_a_delay_after_it_came() {
        let (mut link, now) = link(&Faults {
            delay: 20 * MS,
            ..Faults::default()
        });
        link.push(frame(0, 100), now);
        link.push(frame(1, 100), now + 5 * MS);
        assert_eq!(link.pop(now + 19 * MS), None);
        assert_eq!(link.poll_timeout(now), Some(now + 20 * MS));
        assert_eq!(numbers(&mut link, now + 20 * MS), [0]);
        assert_eq!(numbers(&mut link, now + 25 * MS), [1]);
    }

    #[test]
    fn nobody_is_woken_again_and_again_for_a_frame_that_has_arrived() {
        for faults in [
            Faults::default(),
            Faults {
                delay: MS,
                rate: Some(1_000_000),
                ..Faults::default()
            },
        ] {
            let (mut link, now) = link(&faults);
            link.push(frame(0, 100), now);
            let now = link.poll_timeout(now).unwrap_or(now) + MS;
            assert_eq!(link.poll_timeout(now), None);
            assert!(link.pop(now).is_some());
        }
    }

    #[test]
    fn a_rate_is_kept_exactly_and_its_queue_is_bounded() {
        let (mut link, start) = link(&Faults {
            rate: Some(500_000),
            ..Faults::default()
        });
        let (mut now, mut passed) = (start, 0);
        while now < start + 1000 * MS {
            while link.has_room(now) {
                link.push(frame(0, 1144), now);
            }
            // One frame is passing, and one may stick out of the queue.
            assert!(link.bytes <= QUEUE + 2 * 1144);
            now = link.poll_timeout(now).unwrap();
            passed += numbers(&mut link, now).len() * 1144;
        }
        assert!((499_000..=502_000).contains(&passed), "{passed}");
    }

    #[test]
    fn what_is_under_way_is_bounded() {
        for (delay, most) in [(20 * MS, ON_THE_WAY), (Duration::ZERO, AT_HAND)] {
            let (mut link, now) = link(&Faults {
                delay,
                ..Faults::default()
            });
            while link.has_room(now) {
                link.push(frame(0, 50_000), now);
            }
            assert!((most..most + 50_000).contains(&link.bytes));
        }
    }

    #[test]
    fn the_share_that_is_lost_and_doubled_is_the_one_asked_for() {
        let (mut link, now) = link(&Faults {
            loss: 0.01,
            duplicate: 0.02,
            ..Faults::default()
        });
        let mut seen = [0_usize; 10_000];
        for number in 0..10_000 {
            link.push(frame(number, 10), now);
            for number in numbers(&mut link, now) {
                seen[number as usize] += 1;
            }
        }
        let share = |count| seen.iter().filter(|times| **times == count).count();
        assert!((50..200).contains(&share(0)), "{} lost", share(0));
        assert!((120..320).contains(&share(2)), "{} doubled", share(2));
    }

    #[test]
    fn an_overtaken_frame_comes_after_three_others() {
        let (mut link, now) = link(&Faults::default());
        link.push(frame(0, 10), now);
        link.line[0].overtaken = true;
        for number in 1..6 {
            link.push(frame(number, 10), now);
        }
        assert_eq!(numbers(&mut link, now), [1, 2, 3, 0, 4, 5]);
    }

    #[test]
    fn an_overtaken_frame_that_nobody_overtakes_comes_all_the_same() {
        let (mut link, now) = link(&Faults {
            reorder: 1.0,
            ..Faults::default()
        });
        link.push(frame(0, 10), now);
        assert_eq!(link.pop(now), None);
        assert_eq!(link.poll_timeout(now), Some(now + HELD_BACK));
        assert_eq!(numbers(&mut link, now + HELD_BACK), [0]);
    }

    #[test]
    fn the_same_seed_has_the_same_chances_and_the_directions_differ() {
        let faults = Faults {
            loss: 0.5,
            seed: 7,
            ..Faults::default()
        };
        let survivors = |seed, direction| {
            let faults = Faults {
                seed,
                ..faults.clone()
            };
            let mut link = Link::new(&faults, direction);
            let now = Instant::now();
            for number in 0..100 {
                link.push(frame(number, 10), now);
            }
            numbers(&mut link, now)
        };
        assert_eq!(survivors(7, 0), survivors(7, 0));
        assert_ne!(survivors(7, 0), survivors(7, 1));
        assert_ne!(survivors(7, 0), survivors(8, 0));
    }

    fn link(faults: &Faults) -> (Link, Instant) {
        (Link::new(faults, 0), Instant::now())
    }

    fn frame(number: u32, length: usize) -> Frame {
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.resize(length, 0);
        Frame::Binary(Bytes::from(bytes))
    }

    /// The numbers of all frames that have arrived.
    fn numbers(link: &mut Link, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| link.pop(now))
            .map(|frame| u32::from_be_bytes(*frame.as_bytes().first_chunk().unwrap()))
            .collect()
    }
}
