# The network of vlan.json, made like that of one.json.
vs --no-wait set open . external_ids:system-id=hv1 external_ids:hostname=hv1.lab external_ids:ovn-remote=unix:$RUN/c.sock external_ids:ovn-encap-type=geneve,vxlan external_ids:ovn-encap-ip=192.0.2.1 external_ids:ovn-bridge-mappings=phys:br-phys external_ids:ovn-bridge-datapath-type=netdev
vs --no-wait add-br br-phys -- set bridge br-phys datapath_type=dummy
# VLAN-backed distributed router
vs --no-wait set open . external_ids:ovn-chassis-mac-mappings=phys:aa:bb:cc:00:00:01
sb chassis-add hv2 geneve 192.0.2.2 -- set chassis hv2 other_config:ovn-chassis-mac-mappings=phys:aa:bb:cc:00:00:02 other_config:port-up-notif=true
sb chassis-add hv3 geneve 192.0.2.3 -- set chassis hv3 other_config:ovn-chassis-mac-mappings="phys:aa:bb:cc:00:00:03,other:aa:bb:cc:00:01:03"
sb chassis-add hv4 geneve 192.0.2.4 -- set chassis hv4 other_config:ovn-chassis-mac-mappings="other:aa:bb:cc:00:01:04"
nb ls-add s1 -- ls-add s2 -- lr-add r0
for i in 1 2; do
nb lsp-add s$i ln$i "" 10$i -- lsp-set-type ln$i localnet -- lsp-set-addresses ln$i unknown -- lsp-set-options ln$i network_name=phys
nb lrp-add r0 r0-s$i 00:00:00:00:ff:0$i 10.0.$i.1/24 fd0$i::1/64 -- lsp-add s$i s$i-r0 -- lsp-set-type s$i-r0 router -- lsp-set-addresses s$i-r0 router -- lsp-set-options s$i-r0 router-port=r0-s$i
nb lsp-add s$i v$i -- lsp-set-addresses v$i "00:00:00:00:0$i:01 10.0.$i.11"
nb lsp-add s$i w$i -- lsp-set-addresses w$i "00:00:00:00:0$i:02 10.0.$i.12"
vs --no-wait add-port br-int if-v$i -- set interface if-v$i type=dummy external_ids:iface-id=v$i
sb lsp-bind w$i hv2
done
nb ls-add pub -- lsp-add pub ln0 -- lsp-set-type ln0 localnet -- lsp-set-addresses ln0 unknown -- lsp-set-options ln0 network_name=phys
nb lrp-add r0 r0-pub 00:00:00:00:ff:09 172.16.0.1/24 -- lsp-add pub pub-r0 -- lsp-set-type pub-r0 router -- lsp-set-addresses pub-r0 router -- lsp-set-options pub-r0 router-port=r0-pub
nb lrp-set-gateway-chassis r0-pub hv1 20 -- lrp-set-gateway-chassis r0-pub hv2 10
nb lrp-set-options r0-s1 reside-on-redirect-chassis=true 

appctl recompute; nb --wait=hv sync
python3 record.py $RUN stock/vlan.json
