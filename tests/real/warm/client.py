# In the place of an interpreter: hand the command to the process beside it, and end as it ends.
# Started for every training, and pathlib is slower than all the rest.
# ruff: noqa: PTH100, PTH109, PTH120
import json
import os
import socket
import sys

BEFORE = []  # the program, where it is another one than the interpreter
home = os.path.dirname(os.path.abspath(__file__))
words = sys.argv[2:] if sys.argv[1] == "-u" else sys.argv[1:]  # torchrun asks for no buffers
order = {"argv": BEFORE + words, "cwd": os.getcwd(), "environ": dict(os.environ)}
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
    os.chdir(home)  # the path of a socket may have 100 letters
    line.connect("socket")
    data = json.dumps(order).encode()
    socket.send_fds(line, [len(data).to_bytes(8, "big")], [0, 1, 2])
    line.sendall(data)
    answer = line.recv(4)
sys.exit(int.from_bytes(answer, "big") if answer else 137)
