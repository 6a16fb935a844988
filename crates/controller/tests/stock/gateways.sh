# The network of gateways.json, made like that of one.json.
vs --no-wait set open . external_ids:system-id=hv1 external_ids:hostname=hv1.lab external_ids:ovn-remote=unix:$RUN/c.sock external_ids:ovn-encap-type=geneve,vxlan external_ids:ovn-encap-ip=192.0.2.1 external_ids:ovn-bridge-mappings=phys:br-phys external_ids:ovn-bridge-datapath-type=netdev
vs --no-wait add-br br-phys -- set bridge br-phys datapath_type=dummy
sb chassis-add hv2 geneve 192.0.2.2 -- chassis-add hv3 geneve 192.0.2.3 -- chassis-add hv4 vxlan 192.0.2.4 -- set chassis hv2 other_config:port-up-notif=true
nb ls-add s1 -- lr-add r0
nb lrp-add r0 r0-s1 00:00:00:00:ff:01 10.0.1.1/24 -- lsp-add s1 s1-r0 -- lsp-set-type s1-r0 router -- lsp-set-addresses s1-r0 router -- lsp-set-options s1-r0 router-port=r0-s1
nb lsp-add s1 v1 -- lsp-set-addresses v1 "00:00:00:00:01:01 10.0.1.11"
vs --no-wait add-port br-int if-v1 -- set interface if-v1 type=dummy external_ids:iface-id=v1
i=0
for g in one:hv2:10 two:hv2:20,hv3:10 self:hv1:5 mine:hv1:20,hv2:10,hv3:10 low:hv4:20,hv1:10; do
i=$((i+1)); n=${g%%:*}; l=${g#*:}
nb ls-add p$n -- lsp-add p$n ln$n -- lsp-set-type ln$n localnet -- lsp-set-addresses ln$n unknown -- lsp-set-options ln$n network_name=phys
nb lrp-add r0 r0-$n 00:00:00:00:ff:1$i 172.16.$i.1/24 -- lsp-add p$n $n-r0 -- lsp-set-type $n-r0 router -- lsp-set-addresses $n-r0 router -- lsp-set-options $n-r0 router-port=r0-$n
for m in ${l//,/ }; do nb lrp-set-gateway-chassis r0-$n ${m%%:*} ${m##*:}; done
done
nb --wait=sb sync
sb bind 2>/dev/null; sb set port_binding cr-r0-one chassis=$(sb --bare --columns=_uuid find chassis name=hv2); sb set port_binding cr-r0-two chassis=$(sb --bare --columns=_uuid find chassis name=hv2)
nb set nb_global . options:bfd-min-rx=500 options:bfd-mult=5

appctl recompute; nb --wait=hv sync
python3 record.py $RUN stock/gateways.json
