# The network of encaps.json, made like that of one.json.
vs --no-wait set open . external_ids:system-id=hv1 external_ids:hostname=hv1.lab external_ids:ovn-remote=unix:$RUN/c.sock external_ids:ovn-encap-type=geneve,vxlan external_ids:ovn-encap-ip=192.0.2.1 external_ids:ovn-bridge-mappings=phys:br-phys external_ids:ovn-bridge-datapath-type=netdev
vs --no-wait add-br br-phys -- set bridge br-phys datapath_type=dummy
vs --no-wait set open . external_ids:ovn-encap-ip=192.0.2.1,192.0.2.11 external_ids:ovn-encap-ip-default=192.0.2.11 external_ids:ovn-encap-tos=inherit external_ids:ovn-encap-csum=false external_ids:ovn-encap-df_default=false external_ids:ovn-transport-zones=tz1,tz2 external_ids:ovn-cms-options=enable-chassis-as-gw,foo:bar external_ids:ovn-is-interconn=true
sb chassis-add hv2 geneve 192.0.2.2
sb -- --id=@a create encap type=geneve ip=192.0.2.22 chassis_name=hv2 options:is_default=true -- --id=@e create encap type=vxlan ip=192.0.2.22 chassis_name=hv2 -- add chassis hv2 encaps @a -- add chassis hv2 encaps @e -- set chassis hv2 transport_zones=tz1 >$RUN/x
sb chassis-add hv3 vxlan 192.0.2.3 -- set chassis hv3 transport_zones=tz2
sb chassis-add hv4 geneve 192.0.2.4 -- set chassis hv4 transport_zones=tz9
sb chassis-add hv5 geneve 192.0.2.5 
sb chassis-add hv6 geneve 192.0.2.6 -- set chassis hv6 transport_zones=tz1 other_config:is-remote=true
nb ls-add s1
for p in a b c d e f g; do nb lsp-add s1 $p -- lsp-set-addresses $p "00:00:00:00:00:0${p/g/9} 10.0.0.1$((16#${p/g/9}))"; done
vs --no-wait add-port br-int v-a -- set interface v-a type=dummy external_ids:iface-id=a external_ids:encap-ip=192.0.2.1
vs --no-wait add-port br-int v-b -- set interface v-b type=dummy external_ids:iface-id=b
vs --no-wait add-port br-int v-g -- set interface v-g type=dummy external_ids:iface-id=g external_ids:encap-ip=192.0.2.99
sb lsp-bind c hv2; sb lsp-bind d hv2; sb lsp-bind e hv3; sb lsp-bind f hv6
sb set port_binding d encap=$(sb --bare --columns=_uuid find encap ip=192.0.2.2 type=geneve)

appctl recompute; nb --wait=hv sync
python3 record.py $RUN stock/encaps.json
