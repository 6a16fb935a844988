# The network of one.json. $RUN is the folder of the sockets: c.sock serves both OVN databases, db.sock the switch, which runs
# with --disable-system --enable-dummy=override; nb, sb and vs are ovn-nbctl, ovn-sbctl and ovs-vsctl on them.
vs --no-wait set open . external_ids:system-id=hv1 external_ids:hostname=hv1.lab external_ids:ovn-remote=unix:$RUN/c.sock external_ids:ovn-encap-type=geneve,vxlan external_ids:ovn-encap-ip=192.0.2.1 external_ids:ovn-bridge-mappings=phys:br-phys
vs --no-wait add-br br-phys -- set bridge br-phys datapath_type=dummy
nb ls-add sw0 -- ls-add sw1 -- lr-add r0 -- ls-add pub
nb lrp-add r0 r0-sw0 00:00:00:00:ff:01 10.0.0.1/24 fd00::1/64 -- lsp-add sw0 sw0-r0 -- lsp-set-type sw0-r0 router -- lsp-set-addresses sw0-r0 router -- lsp-set-options sw0-r0 router-port=r0-sw0
nb lrp-add r0 r0-sw1 00:00:00:00:ff:02 10.0.1.1/24 -- lsp-add sw1 sw1-r0 -- lsp-set-type sw1-r0 router -- lsp-set-addresses sw1-r0 router -- lsp-set-options sw1-r0 router-port=r0-sw1
nb lsp-add sw0 a1 -- lsp-set-addresses a1 "00:00:00:00:00:01 10.0.0.11 fd00::11" -- lsp-set-port-security a1 "00:00:00:00:00:01 10.0.0.11 fd00::11"
nb lsp-add sw0 a2 -- lsp-set-addresses a2 "00:00:00:00:00:02 10.0.0.12" unknown
nb lsp-add sw1 b1 -- lsp-set-addresses b1 "00:00:00:00:01:01 10.0.1.11" -- lsp-set-port-security b1 "00:00:00:00:01:01"
nb lsp-add sw1 b2 -- lsp-set-addresses b2 unknown -- lsp-set-port-security b2 "00:00:00:00:01:02 10.0.1.0/24 ff:ff:ff:ff:ff:00"
nb lsp-add sw0 lp0 -- lsp-set-type lp0 localport -- lsp-set-addresses lp0 "00:00:00:00:00:99 10.0.0.99"
nb lsp-add sw0 c1 a1 42 -- lsp-set-addresses c1 "00:00:00:00:00:0c 10.0.0.44"
nb lsp-add pub ln0 -- lsp-set-type ln0 localnet -- lsp-set-addresses ln0 unknown -- lsp-set-options ln0 network_name=phys
nb lsp-add pub p1 -- lsp-set-addresses p1 "00:00:00:00:02:01 10.0.2.11"
nb lsp-add pub p2 -- lsp-set-addresses p2 "00:00:00:00:02:02 10.0.2.12"
nb static-mac-binding-add r0-sw0 10.0.0.77 00:00:00:00:00:77
sb chassis-add hv2 geneve 192.0.2.2 -- chassis-add hv3 vxlan 192.0.2.3
sb set chassis hv2 other_config:port-up-notif=true
vs --no-wait set open . external_ids:ovn-bridge-datapath-type=netdev
for p in a1 a2 b1 lp0 p1; do vs --no-wait add-port br-int v-$p -- set interface v-$p type=dummy external_ids:iface-id=$p; done
sb lsp-bind b2 hv2; sb lsp-bind p2 hv2
nb sync
sb create mac_binding logical_port=r0-sw0 ip=10.0.0.88 mac='"00:00:00:00:00:88"' datapath=$(sb --bare --columns=_uuid find datapath_binding external_ids:name=r0)
sb create mac_binding logical_port=r0-sw0 ip='"fd00::88"' mac='"00:00:00:00:00:88"' datapath=$(sb --bare --columns=_uuid find datapath_binding external_ids:name=r0)
sb create fdb mac='"00:00:00:00:00:fd"' dp_key=$(sb --bare --columns=tunnel_key find datapath_binding external_ids:name=sw1) port_key=3
vs --no-wait add-port br-int v-b2 -- set interface v-b2 type=dummy external_ids:iface-id=b2 2>/dev/null
nb set nb_global . options:x=1
nb lrp-add r0 r0-pub 00:00:00:00:ff:03 10.0.2.1/24 -- lsp-add pub pub-r0 -- lsp-set-type pub-r0 router -- lsp-set-addresses pub-r0 router -- lsp-set-options pub-r0 router-port=r0-pub
nb lr-route-add r0 20.0.0.0/24 10.0.2.100
nb --ecmp lr-route-add r0 30.0.0.0/24 10.0.2.100; nb --ecmp lr-route-add r0 30.0.0.0/24 10.0.2.101
nb ls-add far -- lsp-add far f1 -- lsp-set-addresses f1 "00:00:00:00:09:01 10.0.9.11"
nb create address_set name=as1 addresses='10.0.0.11,10.0.0.12'
nb acl-add sw0 to-lport 1001 'ip4.src == $as1 && tcp.dst == {80, 443}' allow-related
nb pg-add pg1 a1 a2; nb acl-add pg1 from-lport 1002 'inport == @pg1 && ip4 && udp' drop
nb lrp-add r0 r0-none 00:00:00:00:ff:04 10.0.3.1/24
nb meter-add m1 drop 10 pktps
nb --wait=sb sync
nb lsp-set-port-security b2 "00:00:00:00:01:02 10.0.1.0/24" "00:00:00:00:01:03 10.0.1.13/24 fd01::/64"
nb sync
python3 record.py $RUN stock/one.json
