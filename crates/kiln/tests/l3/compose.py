"""Makes packets with scapy.

The first line of its input is a map in JSON: of each host's name, its Ethernet address and that of its gateway, and of
each name that has an Ethernet address, that address. Every other line is an expression of scapy's, a packet or a list of
them, in which `HOST` is an Ethernet header from that host to its gateway, `mac["NAME"]` an address, and `x(N)` that many
bytes of payload. For each it prints the frames in hexadecimal on one line.
"""

import json
import sys

from scapy.all import *

known = json.loads(sys.stdin.readline())
mac = known["macs"]


def x(count):
    return Raw(bytes(at % 251 for at in range(count)))


for name, (source, gateway) in known["hosts"].items():
    globals()[name] = Ether(src=source, dst=gateway)

for line in sys.stdin:
    made = eval(line.strip())
    print(" ".join(bytes(packet).hex() for packet in (made if isinstance(made, list) else [made])))
