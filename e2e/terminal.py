"""A terminal emulator to sit in front of: tmux on a socket of its own."""

import os
import re
import shlex
import subprocess
from pathlib import Path

from waiting import LIMIT, Deadline, Output

LOCAL_PROMPT = "local>"


class Terminal:
    """A tmux window with a local shell, driven by keys and read from its screen.

    tmux copies all that the window prints into a fifo; a wait looks at the screen, and again whenever the fifo has more.
    """

    def __init__(self, directory: Path, environment, cols=80, rows=24):
        self.socket = directory / "tmux"
        # tmux inherits the environment into the shell, and must not think that it runs inside another tmux.
        self.environment = {k: v for k, v in environment.items() if k not in ("TMUX", "TMUX_PANE")}
        self.environment |= {"TERM": "xterm-256color", "SHELL": "/bin/sh"}
        settings = directory / "bashrc"
        settings.write_text(f"PS1='{LOCAL_PROMPT} '\n")
        shell = f"exec bash --noprofile --rcfile {shlex.quote(str(settings))} -i"
        self.tmux("-f", os.devnull, "new-session", "-d", "-x", str(cols), "-y", str(rows), shell)
        fifo = directory / "screen"
        os.mkfifo(fifo)
        # Opened for writing as well, so that it never ends.
        self.output = Output(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))
        self.tmux("pipe-pane", f"exec cat >{shlex.quote(str(fifo))}")
        self.until_line(LOCAL_PROMPT)

    def tmux(self, *arguments):
        return subprocess.run(
            ["tmux", "-S", self.socket, *arguments],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=LIMIT,
        ).stdout

    def close(self):
        self.tmux("kill-server")
        os.close(self.output.fd)

    def screen(self):
        """The lines of the visible screen, without trailing blanks."""
        return [line.rstrip() for line in self.tmux("capture-pane", "-p").split("\n")]

    def everything(self):
        """The screen and what has scrolled off it."""
        return self.tmux("capture-pane", "-p", "-S", "-", "-J")

    def display(self, variable):
        """A tmux variable of the window, such as `pane_tty` or `alternate_on`."""
        return self.tmux("display-message", "-p", f"#{{{variable}}}").strip()

    def resize(self, cols, rows):
        self.tmux("resize-window", "-x", str(cols), "-y", str(rows))

    def keys(self, *names):
        """Presses keys by their tmux names."""
        self.tmux("send-keys", *names)

    def type(self, line):
        """Types a line and presses Enter."""
        self.tmux("send-keys", "-l", line)
        self.keys("Enter")

    def until(self, holds, what, limit=LIMIT):
        """Waits until `holds(lines of the screen)` is true; returns what it returned."""
        deadline = Deadline(what, self.everything, limit)
        while True:
            result = holds(self.screen())
            if result:
                return result
            self.output.read_more(deadline)

    def until_line(self, pattern, what=None):
        """Waits until a whole line of the screen matches; returns the match of the lowest such line."""

        def lowest(lines):
            return next((m for m in (re.fullmatch(pattern, line) for line in reversed(lines)) if m), None)

        return self.until(lowest, what or f"a line {pattern!r}")

    def until_prompt(self, prompt):
        """Waits until the last line with anything on it is the prompt."""
        return self.until(
            lambda lines: next((re.fullmatch(prompt, line) for line in reversed(lines) if line), None),
            f"the prompt {prompt!r}",
        )
