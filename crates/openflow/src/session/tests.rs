use super::*;
use crate::msg::{FlowMod, FlowStats, FlowStatsRequest, Header, MultipartRequest, PacketIn, PacketOut};
use crate::{Actions, Match};
use kiln_types::OfPort;

const T0: Instant = Instant::from_secs(100);

fn after(secs: u64) -> Instant {
    T0 + Duration::from_secs(secs)
}

fn bytes_of(message: &Message, xid: u32) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(Version::V1_5, Xid(xid), &mut out).unwrap();
    out
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

/// The messages in a session's output.
fn sent(session: &mut Session) -> Vec<(Xid, Message)> {
    let bytes = session.poll_transmit().unwrap_or_default();
    let mut rest = &bytes[..];
    let mut list = Vec::new();
    while let Some(header) = Header::peek(rest) {
        let (one, later) = rest.split_at(header.len.into());
        list.push((header.xid, Message::decode(one).unwrap().1));
        rest = later;
    }
    list
}

fn hello(versions: &[Version]) -> Message {
    Message::Hello(Hello::new(versions))
}

fn connected(config: Config) -> Session {
    let mut session = Session::new(config);
    session.handle_connected(T0);
    session.handle_bytes(T0, &bytes_of(&hello(&[Version::V1_5]), 1));
    assert_eq!(events(&mut session), [Event::Ready { version: Version::V1_5 }]);
    session.poll_transmit();
    session
}

fn controller() -> Session {
    connected(Config::controller())
}

fn drop_of(session: &mut Session) -> DropReason {
    match &events(session)[..] {
        [Event::Drop(reason)] => reason.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_highest_common_version_is_chosen() {
    let all: Vec<Version> = (1..=6).map(Version).collect();
    // Ours, the peer's hello as bytes, what is chosen.
    let cases: [(&[Version], &[u8], Option<Version>); 6] = [
        (&[Version::V1_5], &[6, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0x40], Some(Version::V1_5)),
        // A bare hello stands for every version up to its own.
        (&[Version::V1_5], &[6, 0, 0, 8, 0, 0, 0, 1], Some(Version::V1_5)),
        (&all, &[4, 0, 0, 8, 0, 0, 0, 1], Some(Version::V1_3)),
        (&all, &[6, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0x12], Some(Version::V1_3)),
        (&[Version::V1_5], &[4, 0, 0, 8, 0, 0, 0, 1], None),
        // Unknown elements are passed over.
        (&[Version::V1_5], &[6, 0, 0, 16, 0, 0, 0, 1, 0, 9, 0, 8, 1, 2, 3, 4], Some(Version::V1_5)),
    ];
    for (ours, theirs, chosen) in cases {
        let config = Config { versions: ours.to_vec(), ..Config::controller() };
        let mut session = Session::new(config);
        session.handle_connected(T0);
        assert_eq!(sent(&mut session), [(Xid(1), hello(ours))]);
        session.handle_bytes(T0, theirs);
        assert_eq!(session.version(), chosen, "{theirs:?}");
        if chosen.is_none() {
            let error = ErrorCode::HELLO_INCOMPATIBLE;
            assert!(matches!(&sent(&mut session)[..], [(_, Message::Error(e))] if e.code == error));
            let reason = drop_of(&mut session);
            assert_eq!(reason, DropReason::NoCommonVersion { ours: 0x40, theirs: 0x1e });
        }
    }
}

#[test]
fn nothing_but_a_hello_opens_a_session() {
    let mut session = Session::new(Config::controller());
    assert_eq!(session.send(&Message::BarrierRequest), Err(SendError::NotReady));
    session.handle_connected(T0);
    session.handle_bytes(T0, &bytes_of(&Message::BarrierRequest, 7));
    assert_eq!(drop_of(&mut session), DropReason::NoHello { typ: 20 });
    session.handle_bytes(T0, &bytes_of(&hello(&[Version::V1_5]), 1));
    assert_eq!(session.version(), None, "what comes later changes nothing");
    assert_eq!((session.counters().no_hello, session.counters().bytes_after_drop), (1, 16));

    session.handle_connected(T0);
    assert_eq!(session.poll_timeout(), Some(after(30)));
    session.handle_timeout(after(29));
    assert_eq!(events(&mut session), []);
    session.handle_timeout(after(30));
    assert_eq!(drop_of(&mut session), DropReason::HandshakeTimeout);
    assert_eq!(session.poll_timeout(), None);

    session.handle_connected(T0);
    let refusal = ErrorMessage {
        experimenter: None,
        code: ErrorCode::HELLO_INCOMPATIBLE,
        data: b"no".as_slice().into(),
    };
    session.handle_bytes(T0, &bytes_of(&Message::Error(refusal), 1));
    assert_eq!(drop_of(&mut session), DropReason::HelloRefused { text: "no".into() });
}

#[test]
fn replies_find_their_requests() {
    let mut session = controller();
    let barrier = session.send(&Message::BarrierRequest).unwrap();
    let config = session.send(&Message::GetConfigRequest).unwrap();
    assert_ne!(barrier, config);
    assert_eq!(sent(&mut session), [(barrier, Message::BarrierRequest), (config, Message::GetConfigRequest)]);
    let answer = Message::GetConfigReply(crate::msg::SwitchConfig { flags: 0, miss_send_len: 5 });
    session.handle_bytes(T0, &bytes_of(&answer, config.0));
    session.handle_bytes(T0, &bytes_of(&Message::BarrierReply, barrier.0));
    // A second answer is nobody's.
    session.handle_bytes(T0, &bytes_of(&Message::BarrierReply, barrier.0));
    let packet = Message::PacketIn(Box::default());
    session.handle_bytes(T0, &bytes_of(&packet, 0));
    assert_eq!(
        events(&mut session),
        [
            Event::Reply { xid: config, message: answer },
            Event::Reply { xid: barrier, message: Message::BarrierReply },
            Event::Message { xid: barrier, message: Message::BarrierReply },
            Event::Message { xid: Xid(0), message: packet },
        ]
    );
}

#[test]
fn an_error_brings_the_request_back_until_a_barrier() {
    let mut session = controller();
    let flow = |table| Message::FlowMod(FlowMod::new(FlowMod::ADD, table, 1, Match::any()));
    let first = session.send(&flow(1)).unwrap();
    let second = session.send(&flow(2)).unwrap();
    let barrier = session.send(&Message::BarrierRequest).unwrap();
    let third = session.send(&flow(3)).unwrap();
    let error = ErrorMessage::for_request(ErrorCode::FLOW_MOD_TABLE_FULL, &bytes_of(&flow(2), second.0));
    let refused = |session: &mut Session, xid: Xid| {
        session.handle_bytes(T0, &bytes_of(&Message::Error(error.clone()), xid.0));
        match session.poll_event() {
            Some(Event::Error { xid: named, error: e, request }) if named == xid && e == error => request,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(&mut session, second).as_deref(), Some(&bytes_of(&flow(2), second.0)[..]));
    session.handle_bytes(T0, &bytes_of(&Message::BarrierReply, barrier.0));
    session.poll_event();
    assert_eq!(refused(&mut session, first), None, "done before the barrier");
    assert_eq!(refused(&mut session, third).as_deref(), Some(&bytes_of(&flow(3), third.0)[..]));
    session.handle_disconnected();
    session.handle_connected(T0);
    session.handle_bytes(T0, &bytes_of(&hello(&[Version::V1_5]), 1));
    session.poll_event();
    assert_eq!(refused(&mut session, third), None, "of an earlier connection");
}

#[test]
fn lists_are_put_together_within_a_bound() {
    let flow = |cookie| FlowStats {
        table_id: 0,
        priority: 1,
        idle_timeout_s: 0,
        hard_timeout_s: 0,
        flags: 0,
        importance: 0,
        cookie,
        flow_match: Match::any(),
        counters: crate::msg::Counters::default(),
        instructions: Actions::none().into(),
    };
    let part = |range: std::ops::Range<u64>, more| Message::MultipartReply {
        reply: MultipartReply::Flow(range.map(flow).collect()),
        more,
    };
    let request = Message::MultipartRequest(MultipartRequest::Flow(FlowStatsRequest::default()));
    let mut session = connected(Config { max_multipart_bytes: 400, ..Config::controller() });
    let one = session.send(&request).unwrap();
    let two = session.send(&request).unwrap();
    for (xid, message) in [
        (one, part(0..2, true)),
        (two, part(10..11, true)),
        (one, part(2..4, true)),
        (one, part(4..5, false)),
        (two, part(11..12, false)),
    ] {
        session.handle_bytes(T0, &bytes_of(&message, xid.0));
    }
    assert_eq!(
        events(&mut session),
        [
            Event::Reply { xid: one, message: part(0..5, false) },
            Event::Reply { xid: two, message: part(10..12, false) },
        ]
    );
    // The bound counts anew once all lists are whole; what nobody asked for is handed on as it is.
    session.handle_bytes(T0, &bytes_of(&part(0..1, true), one.0));
    assert_eq!(events(&mut session), [Event::Message { xid: one, message: part(0..1, true) }]);
    let three = session.send(&request).unwrap();
    session.handle_bytes(T0, &bytes_of(&part(0..5, true), three.0));
    assert_eq!(events(&mut session), []);
    session.handle_bytes(T0, &bytes_of(&part(0..5, true), three.0));
    assert_eq!(drop_of(&mut session), DropReason::MultipartOverflow { limit: 400 });
    assert_eq!(session.counters().multipart_overflow, 1);
}

#[test]
fn a_list_that_changes_its_kind_is_malformed() {
    let mut session = controller();
    let request = Message::MultipartRequest(MultipartRequest::Flow(FlowStatsRequest::default()));
    let xid = session.send(&request).unwrap();
    let flows = Message::MultipartReply { reply: MultipartReply::Flow(Vec::new()), more: true };
    let ports = Message::MultipartReply { reply: MultipartReply::PortDesc(Vec::new()), more: false };
    session.handle_bytes(T0, &bytes_of(&flows, xid.0));
    session.handle_bytes(T0, &bytes_of(&ports, xid.0));
    assert!(matches!(drop_of(&mut session), DropReason::Malformed { typ: 19, .. }));
}

#[test]
fn silence_is_probed_and_then_ends_the_connection() {
    let probe = Some(Duration::from_secs(5));
    let mut session = connected(Config { probe_interval: probe, ..Config::controller() });
    assert_eq!(session.poll_timeout(), Some(after(5)));
    session.handle_bytes(after(3), &bytes_of(&Message::EchoRequest([1, 2].into()), 77));
    assert_eq!(sent(&mut session), [(Xid(77), Message::EchoReply([1, 2].into()))]);
    assert_eq!(session.poll_timeout(), Some(after(8)));
    session.handle_timeout(after(7));
    assert_eq!(sent(&mut session), []);
    session.handle_timeout(after(8));
    let probe = sent(&mut session);
    assert!(matches!(&probe[..], [(_, Message::EchoRequest(_))]));
    session.handle_timeout(after(9));
    assert_eq!(sent(&mut session), [], "one probe at a time");
    session.handle_bytes(after(10), &bytes_of(&Message::EchoReply(Box::default()), probe[0].0.0));
    assert_eq!(events(&mut session), [], "nobody asked for the answer");
    assert_eq!(session.poll_timeout(), Some(after(15)));
    session.handle_timeout(after(15));
    session.handle_timeout(after(20));
    assert_eq!(drop_of(&mut session), DropReason::Inactive);

    let mut session = controller();
    assert_eq!(session.poll_timeout(), None);
    session.set_probe_interval(Some(Duration::from_secs(2)));
    assert_eq!(session.poll_timeout(), Some(after(2)));
}

#[test]
fn malformed_bytes_end_a_controllers_session() {
    let mut session = controller();
    session.handle_bytes(T0, &[6, 20, 0, 7, 0, 0, 0, 1]);
    assert_eq!(drop_of(&mut session), DropReason::Framing { len: 7 });
    assert_eq!(session.counters().framing, 1);

    let mut session = controller();
    session.handle_bytes(T0, &[6, 12, 0, 9, 0, 0, 0, 1, 0]);
    let reason = drop_of(&mut session);
    assert!(matches!(&reason, DropReason::Malformed { typ: 12, .. }), "{reason}");
    assert_eq!(session.counters().malformed, 1);
    assert_eq!(session.send(&Message::BarrierRequest), Err(SendError::NotReady));
}

#[test]
fn a_switch_answers_what_is_malformed() {
    let mut session = connected(Config::switch(vec![Version::V1_5]));
    let bad = [6, 14, 0, 9, 0, 0, 0, 5, 0];
    session.handle_bytes(T0, &bad);
    let error = ErrorMessage::for_request(ErrorCode::REQUEST_BAD_LEN, &bad);
    assert_eq!(sent(&mut session), [(Xid(5), Message::Error(error))]);
    session.handle_bytes(T0, &bytes_of(&Message::BarrierRequest, 6));
    assert_eq!(events(&mut session), [Event::Message { xid: Xid(6), message: Message::BarrierRequest }]);
    session.reply(Xid(6), &Message::BarrierReply).unwrap();
    session.refuse(Xid(7), ErrorCode::REQUEST_BAD_TYPE, &bad).unwrap();
    let sent = sent(&mut session);
    assert_eq!(sent[0], (Xid(6), Message::BarrierReply));
    assert!(matches!(&sent[1], (Xid(7), Message::Error(e)) if e.data[..] == bad));
}

#[test]
fn another_version_is_refused_and_the_connection_stays() {
    let mut session = controller();
    session.handle_bytes(T0, &[4, 20, 0, 8, 0, 0, 0, 9]);
    assert!(
        matches!(&sent(&mut session)[..], [(Xid(9), Message::Error(e))] if e.code == ErrorCode::REQUEST_BAD_VERSION)
    );
    assert_eq!(session.counters().wrong_version, 1);
    session.handle_bytes(T0, &[4, 2, 0, 8, 0, 0, 0, 10]);
    assert!(
        matches!(&sent(&mut session)[..], [(Xid(10), Message::EchoReply(_))]),
        "echo is of every version"
    );
    assert_eq!(session.version(), Some(Version::V1_5));
}

#[test]
fn pieces_of_any_size_make_the_same_messages() {
    let mut stream = bytes_of(&hello(&[Version::V1_5]), 1);
    for n in 0..3 {
        let packet = PacketIn { packet: vec![n; 100].into(), ..PacketIn::default() };
        stream.extend(bytes_of(&Message::PacketIn(Box::new(packet)), 0));
        stream.extend(bytes_of(&Message::EchoRequest(vec![n; 3].into()), n.into()));
    }
    let run = |size: usize| {
        let mut session = Session::new(Config::controller());
        session.handle_connected(T0);
        for piece in stream.chunks(size) {
            session.handle_bytes(T0, piece);
        }
        (events(&mut session), session.poll_transmit())
    };
    let whole = run(stream.len());
    assert_eq!(whole.0.len(), 4);
    for size in 1..130 {
        assert_eq!(run(size), whole, "pieces of {size}");
    }
}

#[test]
fn requests_do_not_wait_without_bound() {
    let mut session = controller();
    for _ in 0..MAX_PENDING {
        session.send(&Message::BarrierRequest).unwrap();
    }
    assert_eq!(session.send(&Message::BarrierRequest), Err(SendError::TooManyPending));
    let flow_mod = Message::FlowMod(FlowMod::new(FlowMod::ADD, 0, 0, Match::any()));
    session.send(&flow_mod).expect("what asks for nothing is sent");
    session.handle_bytes(T0, &bytes_of(&Message::BarrierReply, 2));
    session.send(&Message::BarrierRequest).unwrap();
}

#[test]
fn what_does_not_fit_is_not_sent() {
    let mut session = controller();
    let huge = PacketOut::new(OfPort(1), Actions::none(), vec![0; 70_000].into());
    assert!(matches!(session.send(&Message::PacketOut(Box::new(huge))), Err(SendError::TooLong(_))));
    assert_eq!(session.poll_transmit(), None);
    let xid = session.send(&Message::BarrierRequest).unwrap();
    assert_eq!(sent(&mut session), [(xid, Message::BarrierRequest)]);
}

#[test]
fn a_peer_that_asks_and_does_not_read_is_dropped() {
    let mut session = connected(Config { max_backlog_bytes: 1000, ..Config::controller() });
    let echo = bytes_of(&Message::EchoRequest([0; 92].into()), 9);
    for n in 0..11 {
        assert_eq!(session.transmit_backlog(), 100 * n);
        session.handle_bytes(T0, &echo);
    }
    sent(&mut session);
    for _ in 0..11 {
        session.handle_bytes(T0, &echo);
    }
    assert_eq!(events(&mut session), [], "it has read");
    session.handle_bytes(T0, &echo);
    assert_eq!(drop_of(&mut session), DropReason::Stalled { limit: 1000 });
    assert_eq!((session.counters().stalled, session.transmit_backlog()), (1, 1100));
}
