//! The DHCP options that northd makes known to controllers (tables DHCP_Options and DHCPv6_Options).

/// A name, its code and the kind of its values.
pub type DhcpOption = (&'static str, i64, &'static str);

/// Of DHCP; codes above 223 are private, `offerip` is no option on the wire.
pub const V4: &[DhcpOption] = &[
    ("T1", 58, "uint32"),
    ("T2", 59, "uint32"),
    ("arp_cache_timeout", 35, "uint32"),
    ("bootfile_name", 67, "str"),
    ("bootfile_name_alt", 254, "str"),
    ("broadcast_address", 28, "ipv4"),
    ("classless_static_route", 121, "static_routes"),
    ("default_ttl", 23, "uint8"),
    ("dns_server", 6, "ipv4"),
    ("domain_name", 15, "str"),
    ("domain_search_list", 119, "domains"),
    ("ethernet_encap", 36, "bool"),
    ("hostname", 12, "str"),
    ("ip_forward_enable", 19, "bool"),
    ("lease_time", 51, "uint32"),
    ("log_server", 7, "ipv4"),
    ("lpr_server", 9, "ipv4"),
    ("ms_classless_static_route", 249, "static_routes"),
    ("mtu", 26, "uint16"),
    ("netbios_name_server", 44, "ipv4"),
    ("netbios_node_type", 46, "uint8"),
    ("netmask", 1, "ipv4"),
    ("next_server", 253, "ipv4"),
    ("nis_server", 41, "ipv4"),
    ("ntp_server", 42, "ipv4"),
    ("offerip", 0, "ipv4"),
    ("path_prefix", 210, "str"),
    ("policy_filter", 21, "ipv4"),
    ("router", 3, "ipv4"),
    ("router_discovery", 31, "bool"),
    ("router_solicitation", 32, "ipv4"),
    ("server_id", 54, "ipv4"),
    ("swap_server", 16, "ipv4"),
    ("tcp_keepalive_interval", 38, "uint32"),
    ("tcp_ttl", 37, "uint8"),
    ("tftp_server", 66, "host_id"),
    ("tftp_server_address", 150, "ipv4"),
    ("wpad", 252, "str"),
];

/// Of DHCPv6.
pub const V6: &[DhcpOption] = &[
    ("bootfile_name", 59, "str"),
    ("bootfile_name_alt", 254, "str"),
    ("dns_server", 23, "ipv6"),
    ("domain_search", 24, "str"),
    ("fqdn", 39, "domain"),
    ("ia_addr", 5, "ipv6"),
    ("server_id", 2, "mac"),
];
