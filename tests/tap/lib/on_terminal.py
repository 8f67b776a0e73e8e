#!/usr/bin/python3
"""Runs a command on a terminal of its own that becomes narrower while it runs. Prints what the terminal
got, with a line RESIZED where the command has had a second to notice, and ends with its exit status.

Usage: on_terminal.py COLUMNS COLUMNS_LATER COMMAND...
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

RESIZE_AFTER_S = 2
NOTICED_AFTER_S = 3.5


def resize(terminal, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def main():
    columns, later = int(sys.argv[1]), int(sys.argv[2])
    pid, terminal = pty.fork()
    if pid == 0:
        while os.get_terminal_size(0).columns == 0:  # until the other side has set it
            time.sleep(0.01)
        os.environ["TERM"] = "xterm"  # wherever the tests run
        os.execvp(sys.argv[3], sys.argv[3:])
    resize(terminal, columns)
    begin = time.monotonic()
    steps = [(RESIZE_AFTER_S, lambda: resize(terminal, later)),
             (NOTICED_AFTER_S, lambda: os.write(1, b"\nRESIZED\n"))]
    while True:
        if steps and time.monotonic() - begin > steps[0][0]:
            steps.pop(0)[1]()
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            text = os.read(terminal, 65536)
        except OSError:  # what Linux says when the other side has closed
            break
        if not text:
            break
        os.write(1, text)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
