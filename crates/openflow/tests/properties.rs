//! What holds for every match, action, message and text.

use kiln_openflow::action::*;
use kiln_openflow::instruction::Instruction;
use kiln_openflow::msg::*;
use kiln_openflow::{Action, Actions, Field, FieldValue, Match, Subfield, Version, fuzz};
use kiln_types::{EthAddr, OfPort};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Any field; tunnel options of at most 16 bytes, which is what values hold.
fn field() -> impl Strategy<Value = Field> {
    let all: Vec<Field> = Field::all().collect();
    (proptest::sample::select(all), 1..=4u8).prop_map(|(field, words)| match field.as_tun_metadata() {
        Some(n) => Field::tun_metadata(n, 4 * words),
        None => field,
    })
}

fn field_value() -> impl Strategy<Value = FieldValue> {
    (field(), any::<u128>(), any::<u128>(), any::<bool>()).prop_map(|(field, value, mask, exact)| {
        if exact || !field.info().maskable {
            FieldValue::exact(field, value)
        } else {
            FieldValue::masked(field, value, mask)
        }
    })
}

fn any_match() -> impl Strategy<Value = Match> {
    vec(field_value(), 0..12).prop_map(|values| values.into_iter().collect())
}

/// Bits of any field.
fn subfield() -> impl Strategy<Value = Subfield> {
    (field(), any::<u16>(), any::<u16>()).prop_map(|(field, ofs, n_bits)| {
        let ofs = ofs % field.n_bits();
        Subfield::new(field, ofs, 1 + n_bits % (field.n_bits() - ofs).min(64))
    })
}

/// Bits of a field that has a header of four bytes, as some actions demand.
fn short_subfield() -> impl Strategy<Value = Subfield> {
    subfield().prop_filter("an experimenter's", |sf| sf.field.info().oldest.n_bytes() == 4)
}

fn writable_subfield() -> impl Strategy<Value = Subfield> {
    subfield().prop_filter("read-only", |sf| sf.field.info().writable)
}

fn port() -> impl Strategy<Value = OfPort> {
    prop_oneof![(0..0xff00u32).prop_map(OfPort), (0xffff_fff8..=u32::MAX).prop_map(OfPort)]
}

fn zone() -> impl Strategy<Value = CtZone> {
    let of_field = short_subfield().prop_filter_map("too short for a zone", |sf| {
        (sf.field.n_bits() >= 16).then(|| CtZone::Field(Subfield::new(sf.field, 0, 16)))
    });
    prop_oneof![any::<u16>().prop_map(CtZone::Imm), of_field]
}

fn nat() -> impl Strategy<Value = Nat> {
    let v4 = (any::<[u8; 4]>(), option::of(any::<[u8; 4]>()))
        .prop_map(|(min, max)| (min.into(), max.map(Into::into)));
    let v6 = (any::<[u8; 16]>(), option::of(any::<[u8; 16]>()))
        .prop_map(|(min, max)| (min.into(), max.map(Into::into)));
    let ports = option::of((any::<u16>(), option::of(any::<u16>())));
    (0..32u16, option::of(prop_oneof![v4, v6]), ports)
        .prop_map(|(flags, addrs, ports)| Nat { flags, range: NatRange { addrs, ports } })
}

fn learn() -> impl Strategy<Value = Learn> {
    let writable = || short_subfield().prop_filter("read-only", |sf| sf.field.info().writable);
    let spec = (short_subfield(), writable(), any::<u128>(), 0..6).prop_map(|(src, dst, value, kind)| {
        let n_bits = src.n_bits.min(dst.n_bits);
        let (src, dst) = (Subfield { n_bits, ..src }, Subfield { n_bits, ..dst });
        let imm = LearnSrc::Imm(value & ((1u128 << n_bits) - 1));
        let (src, dst) = match kind {
            0 => (LearnSrc::Field(src), LearnDst::Match(dst)),
            1 => (LearnSrc::Field(src), LearnDst::Load(dst)),
            2 => (LearnSrc::Field(src), LearnDst::Output),
            3 => (imm, LearnDst::Match(dst)),
            4 => (imm, LearnDst::Load(dst)),
            _ => (LearnSrc::Field(dst), LearnDst::Match(dst)),
        };
        LearnSpec { n_bits, src, dst }
    });
    let bit = option::of(writable().prop_map(|sf| Subfield { n_bits: 1, ..sf }));
    (any::<[u16; 5]>(), any::<u64>(), 0..4u16, any::<u8>(), any::<u32>(), bit, vec(spec, 0..5)).prop_map(
        |(t, cookie, flags, table, limit, result_dst, specs)| Learn {
            idle_timeout_s: t[0],
            hard_timeout_s: t[1],
            priority: t[2],
            cookie,
            flags,
            table,
            fin_idle_timeout_s: t[3],
            fin_hard_timeout_s: t[4],
            limit,
            result_dst,
            specs: specs.into(),
        },
    )
}

fn controller() -> impl Strategy<Value = Controller> {
    (
        any::<u16>(),
        any::<u16>(),
        any::<u8>(),
        vec(any::<u8>(), 0..20),
        any::<bool>(),
        option::of(any::<u32>()),
    )
        .prop_map(|(max_len, controller_id, reason, userdata, pause, meter_id)| Controller {
            max_len,
            controller_id,
            reason,
            userdata: userdata.into(),
            pause,
            meter_id,
        })
}

fn sample() -> impl Strategy<Value = Sample> {
    let arg =
        || prop_oneof![any::<u32>().prop_map(SampleArg::Imm), short_subfield().prop_map(SampleArg::Field)];
    (1..=u16::MAX, any::<u32>(), arg(), arg(), port(), 0..3u8).prop_map(
        |(probability, collector_set_id, obs_domain, obs_point, sampling_port, direction)| Sample {
            probability,
            collector_set_id,
            obs_domain,
            obs_point,
            sampling_port,
            direction,
        },
    )
}

/// Actions that a switch would take, one level deep.
fn flat_action() -> impl Strategy<Value = Action> {
    let simple = prop_oneof![
        (port(), any::<u16>()).prop_map(|(port, max_len)| Action::Output { port, max_len }),
        (port(), any::<u32>()).prop_map(|(port, max_len)| Action::OutputTrunc { port, max_len }),
        (subfield(), any::<u16>()).prop_map(|(src, max_len)| Action::OutputReg { src, max_len }),
        any::<u32>().prop_map(Action::Group),
        any::<u32>().prop_map(Action::SetQueue),
        any::<u32>().prop_map(Action::Meter),
        any::<u16>().prop_map(Action::PushVlan),
        any::<u16>().prop_map(Action::PushMpls),
        any::<u16>().prop_map(Action::PopMpls),
        any::<u16>().prop_map(Action::PushPbb),
        any::<u8>().prop_map(Action::SetMplsTtl),
        any::<u8>().prop_map(Action::SetNwTtl),
        vec(any::<u16>(), 0..5).prop_map(|ids| Action::DecTtlCntIds(ids.into())),
        proptest::sample::select(vec![
            Action::PopQueue,
            Action::PopVlan,
            Action::DecMplsTtl,
            Action::CopyTtlIn,
            Action::CopyTtlOut,
            Action::DecTtl,
            Action::CtClear,
            Action::PopPbb,
            Action::DebugRecirc,
            Action::DebugSlow,
            Action::Exit,
            Action::DecNshTtl,
        ]),
        (any::<u16>(), any::<u16>()).prop_map(|(idle_s, hard_s)| Action::FinTimeout { idle_s, hard_s }),
        (any::<u64>(), any::<u64>()).prop_map(|(value, mask)| Action::WriteMetadata { value, mask }),
        any::<u32>().prop_map(Action::Decap),
    ];
    let with_fields = prop_oneof![
        field_value().prop_filter("read-only", FieldValue::is_writable).prop_map(Action::SetField),
        (subfield(), writable_subfield()).prop_map(|(mut src, mut dst)| {
            // The length of an option says nothing here, and is the longest.
            for sf in [&mut src, &mut dst] {
                sf.field = sf.field.as_tun_metadata().map_or(sf.field, |n| Field::tun_metadata(n, 124));
            }
            let n_bits = src.n_bits.min(dst.n_bits);
            Action::CopyField { src: Subfield { n_bits, ..src }, dst: Subfield { n_bits, ..dst } }
        }),
        subfield().prop_map(Action::StackPush),
        subfield().prop_map(Action::StackPop),
        (any::<u16>(), subfield())
            .prop_map(|(pkt_len, sf)| Action::CheckPktLarger { pkt_len, dst: Subfield { n_bits: 1, ..sf } }),
        (port(), option::of(0..255u8), any::<bool>())
            .prop_map(|(port, table, ct)| Action::Resubmit { port, table, ct })
            .prop_filter("says nothing", |a| !matches!(
                a,
                Action::Resubmit { port: OfPort::IN_PORT, table: None, .. }
            )),
        (any::<u32>(), 0..64u8, 2..=64u8)
            .prop_filter("beyond", |(_, clause, n)| clause < n)
            .prop_map(|(id, clause, n_clauses)| Action::Conjunction { id, clause, n_clauses }),
        nat().prop_map(|n| Action::Nat(Box::new(n))),
        learn().prop_map(|l| Action::Learn(Box::new(l))),
        controller().prop_map(|c| Action::Controller(Box::new(c))),
        sample().prop_map(|s| Action::Sample(Box::new(s))),
        (0..7u16, any::<u16>(), 0..2u16, vec(port(), 0..6), option::of(short_subfield())).prop_map(
            |(fields, basis, algorithm, members, dst)| Action::Bundle(Box::new(Bundle {
                fields,
                basis,
                algorithm,
                members: members.into(),
                dst
            }))
        ),
        (0..7u16, any::<u16>(), 0..4u16, any::<u16>(), any::<u32>(), short_subfield()).prop_map(
            |(fields, basis, algorithm, max_link, arg, dst)| Action::Multipath(Box::new(Multipath {
                fields,
                basis,
                algorithm,
                max_link,
                arg,
                dst
            }))
        ),
    ];
    prop_oneof![simple, with_fields]
}

fn action() -> impl Strategy<Value = Action> {
    flat_action().prop_recursive(3, 12, 4, |inner| {
        let list = vec(inner, 0..4).prop_map(|list| Actions::encode(&list).unwrap());
        prop_oneof![
            list.clone().prop_map(Action::Clone),
            (0..4u16, zone(), option::of(0..255u8), any::<u16>(), list).prop_map(
                |(flags, zone, table, alg, exec)| Action::Ct(Box::new(Ct { flags, zone, table, alg, exec }))
            ),
        ]
    })
}

fn actions() -> impl Strategy<Value = Actions> {
    vec(action(), 0..6).prop_map(|list| Actions::encode(&list).unwrap())
}

fn instructions() -> impl Strategy<Value = kiln_openflow::Instructions> {
    (
        option::of(actions()),
        option::of(actions()),
        any::<bool>(),
        option::of(any::<u8>()),
        option::of(any::<(u64, u64)>()),
    )
        .prop_map(|(apply, write, clear, table, metadata)| {
            let mut list = kiln_openflow::Instructions::new();
            list.extend(apply.map(Instruction::ApplyActions));
            list.extend(clear.then_some(Instruction::ClearActions));
            list.extend(write.map(Instruction::WriteActions));
            list.extend(metadata.map(|(value, mask)| Instruction::WriteMetadata { value, mask }));
            list.extend(table.map(Instruction::GotoTable));
            list
        })
}

fn flow_mod() -> impl Strategy<Value = FlowMod> {
    (any::<(u64, u64, u8, u8)>(), any::<[u16; 5]>(), any::<(u32, u32)>(), port(), any_match(), instructions())
        .prop_map(
            |(
                (cookie, cookie_mask, table_id, command),
                t,
                (buffer_id, out_group),
                out_port,
                flow_match,
                instructions,
            )| FlowMod {
                cookie,
                cookie_mask,
                table_id,
                command,
                idle_timeout_s: t[0],
                hard_timeout_s: t[1],
                priority: t[2],
                buffer_id,
                out_port,
                out_group,
                flags: t[3],
                importance: t[4],
                flow_match,
                instructions,
            },
        )
}

fn flow_stats() -> impl Strategy<Value = FlowStats> {
    let counters = (
        option::of(any::<(u32, u32)>()),
        option::of(any::<(u32, u32)>()),
        option::of(any::<u32>()),
        option::of(any::<u64>()),
        option::of(any::<u64>()),
    )
        .prop_map(|(duration, idle, flows, packets, bytes)| Counters {
            duration,
            idle,
            hard_age_s: None,
            flows,
            packets,
            bytes,
        });
    (flow_mod(), counters).prop_map(|(f, counters)| FlowStats {
        table_id: f.table_id,
        priority: f.priority,
        idle_timeout_s: f.idle_timeout_s,
        hard_timeout_s: f.hard_timeout_s,
        flags: f.flags,
        importance: f.importance,
        cookie: f.cookie,
        flow_match: f.flow_match,
        counters,
        instructions: f.instructions,
    })
}

fn group() -> impl Strategy<Value = Group> {
    let bucket =
        (any::<u32>(), option::of(any::<u16>()), option::of(port()), option::of(any::<u32>()), actions())
            .prop_map(|(bucket_id, weight, watch_port, watch_group, actions)| Bucket {
                bucket_id,
                weight,
                watch_port,
                watch_group,
                actions,
            });
    let selection = ("[a-z_]{1,15}", any::<u64>(), vec((field(), any::<u128>()), 0..4)).prop_map(
        |(method, param, fields)| Selection {
            method: method.into(),
            param,
            fields: fields.into_iter().map(|(f, mask)| (f, mask & f.all_ones())).collect(),
        },
    );
    (0..4u8, any::<u32>(), vec(bucket, 0..4), option::of(selection))
        .prop_map(|(typ, group_id, buckets, selection)| Group { typ, group_id, buckets, selection })
}

fn meter() -> impl Strategy<Value = Meter> {
    let band = any::<(u16, u32, u32, u8)>().prop_map(|(typ, rate, burst, prec_level)| MeterBand {
        typ,
        rate,
        burst,
        prec_level,
    });
    (any::<u16>(), any::<u32>(), vec(band, 0..4)).prop_map(|(flags, meter_id, bands)| Meter {
        flags,
        meter_id,
        bands,
    })
}

fn packet_in() -> impl Strategy<Value = PacketIn> {
    let bytes = || vec(any::<u8>(), 0..60).prop_map(Into::<Box<[u8]>>::into);
    (bytes(), any::<(u8, u64, u8)>(), any_match(), bytes(), option::of(bytes())).prop_map(
        |(packet, (table_id, cookie, reason), metadata, userdata, continuation)| PacketIn {
            packet,
            full_len: None,
            buffer_id: None,
            table_id,
            cookie,
            reason,
            metadata,
            userdata,
            continuation,
        },
    )
}

fn a_port() -> impl Strategy<Value = Port> {
    (port(), any::<[u8; 6]>(), "[a-z0-9-]{0,15}", any::<(u32, u32)>(), option::of(any::<[u32; 6]>()))
        .prop_map(|(port_no, mac, name, (config, state), e)| Port {
            port_no,
            hw_addr: EthAddr(mac),
            name: name.into(),
            config,
            state,
            ethernet: e.map(|[curr, advertised, supported, peer, curr_speed_kbps, max_speed_kbps]| {
                EthernetPort { curr, advertised, supported, peer, curr_speed_kbps, max_speed_kbps }
            }),
        })
}

fn ct_flush() -> impl Strategy<Value = CtFlush> {
    let addr = || option::of(any::<[u8; 4]>().prop_map(std::net::IpAddr::from));
    let tuple = move || {
        (addr(), addr(), any::<[Option<u16>; 3]>(), any::<[Option<u8>; 2]>()).prop_map(|(src, dst, p, i)| {
            CtTuple {
                src,
                dst,
                src_port: p[0],
                dst_port: p[1],
                icmp_id: p[2],
                icmp_type: i[0],
                icmp_code: i[1],
            }
        })
    };
    (
        any::<u8>(),
        tuple(),
        tuple(),
        any::<Option<u16>>(),
        any::<Option<(u32, u32)>>(),
        any::<Option<(u128, u128)>>(),
    )
        .prop_map(|(ip_proto, orig, reply, zone, mark, label)| CtFlush {
            ip_proto,
            orig,
            reply,
            zone,
            mark,
            label,
        })
}

fn flow_update() -> impl Strategy<Value = FlowUpdate> {
    prop_oneof![
        any::<u32>().prop_map(|xid| FlowUpdate::Abbrev { xid }),
        Just(FlowUpdate::Paused),
        Just(FlowUpdate::Resumed),
        (0..4u16, any::<u8>(), flow_mod()).prop_map(|(event, reason, f)| FlowUpdate::Full {
            event,
            reason,
            table_id: f.table_id,
            priority: f.priority,
            idle_timeout_s: f.idle_timeout_s,
            hard_timeout_s: f.hard_timeout_s,
            cookie: f.cookie,
            flow_match: f.flow_match,
            instructions: f.instructions,
        }),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let list = |reply| Message::MultipartReply { reply, more: false };
    prop_oneof![
        4 => flow_mod().prop_map(Message::FlowMod),
        2 => (any::<u32>(), 0..4u16, flow_mod()).prop_map(|(bundle_id, flags, f)| {
            Message::BundleAdd(Box::new(BundleAdd { bundle_id, flags, message: Message::FlowMod(f) }))
        }),
        2 => vec(flow_stats(), 0..3).prop_map(move |l| list(MultipartReply::Flow(l))),
        2 => (any::<u16>(), any::<u32>(), group()).prop_map(|(command, command_bucket_id, group)| {
            Message::GroupMod(GroupMod { command, command_bucket_id, group })
        }),
        1 => vec(group(), 0..3).prop_map(move |l| list(MultipartReply::GroupDesc(l))),
        1 => (any::<u16>(), meter()).prop_map(|(command, meter)| Message::MeterMod(MeterMod { command, meter })),
        1 => vec(meter(), 0..3).prop_map(move |l| list(MultipartReply::MeterConfig(l))),
        1 => vec(a_port(), 0..3).prop_map(move |l| list(MultipartReply::PortDesc(l))),
        1 => (0..3u8, a_port()).prop_map(|(reason, port)| Message::PortStatus(Box::new(PortStatus { reason, port }))),
        1 => vec(flow_update(), 0..3).prop_map(move |l| list(MultipartReply::FlowMonitor(l))),
        2 => packet_in().prop_map(|p| Message::PacketIn(Box::new(p))),
        1 => packet_in().prop_map(|p| Message::Resume(Box::new(p.into_resume()))),
        1 => (any_match(), actions(), vec(any::<u8>(), 0..60)).prop_map(|(metadata, actions, packet)| {
            Message::PacketOut(Box::new(PacketOut { buffer_id: u32::MAX, metadata, actions, packet: packet.into() }))
        }),
        1 => ct_flush().prop_map(|f| Message::CtFlush(Box::new(f))),
        1 => vec(any::<u8>(), 0..40).prop_map(|data| Message::EchoRequest(data.into())),
    ]
}

/// A match that only asks for fields that its protocol has, so that text can say it.
fn printable_match() -> impl Strategy<Value = Match> {
    let protocol = proptest::sample::select(vec![
        (0, 0, vec![]),
        (0x800, 6, vec![Field::IPV4_SRC, Field::IPV4_DST, Field::TCP_SRC, Field::TCP_DST, Field::TCP_FLAGS]),
        (0x86dd, 17, vec![Field::IPV6_SRC, Field::IPV6_LABEL, Field::UDP_SRC, Field::NW_TTL, Field::IP_DSCP]),
        (0x800, 1, vec![Field::ICMPV4_TYPE, Field::ICMPV4_CODE, Field::IP_FRAG, Field::IP_ECN]),
        (0x86dd, 58, vec![Field::ICMPV6_TYPE, Field::ND_TARGET, Field::ND_SLL, Field::ND_RESERVED]),
        (0x806, 0, vec![Field::ARP_OP, Field::ARP_SPA, Field::ARP_THA]),
        (0x8847, 0, vec![Field::MPLS_LABEL, Field::MPLS_BOS]),
        (0x1234, 0, vec![]),
    ]);
    let pipeline: Vec<Field> = Field::all()
        .filter(|f| {
            let of_protocol = !matches!(f.info().prereq, kiln_openflow::field::Prereq::None);
            !of_protocol && f.as_tun_metadata().is_none() && *f != Field::PACKET_TYPE
        })
        .chain([
            Field::ETH_SRC,
            Field::ETH_DST,
            Field::CT_NW_SRC,
            Field::CT_TP_DST,
            Field::tun_metadata(3, 4),
        ])
        .collect();
    let value = |field: Field, value: u128, mask: u128| {
        // Fragments have the same name under several masks.
        if field.info().maskable && field != Field::IP_FRAG {
            FieldValue::masked(field, value, mask)
        } else {
            FieldValue::exact(field, value)
        }
    };
    let of_pipeline = vec((proptest::sample::select(pipeline), any::<u128>(), any::<u128>()), 0..8);
    let vlan = option::of((0..0x1000u16, option::of(0..8u8)));
    (protocol, of_pipeline, vlan, any::<[u128; 5]>(), any::<[u128; 5]>()).prop_map(
        move |((eth_type, ip_proto, fields), others, vlan, values, masks)| {
            let mut b = Match::builder();
            if eth_type != 0 {
                b.exact(Field::ETH_TYPE, eth_type as u16);
            }
            if ip_proto != 0 {
                b.exact(Field::IP_PROTO, ip_proto as u8);
            }
            for (i, field) in fields.into_iter().enumerate() {
                b.set(value(field, values[i], masks[i]));
            }
            for (field, v, mask) in others {
                let v = if field.name().starts_with("in_port") { 5 } else { v };
                b.set(value(field, v, mask));
            }
            if let Some((vid, pcp)) = vlan {
                b.exact(Field::VLAN_VID, vid | 0x1000);
                pcp.map(|pcp| b.exact(Field::VLAN_PCP, pcp));
            }
            b.build()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn matches_survive_the_wire(m in any_match()) {
        let mut bytes = Vec::new();
        m.put(Version::V1_5, &mut bytes);
        prop_assert_eq!(bytes.len(), m.encoded_len());
        prop_assert_eq!(Match::decode(&bytes), Ok((m.clone(), bytes.len())));
        prop_assert_eq!(m.iter().collect::<Match>(), m.clone());
        prop_assert_eq!(m.to_builder().build(), m.clone());
        for v in &m {
            prop_assert_eq!(m.get(v.field), Some(v));
        }
    }

    /// Registers one by one say the same as in pairs.
    #[test]
    fn matches_survive_older_versions(m in any_match()) {
        let m: Match = m.iter().filter(|v| v.field != Field::PACKET_TYPE).collect();
        let mut bytes = Vec::new();
        m.put_fields(Version::V1_3, &mut bytes);
        prop_assert_eq!(Match::decode_fields(&bytes), Ok(m));
    }

    #[test]
    fn a_match_says_the_same_in_any_order(values in vec(field_value(), 0..8), seed in any::<u64>()) {
        let distinct: Vec<FieldValue> = {
            let mut b = Match::builder();
            values.into_iter().filter(|v| !std::mem::replace(&mut b.overlaps(*v), false) && { b.set(*v); true }).collect()
        };
        let mut shuffled = distinct.clone();
        let mut rng = kiln_types::Rng::with_seed(seed);
        rng.shuffle(&mut shuffled);
        prop_assert_eq!(distinct.into_iter().collect::<Match>(), shuffled.into_iter().collect::<Match>());
    }

    /// However little of it: stock's switch takes `vlan_tci` in any version.
    #[test]
    fn what_is_said_of_a_vlan_tag_is_kept(value in any::<u16>(), mask in 1..=u16::MAX) {
        let tci = FieldValue::masked(Field::VLAN_TCI, value.into(), mask.into());
        let m = Match::builder().set(tci).build();
        // Where there is no tag, the priority is zero without being asked.
        let untagged = tci.value == 0 && mask & 0x1000 != 0;
        let kept = if untagged { FieldValue::masked(Field::VLAN_TCI, 0, (mask & 0x1fff).into()) } else { tci };
        prop_assert_eq!(m.get(Field::VLAN_TCI), Some(kept));
        prop_assert_eq!(m.to_builder().build(), m.clone());
        prop_assert_eq!(m.iter().collect::<Match>(), m.clone());
        let parts = [Field::VLAN_VID, Field::VLAN_PCP].map(|field| m.get(field)).into_iter().flatten();
        prop_assert_eq!(parts.collect::<Match>(), m.clone());
        let mut bytes = Vec::new();
        m.put_fields(Version::V1_5, &mut bytes);
        prop_assert_eq!(Match::decode_fields(&bytes), Ok(m.clone()));
        prop_assert_eq!(m.to_string().parse::<Match>().ok(), Some(m));
    }

    #[test]
    fn registers_are_found_in_every_spelling(n in 0..32u8, value in any::<u32>(), mask in 1..=u32::MAX) {
        let m = Match::builder().masked(Field::reg(n), value, mask).build();
        let v = value & mask;
        prop_assert_eq!(m.get(Field::reg(n)), Some(FieldValue::masked(Field::reg(n), v.into(), mask.into())));
        let x = m.get(Field::xreg(n / 2)).unwrap();
        prop_assert_eq!(x.value >> (if n % 2 == 0 { 32 } else { 0 }), v.into());
        let xx = m.get(Field::xxreg(n / 4)).unwrap();
        prop_assert_eq!(xx.value >> (32 * (3 - n % 4)), v.into());
        prop_assert_eq!([x, xx].map(|v| v.field).map(|f| m.get(f).unwrap()).into_iter().collect::<Vec<_>>(), vec![x, xx]);
        prop_assert_eq!(Match::builder().set(x).build(), m.clone());
        prop_assert_eq!(Match::builder().set(xx).build(), m);
    }

    #[test]
    fn actions_survive_the_wire(list in vec(action(), 0..6)) {
        let actions = Actions::encode(&list).unwrap();
        prop_assert_eq!(actions.iter().collect::<Vec<_>>(), list);
        prop_assert_eq!(Actions::decode(Version::V1_5, actions.as_bytes()), Ok(actions));
    }

    #[test]
    fn messages_survive_the_wire(message in message(), xid in any::<u32>()) {
        let mut bytes = Vec::new();
        message.encode(Version::V1_5, Xid(xid), &mut bytes).unwrap();
        let (header, decoded) = Message::decode(&bytes).unwrap();
        prop_assert_eq!(header.xid, Xid(xid));
        prop_assert_eq!(decoded, message);
    }

    #[test]
    fn damaged_messages_are_refused_or_read(message in message(), version in 0..4usize, damage in vec(any::<(u16, u8)>(), 0..4)) {
        let version = [Version::V1_5, Version::V1_3, Version::V1_4, Version::V1_0][version];
        let mut bytes = Vec::new();
        prop_assume!(message.encode(version, Xid(1), &mut bytes).is_ok());
        for (at, byte) in damage {
            // The length stays true, so that the damage is met further in.
            let at = 8 + usize::from(at) % bytes.len().max(9);
            if let Some(b) = bytes.get_mut(at) {
                *b = byte;
            }
        }
        fuzz::fuzz_message(&bytes);
        let mut stream = vec![7];
        stream.extend(&bytes);
        fuzz::fuzz_session(&stream);
    }

    #[test]
    fn any_bytes_are_refused_or_read(typ in 0..40u8, body in vec(any::<u8>(), 0..200), noise in vec(any::<u8>(), 0..300)) {
        let len = u16::try_from(8 + body.len()).unwrap().to_be_bytes();
        let mut bytes = vec![6, typ, len[0], len[1], 0, 0, 0, 1];
        bytes.extend(body);
        fuzz::fuzz_message(&bytes);
        fuzz::fuzz_session(&noise);
        fuzz::fuzz_text(&noise);
    }

    #[test]
    fn printed_matches_read_back(m in printable_match()) {
        let text = m.to_string();
        prop_assert_eq!(text.parse::<Match>().map_err(|e| format!("{text}: {e}")), Ok(m));
    }

    #[test]
    fn printed_actions_print_the_same_once_read(actions in actions()) {
        let text = actions.to_string();
        // What no tool would print back: zero probability is refused, and a translation that is not named has no range.
        if let Ok(read) = text.parse::<Actions>() {
            prop_assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn damaged_text_is_refused_or_read(actions in actions(), m in printable_match(), damage in vec(any::<(u16, u8)>(), 0..3)) {
        let mut bytes = format!("{m},actions={actions}").into_bytes();
        for (at, byte) in damage {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte & 0x7f;
        }
        fuzz::fuzz_text(&bytes);
    }
}

/// How many actions of each kind read back from their own text: all, but for the few whose text leaves something out.
#[test]
fn most_printed_actions_can_be_read() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut read, mut refused) = (0, Vec::new());
    for _ in 0..3000 {
        let action = flat_action().new_tree(&mut runner).unwrap().current();
        let text = Actions::encode([&action]).unwrap().to_string();
        match text.parse::<Actions>() {
            Ok(_) => read += 1,
            Err(e) => refused.push(e.to_string()),
        }
    }
    assert!(
        refused.len() * 20 < read,
        "{} of {read}: {:#?}",
        refused.len(),
        &refused[..20.min(refused.len())]
    );
}
