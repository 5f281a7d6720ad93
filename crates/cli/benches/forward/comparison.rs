//! Measures the same of the forward and of the limit.

use crate::measure;
use crate::measure::Bulk;
use crate::measure::Direction;
use crate::measure::Latency;
use crate::path::Path;
use crate::table::Figure;

/// What is compared.
pub(crate) struct Comparison<'a> {
    pub(crate) limit: Path<'a>,
    /// With the real agent's payload.
    pub(crate) small: Path<'a>,
    /// With a larger one.
    pub(crate) large: Path<'a>,
}

impl Comparison<'_> {
    /// One connection.
    pub(crate) fn bulk(&self) -> Vec<Figure> {
        let up = measure::bulk(&self.limit, Direction::Up);
        let down = measure::bulk(&self.limit, Direction::Down);
        let measured = [
            ("up", up, measure::bulk(&self.small, Direction::Up)),
            (
                DOWN_SMALL,
                down,
                measure::bulk(&self.small, Direction::Down),
            ),
            (
                DOWN_LARGE,
                down,
                measure::bulk(&self.large, Direction::Down),
            ),
        ];
        let figures = measured.map(|(name, limit, forward)| bulk_figures(name, limit, forward));
        figures.into_iter().flatten().collect()
    }

    /// A hundred at once.
    pub(crate) fn many(&self) -> Vec<Figure> {
        let down = measure::many(&self.limit, Direction::Down);
        vec![
            Figure {
                name: "100 connections up",
                unit: "MB/s",
                limit: measure::many(&self.limit, Direction::Up),
                forward: measure::many(&self.small, Direction::Up),
            },
            Figure {
                name: "100 connections down, 1 KiB to a message",
                unit: "MB/s",
                limit: down,
                forward: measure::many(&self.small, Direction::Down),
            },
            Figure {
                name: "100 connections down, 16 KiB to a message",
                unit: "MB/s",
                limit: down,
                forward: measure::many(&self.large, Direction::Down),
            },
        ]
    }

    /// One byte at a time, alone and not alone.
    pub(crate) fn latency(&self) -> Vec<Figure> {
        let alone = [&self.limit, &self.small].map(measure::latency);
        let beside = [&self.limit, &self.small].map(measure::latency_beside_bulk);
        let mut figures = latency_figures("1 byte there and back, median", alone);
        figures.extend(latency_figures(
            "the same beside a bulk upload, median",
            beside,
        ));
        figures
    }

    /// One connection after the other.
    pub(crate) fn openings(&self) -> Vec<Figure> {
        vec![Figure {
            name: "connections opened, used for 1 byte, closed",
            unit: "1/s",
            limit: measure::openings(&self.limit),
            forward: measure::openings(&self.small),
        }]
    }

    /// Most memory of either plugin so far, in KiB.
    pub(crate) fn peak(&self) -> u64 {
        self.small.peak().max(self.large.peak())
    }
}

fn bulk_figures(name: &'static str, limit: Bulk, forward: Bulk) -> [Figure; 3] {
    [
        Figure {
            name,
            unit: "MB/s",
            limit: limit.rate,
            forward: forward.rate,
        },
        Figure {
            name: "  processor time of plugin or first relay",
            unit: "s/GB",
            limit: limit.near,
            forward: forward.near,
        },
        Figure {
            name: "  processor time of all four processes",
            unit: "s/GB",
            limit: limit.all,
            forward: forward.all,
        },
    ]
}

fn latency_figures(name: &'static str, [limit, forward]: [Latency; 2]) -> Vec<Figure> {
    vec![
        Figure {
            name,
            unit: "µs",
            limit: limit.median,
            forward: forward.median,
        },
        Figure {
            name: "  90 %",
            unit: "µs",
            limit: limit.p90,
            forward: forward.p90,
        },
    ]
}

const DOWN_SMALL: &str = "down, 1 KiB to a message";
const DOWN_LARGE: &str = "down, 16 KiB to a message";
