"""What OpenStack's drivers do through ovsdbapp: make a network, plug its ports, wait for what the daemons say about them.

Prints the version of ovsdbapp, and one line for each thing seen.
"""

import importlib.metadata
import sys
import time

from ovsdbapp.backend.ovs_idl import connection
from ovsdbapp.schema.open_vswitch import impl_idl as switch_idl
from ovsdbapp.schema.ovn_northbound import impl_idl as north_idl
from ovsdbapp.schema.ovn_southbound import impl_idl as south_idl

DATABASES = [
    ("OVN_Northbound", north_idl.OvnNbApiIdlImpl),
    ("OVN_Southbound", south_idl.OvnSbApiIdlImpl),
    ("Open_vSwitch", switch_idl.OvsdbIdl),
]


def open_all(remotes):
    for remote, (name, api) in zip(remotes, DATABASES):
        idl = connection.OvsdbIdl.from_server(remote, name)
        yield api(connection.Connection(idl=idl, timeout=30))


def wait(what, condition):
    deadline = time.monotonic() + 30
    while not (seen := condition()):
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain for {what}")
        time.sleep(0.02)
    return seen


def main():
    print(importlib.metadata.version("ovsdbapp"))
    north, south, switch = open_all(sys.argv[1:])

    with north.transaction(check_error=True) as txn:
        txn.add(north.ls_add("net", may_exist=True, other_config={"mcast_snoop": "false"}))
        for number in (1, 2):
            mac, ip = f"0a:00:00:00:77:0{number}", f"10.77.0.{number}0"
            txn.add(north.lsp_add("net", f"a{number}", addresses=[f"{mac} {ip}"], port_security=[f"{mac} {ip}"]))
        txn.add(north.lr_add("router"))
        txn.add(north.lrp_add("router", "r-net", "0e:00:00:00:77:01", ["10.77.0.1/24"]))
        txn.add(north.lsp_add("net", "net-r", type="router", addresses=["router"], options={"router-port": "r-net"}))
    north.lr_route_add("router", "0.0.0.0/0", "10.77.0.254").execute(check_error=True)

    def binding(port):
        found = south.db_find("Port_Binding", ("logical_port", "=", port)).execute(check_error=True)
        return found[0] if found else None

    for port in ("a1", "a2", "net-r", "r-net"):
        row = wait(f"the binding of {port}", lambda: binding(port))
        print("binding", port, repr(row["type"]), sorted(row["mac"]), sorted(row["options"].items()))
    datapaths = south.db_list("Datapath_Binding").execute(check_error=True)
    print("datapaths", sorted(row["external_ids"]["name"] for row in datapaths))
    print("port groups", len(south.db_list("Port_Group").execute(check_error=True)))

    for port in ("a1", "a2"):
        switch.add_port("br-int", port).execute(check_error=True)
        switch.db_set("Interface", port, ("external_ids", {"iface-id": port})).execute(check_error=True)
    for port in ("a1", "a2"):
        wait(f"{port} to be up", lambda: north.lsp_get_up(port).execute(check_error=True))
        print("up", port)
        installed = wait(
            f"ovn-installed of {port}",
            lambda: switch.db_get("Interface", port, "external_ids").execute().get("ovn-installed"),
        )
        print("installed", port, installed)
    chassis = south.db_list("Chassis", columns=["name", "hostname"]).execute(check_error=True)
    print("chassis", sorted((row["name"], row["hostname"]) for row in chassis))
    print("here", sorted(port for port in ("a1", "a2", "net-r") if binding(port)["chassis"]))

    # The chassis says that it has installed what the northbound database says.
    before = north.db_get("NB_Global", ".", "nb_cfg").execute(check_error=True)
    north.db_set("NB_Global", ".", ("nb_cfg", before + 1)).execute(check_error=True)
    wait("hv_cfg", lambda: north.db_get("NB_Global", ".", "hv_cfg").execute(check_error=True) > before)
    print("acknowledged")

    north.lsp_del("a2").execute(check_error=True)
    wait("the end of a2's binding", lambda: not binding("a2"))
    print("gone a2")


main()
