"""Records what stock has: every row of both databases as `transact select` answers, and the flows of br-int as OpenFlow 1.5 sends them."""
import json, socket, struct, sys
run, out = sys.argv[1], sys.argv[2]
def rpc(sock, method, params):
    s = socket.socket(socket.AF_UNIX); s.connect(sock)
    s.sendall(json.dumps({"id": 0, "method": method, "params": params}).encode())
    d = json.JSONDecoder(); buf = ""
    while True:
        buf += s.recv(1 << 20).decode()
        try: return d.raw_decode(buf)[0]["result"]
        except ValueError: pass
dump = {}
for sock, db in ((run + "/c.sock", "OVN_Southbound"), (run + "/db.sock", "Open_vSwitch")):
    schema = rpc(sock, "get_schema", [db])
    tables = sorted(schema["tables"])
    rows = rpc(sock, "transact", [db] + [{"op": "select", "table": t, "where": []} for t in tables])
    dump[db] = {}
    for t, r in zip(tables, rows):
        if not r["rows"]: continue
        d = dump[db][t] = {}
        for row in sorted(r["rows"], key=lambda r: r["_uuid"][1]):
            uuid = row.pop("_uuid")[1]; row.pop("_version", None); row.pop("statistics", None); row.pop("status", None)
            d[uuid] = row
def ofmsg(t, body, xid): return struct.pack("!BBHI", 6, t, 8 + len(body), xid) + body
s = socket.socket(socket.AF_UNIX); s.connect(run + "/br-int.mgmt")
s.sendall(ofmsg(0, struct.pack("!HHI", 1, 8, 0x40), 1))
s.sendall(ofmsg(18, struct.pack("!HHI", 1, 0, 0) + struct.pack("!B3xII4xQQ", 0xff, 0xffffffff, 0xffffffff, 0, 0) + struct.pack("!HHI", 1, 4, 0), 2))
s.sendall(ofmsg(18, struct.pack("!HHI", 7, 0, 0) + struct.pack("!II", 0xfffffffc, 0), 3))
buf, flows, groups, more = b"", [], [], 2
while more:
    buf += s.recv(1 << 16)
    while len(buf) >= 8 and len(buf) >= struct.unpack("!H", buf[2:4])[0]:
        n = struct.unpack("!H", buf[2:4])[0]; m, buf = buf[:n], buf[n:]
        if m[1] == 19:
            (flows if m[9] == 1 else groups).append(m.hex())
            if not struct.unpack("!H", m[10:12])[0] & 1: more -= 1
        if m[1] == 1: sys.exit("error " + m.hex())
        if m[1] == 2: s.sendall(ofmsg(3, m[8:], struct.unpack("!I", m[4:8])[0]))


def written(value, depth):
    """JSON with a line for each row of a table and each reply."""
    if depth == 0 or not isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True, separators=(",", ":"))
    if isinstance(value, list):
        return "[\n" + ",\n".join(written(item, 0) for item in value) + "\n]"
    items = (json.dumps(key) + ":" + written(item, depth - 1) for key, item in sorted(value.items()))
    return "{\n" + ",\n".join(items) + "\n}"


with open(out, "w") as file:
    file.write(written({"databases": dump, "flow_replies": flows, "group_replies": groups}, 4) + "\n")
