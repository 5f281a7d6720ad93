"""`ssm-emulator shell`: the first thing a newcomer runs."""

import shlex

import pytest

from emulator import EMULATOR
from terminal import LOCAL_PROMPT


@pytest.mark.parametrize("document", [(), ("--document-name", "Emulator-EncryptedShell")])
def test_a_shell_in_one_command(terminal, tmp_path, document):
    terminal.type(f"stty -a >{tmp_path}/before")
    terminal.type(shlex.join([str(EMULATOR), "shell", *document]))
    terminal.until_prompt(r".*[$#]")
    terminal.type("until stty size | grep '^24 80$'; do :; done; tty")
    assert terminal.until_line(r"(/dev/pts/\d+)").group(1) != terminal.display("pane_tty")
    terminal.type("echo $((6 * 7)) in the shell")
    terminal.until_line("42 in the shell")
    terminal.type("exit")
    terminal.until_prompt(LOCAL_PROMPT)
    terminal.type(f"stty -a >{tmp_path}/after; echo do''ne")
    terminal.until_line("done")
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text()


def test_its_exit_status_is_that_of_the_remote_command(emulator):
    command = [EMULATOR, "shell", "--document-name", "Emulator-SeparateOutput", "--parameter", "command=sh -c 'exit 7'"]
    process = emulator.popen(command)
    process.communicate(timeout=60)
    assert process.returncode == 7
