"""A user in front of a terminal, who is to be told what happens and to have the terminal back."""

import re
import shlex
import time

from measured import SETTINGS
from processes import Watched, plugin_below
from terminal import LOCAL_PROMPT, Terminal

REMOTE_PROMPT = "remote>"
# Beyond every limit there is, also where a test is run with those that users have.
LIMIT = 150.0


class Seat:
    """Starts one program in a terminal, and looks at what it leaves behind."""

    def __init__(self, directory, environment):
        directory.mkdir()
        self.directory = directory
        self.terminal = Terminal(directory, SETTINGS | environment, cols=200, rows=40)
        self.plugin = None

    def run(self, command):
        """Types a command; returns when Enter was pressed."""
        self.terminal.type(f"stty -a >{self.directory}/before")
        self.terminal.tmux("send-keys", "-l", shlex.join(map(str, command)))
        began = time.monotonic()
        self.terminal.keys("Enter")
        return began

    def open_shell(self, command):
        self.run(command)
        self.terminal.until_prompt(r".*[$#]")
        self.terminal.type(f"PS1='{REMOTE_PROMPT} '")
        self.terminal.until_prompt(REMOTE_PROMPT)
        self.watch()

    def open_forward(self, command):
        """Returns the port."""
        self.run(command)
        port = int(self.until_told(r"[Pp]ort (\d+) (?:opened for|is open)").group(1))
        self.watch()
        return port

    def watch(self):
        """Takes note of the plugin."""
        self.plugin = Watched(plugin_below(int(self.terminal.display("pane_pid"))))

    def until_told(self, pattern, limit=LIMIT):
        """Waits until the words are to be read, wherever a line was broken; returns the match."""
        return self.terminal.until(
            lambda _: re.search(pattern, self.terminal.everything()), f"the words {pattern!r}", limit
        )

    def until_back(self, status):
        """Waits until the local shell has the terminal; that is as it was, and nothing runs any more."""
        self.terminal.until_prompt(rf"(\^C)?{LOCAL_PROMPT}")
        self.terminal.type(f"echo status $?; stty -a >{self.directory}/after; echo do''ne")
        self.terminal.until_line("done")
        assert f"status {status}" in self.terminal.screen(), self.terminal.everything()
        before, after = ((self.directory / name).read_text() for name in ("before", "after"))
        assert after == before, f"the terminal is not as it was:\n{before}\n{after}"
        if self.plugin:
            self.plugin.until_gone()

    def close(self):
        if self.plugin:
            self.plugin.close()
        self.terminal.close()
