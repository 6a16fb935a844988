"""Sends and captures frames on eth0 of the network namespace that it runs in.

Each line of its input is a burst of frames in hexadecimal, sent back to back. Each line of its output is a frame that
came in, whomever it was for. It ends with its input.
"""

import errno
import os
import select
import socket
import sys

ETH_P_ALL = 3
PACKET_OUTGOING = 4
SO_RCVBUFFORCE = 33

wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
wire.bind(("eth0", ETH_P_ALL))
wire.setblocking(False)
sys.stdout.write("ready\n")
sys.stdout.flush()

typed = b""
while True:
    ready, _, _ = select.select([0, wire], [], [])
    if wire in ready:
        lines = []
        try:
            while len(lines) < 256:
                frame, address = wire.recvfrom(65535)
                if address[2] != PACKET_OUTGOING:
                    lines.append(frame.hex())
        except OSError as error:
            # An interface that goes down says so once.
            if error.errno not in (errno.EAGAIN, errno.ENETDOWN):
                raise
        if lines:
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
    if 0 in ready:
        more = os.read(0, 1 << 16)
        if not more:
            break
        *lines, typed = (typed + more).split(b"\n")
        for line in lines:
            for frame in line.split():
                wire.send(bytes.fromhex(frame.decode()))
