//! The row on a small model of a terminal.

use super::*;

/// As much of a terminal as a row needs, with its autowrap: a line is full before it is wrapped.
struct Screen {
    rows: Vec<Vec<char>>,
    cursor: (usize, usize),
    /// The cursor stands behind the last column.
    is_full: bool,
    saved: Option<((usize, usize), bool)>,
    scrolled: usize,
}

impl Screen {
    fn new(rows: usize, cols: usize) -> Self {
        Self {
            rows: vec![vec![' '; cols]; rows],
            cursor: (0, 0),
            is_full: false,
            saved: None,
            scrolled: 0,
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).unwrap();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => self.go((self.cursor.0, 0)),
                '\n' | '\x0b' => self.feed(),
                '\x0f' | '\x07' => {}
                '\x1b' => self.sequence(&mut characters),
                _ => self.put(character),
            }
        }
    }

    fn sequence(&mut self, characters: &mut std::str::Chars<'_>) {
        let (row, col) = self.cursor;
        match characters.next().unwrap() {
            '7' => self.saved = Some((self.cursor, self.is_full)),
            '8' => (self.cursor, self.is_full) = self.saved.expect("a cursor was saved"),
            '(' => assert_eq!(characters.next(), Some('B')),
            '[' => match characters.next().unwrap() {
                'A' => self.go((row.saturating_sub(1), col)),
                'K' => self.rows[row][col..].fill(' '),
                'm' => {}
                other => panic!("CSI {other:?}"),
            },
            other => panic!("ESC {other:?}"),
        }
    }

    fn go(&mut self, to: (usize, usize)) {
        self.cursor = to;
        self.is_full = false;
    }

    fn feed(&mut self) {
        let (row, col) = self.cursor;
        if row + 1 < self.rows.len() {
            self.go((row + 1, col));
        } else {
            let blank = vec![' '; self.rows[0].len()];
            self.rows.remove(0);
            self.rows.push(blank);
            self.scrolled += 1;
            self.go((row, col));
        }
    }

    fn put(&mut self, character: char) {
        if self.is_full {
            self.go((self.cursor.0, 0));
            self.feed();
        }
        let (row, col) = self.cursor;
        self.rows[row][col] = character;
        self.is_full = col + 1 == self.rows[row].len();
        if !self.is_full {
            self.cursor.1 += 1;
        }
    }

    fn size(&self) -> TerminalSize {
        TerminalSize {
            rows: self.rows.len().try_into().unwrap(),
            cols: self.rows[0].len().try_into().unwrap(),
        }
    }

    fn lines(&self) -> Vec<String> {
        let lines = self.rows.iter().map(|row| row.iter().collect::<String>());
        lines.map(|line| line.trim_end().to_owned()).collect()
    }

    fn text(&self) -> String {
        self.lines().join("\n").trim_end().to_owned()
    }
}

/// A screen on which a prompt stands in the given row.
fn prompt(row: usize) -> Screen {
    let mut screen = Screen::new(5, 20);
    for line in 0..row {
        screen.write(format!("line {line}\r\n").as_bytes());
    }
    screen.write(b"$ ls");
    screen
}

#[test]
fn the_text_stands_below_the_prompt_and_the_cursor_stays_there() {
    let (mut screen, mut row) = (prompt(1), Row::default());
    screen.write(&row.show("it is lost", screen.size()));
    assert_eq!(screen.text(), "line 0\n$ ls\nit is lost");
    assert_eq!(screen.cursor, (1, 4));
    screen.write(&row.remove());
    assert_eq!(screen.text(), "line 0\n$ ls");
    assert_eq!(screen.cursor, (1, 4));
    assert_eq!(screen.scrolled, 0);
}

#[test]
fn in_the_last_row_room_is_made_once_and_the_prompt_stays_whole() {
    let (mut screen, mut row) = (prompt(4), Row::default());
    screen.write(&row.show("it is lost", screen.size()));
    assert_eq!(screen.text(), "line 1\nline 2\nline 3\n$ ls\nit is lost");
    screen.write(&row.show("it is still lost", screen.size()));
    screen.write(&row.show_again(screen.size()));
    assert!(screen.text().ends_with("$ ls\nit is still lost"));
    screen.write(&row.remove());
    assert_eq!(screen.text(), "line 1\nline 2\nline 3\n$ ls");
    assert_eq!((screen.cursor, screen.scrolled), ((3, 4), 1));
}

#[test]
fn what_does_not_fit_is_cut_off_and_never_wraps() {
    for text in ["0123456789012345678901234", "世界世界世界世界世界世界"] {
        let (mut screen, mut row) = (prompt(4), Row::default());
        screen.write(&row.show(text, screen.size()));
        assert_eq!(screen.scrolled, 1);
        let shown = screen.lines().pop().unwrap();
        assert!(text.starts_with(&shown) && !shown.is_empty(), "{shown}");
        screen.write(&row.remove());
        assert!(screen.text().ends_with("line 3\n$ ls"));
    }
}

#[test]
fn what_was_below_the_prompt_is_overwritten_to_its_end() {
    let mut screen = Screen::new(5, 20);
    screen.write(b"top\r\nmuch longer\r\x1b[A");
    let mut row = Row::default();
    screen.write(&row.show("lost", screen.size()));
    assert_eq!(screen.lines()[1], "lost");
}

#[test]
fn output_finds_the_screen_as_the_far_end_left_it_and_the_row_comes_back() {
    let (mut screen, mut row) = (prompt(1), Row::default());
    screen.write(&row.show("stuck", screen.size()));
    let now = Instant::now();
    screen.write(&row.make_way(now));
    assert_eq!(screen.text(), "line 0\n$ ls");
    screen.write(b"\r\na file\r\n$ ");
    assert_eq!(row.due(), Some(now + QUIET));
    assert!(row.make_way(now).is_empty());
    screen.write(&row.show_again(screen.size()));
    assert_eq!(screen.text(), "line 0\n$ ls\na file\n$\nstuck");
    assert_eq!((screen.cursor, row.due()), ((3, 2), None));
}

#[test]
fn a_text_cannot_leave_its_row() {
    let (mut screen, mut row) = (prompt(1), Row::default());
    screen.write(&row.show("two\nlines \x1b[2J", screen.size()));
    assert_eq!(screen.text(), "line 0\n$ ls\ntwo lines \u{fffd}[2J");
}

#[test]
fn a_window_of_one_row_is_left_alone() {
    let size = TerminalSize { cols: 20, rows: 1 };
    let mut row = Row::default();
    assert!(row.show("lost", size).is_empty());
    assert!(row.remove().is_empty());
}

#[test]
fn nothing_is_written_where_there_is_nothing_to_say() {
    let mut row = Row::default();
    assert!(row.make_way(Instant::now()).is_empty());
    assert_eq!(row.due(), None);
    assert!(row.remove().is_empty());
}
