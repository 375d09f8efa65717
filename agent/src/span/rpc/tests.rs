//! The conventions for remote procedure calls, rule by rule.

use proptest::prelude::*;

use super::*;
use crate::{
    protocol::grpc::Status as Code,
    span::{
        attributes::VALUE_LIMIT,
        describe::{Describer, Description},
        testing::{Case, case, get, response, some},
    },
    stream::exchange::{ExchangeError, HttpVersion, Response, RpcStatus, Session},
};

mod ends;
mod unknown;

const PATH: &str = "/shop.v1.Cart/Get";
const METHOD: &str = "shop.v1.Cart/Get";

fn coded(code: Code) -> RpcStatus {
    RpcStatus::Code(code.code().into())
}

fn rpc(system: RpcSystem, status: RpcStatus) -> Rpc {
    Rpc {
        system,
        status,
        message: None,
        request_messages: Some(1),
        response_messages: Some(0),
    }
}

fn call(role: Role, status: RpcStatus) -> Case {
    let headers = [
        (HeaderName::Authority, "cart.example:50051"),
        (HeaderName::Scheme, "http"),
        (HeaderName::ContentType, "application/grpc"),
        (HeaderName::UserAgent, "grpc-go/1.76"),
    ];
    Case {
        method: Some("POST"),
        version: HttpVersion::Http2,
        session: Session::Rpc(Box::new(rpc(RpcSystem::Grpc, status))),
        ..case(role, PATH, &headers)
    }
}

fn connect(role: Role, status: RpcStatus) -> Case {
    let headers = [(HeaderName::Host, "cart.example")];
    Case {
        method: Some("POST"),
        session: Session::Rpc(Box::new(rpc(RpcSystem::Connect, status))),
        ..case(role, PATH, &headers)
    }
}

fn of_former_names() -> Describer {
    Describer::new(Conventions::default().with_former_rpc_names())
}

#[test]
fn a_call_of_grpc() {
    for role in [Role::Client, Role::Server] {
        let mut case = call(role, coded(Code::Ok));
        let mut counted = rpc(RpcSystem::Grpc, coded(Code::Ok));
        counted.response_messages = Some(30);
        case.session = Session::Rpc(Box::new(counted));
        let description = case.describe();
        assert_eq!(description.name, METHOD);
        assert_eq!(description.status, Status::Unset);
        let expected = [
            ("rpc.system.name", "grpc"),
            ("rpc.method", METHOD),
            ("server.address", "cart.example"),
            ("server.port", "50051"),
            ("network.protocol.version", "2"),
            ("network.peer.address", "10.0.0.7"),
            ("network.peer.port", "8080"),
            ("rpc.status_code", "OK"),
            ("wirespan.rpc.request.messages", "1"),
            ("wirespan.rpc.response.messages", "30"),
            ("http.request.body.size", "3"),
            ("http.response.body.size", "12"),
        ];
        for (key, value) in expected {
            assert_eq!(get(&description, key), some(value), "{key}");
        }
        assert_eq!(description.attributes.len(), expected.len());
    }
}

#[test]
fn a_call_of_connect() {
    let case = connect(Role::Client, coded(Code::Ok));
    assert_eq!(case.describe().name, METHOD);
    assert_eq!(case.get("rpc.system.name"), some("connectrpc"));
    assert_eq!(case.get("server.address"), some("cart.example"));
    // The port is what was named, not what the scheme means.
    assert_eq!(case.get("server.port"), None);
    // Success has no code.
    assert_eq!(case.get("rpc.status_code"), None);
    let mut prefixed = connect(Role::Server, coded(Code::DeadlineExceeded));
    prefixed.target = Some(format!("/api/v2{PATH}?connect=v1&message=secret"));
    prefixed.response = response(504);
    assert_eq!(prefixed.describe().name, METHOD);
    assert_eq!(prefixed.get("rpc.status_code"), some("deadline_exceeded"));
    assert_eq!(prefixed.get("error.type"), some("deadline_exceeded"));
    assert_eq!(prefixed.get("http.response.status_code"), some("504"));
}

#[test]
fn status_codes_that_are_errors() {
    let of_servers = [2, 4, 12, 13, 14, 15];
    for number in 0..=16 {
        let code = Code::from_code(number).unwrap();
        for (role, is_error) in [
            (Role::Client, number != 0),
            (Role::Server, of_servers.contains(&number)),
        ] {
            let case = call(role, coded(code));
            assert_eq!(case.get("rpc.status_code"), some(code.name()));
            let expected = is_error.then(|| code.name().to_owned());
            assert_eq!(case.get("error.type"), expected, "{role:?} {number}");
            let status = if is_error {
                Status::Error
            } else {
                Status::Unset
            };
            assert_eq!(case.describe().status, status, "{role:?} {number}");
        }
    }
    // Numbers that have no name.
    for number in [17, u32::MAX] {
        let case = call(Role::Server, RpcStatus::Code(number));
        assert_eq!(case.get("rpc.status_code"), some("UNKNOWN"));
        assert_eq!(case.get("error.type"), some("UNKNOWN"));
    }
    let status = coded(Code::Cancelled);
    let cancelled = connect(Role::Client, status);
    assert_eq!(cancelled.get("error.type"), some("canceled"));
}

#[test]
fn a_message_describes_an_error() {
    let describe = |role, code, message: &str| {
        let mut rpc = rpc(RpcSystem::Grpc, coded(code));
        rpc.message = Some(message.into());
        let case = Case {
            session: Session::Rpc(Box::new(rpc)),
            ..call(role, RpcStatus::Absent)
        };
        case.describe().status_message
    };
    assert_eq!(describe(Role::Client, Code::NotFound, "no cart"), "no cart");
    assert_eq!(describe(Role::Server, Code::NotFound, "no cart"), "");
    assert_eq!(describe(Role::Server, Code::Internal, "oops"), "oops");
    assert_eq!(describe(Role::Client, Code::Ok, "fine"), "");
    let long = "é".repeat(VALUE_LIMIT);
    assert_eq!(
        describe(Role::Client, Code::Internal, &long).len(),
        VALUE_LIMIT
    );
}

#[test]
fn a_method_that_is_not_there() {
    let unimplemented = coded(Code::Unimplemented);
    for role in [Role::Client, Role::Server] {
        let case = call(role, unimplemented);
        assert_eq!(case.describe().name, "grpc");
        assert_eq!(case.get("rpc.method"), some("_OTHER"));
        assert_eq!(case.get("rpc.method_original"), some(METHOD));
        assert_eq!(case.get("error.type"), some("UNIMPLEMENTED"));
        // Messages came, so it was one of them that was refused.
        let mut answered = rpc(RpcSystem::Grpc, unimplemented);
        answered.response_messages = Some(1);
        let case = Case {
            session: Session::Rpc(Box::new(answered)),
            ..case
        };
        assert_eq!(case.get("rpc.method"), some(METHOD));
    }
    let mut case = call(Role::Server, coded(Code::Ok));
    case.target = Some("/wp-login.php".to_owned());
    assert_eq!(case.describe().name, "grpc");
    assert_eq!(case.get("rpc.method_original"), some("wp-login.php"));
    let case = connect(Role::Server, RpcStatus::Absent);
    let case = Case {
        response: response(404),
        ..case
    };
    assert_eq!(case.describe().name, "connectrpc");
    assert_eq!(case.get("rpc.method"), some("_OTHER"));
}

#[test]
fn servers_are_never_named_by_their_sockets() {
    for role in [Role::Client, Role::Server] {
        let mut case = call(role, coded(Code::Ok));
        case.headers.remove(0);
        assert_eq!(case.get("server.address"), None);
        assert_eq!(case.get("server.port"), None);
        assert!(case.unknown().is_empty());
        case.peer = None;
        assert_eq!(case.get("network.peer.address"), None);
        assert_eq!(case.get("network.transport"), some("unix"));
    }
}

#[test]
fn the_time_that_a_client_gives() {
    use HeaderName::{ConnectTimeout, GrpcTimeout};
    let timeout = |header, value: &str| {
        let mut case = match header {
            GrpcTimeout => call(Role::Client, coded(Code::Ok)),
            _ => connect(Role::Client, coded(Code::Ok)),
        };
        case.headers.push((header, value.into()));
        case.get("wirespan.rpc.timeout")
    };
    for (header, value, expected) in [
        (GrpcTimeout, "5S", Some("5")),
        (GrpcTimeout, "1500m", Some("1.5")),
        (GrpcTimeout, "250u", Some("0.00025")),
        (GrpcTimeout, "99999999H", Some("359999996400")),
        (GrpcTimeout, "5", None),
        (GrpcTimeout, "123456789S", None),
        (ConnectTimeout, "30000", Some("30")),
        (ConnectTimeout, "30s", None),
    ] {
        assert_eq!(timeout(header, value).as_deref(), expected, "{value}");
    }
}

#[test]
fn former_names_are_there_when_asked_for() {
    let describe = |case: &Case| case.describe_by(&mut of_former_names());
    let case = call(Role::Client, coded(Code::NotFound));
    for (key, value) in [
        ("rpc.system", "grpc"),
        ("rpc.service", "shop.v1.Cart"),
        ("rpc.grpc.status_code", "5"),
        ("rpc.system.name", "grpc"),
        ("rpc.method", METHOD),
        ("rpc.status_code", "NOT_FOUND"),
    ] {
        assert_eq!(get(&describe(&case), key), some(value), "{key}");
    }
    assert_eq!(case.get("rpc.system"), None);
    let status = coded(Code::NotFound);
    let case = connect(Role::Client, status);
    let former = describe(&case);
    assert_eq!(get(&former, "rpc.system"), some("connect_rpc"));
    assert_eq!(
        get(&former, "rpc.connect_rpc.error_code"),
        some("not_found")
    );
    assert_eq!(get(&former, "rpc.grpc.status_code"), None);
    let case = call(Role::Client, coded(Code::Unimplemented));
    assert_eq!(get(&describe(&case), "rpc.service"), None);
}

proptest! {
    #[test]
    fn foreign_bytes_do_not_panic(
        is_client: bool,
        is_connect: bool,
        status in 0_u32..20,
        http in proptest::option::of(100_u16..600),
        target in "\\PC{0,300}|[/a.]{0,300}",
        authority in "\\PC{0,20}|[\\[\\]:@a1]{0,10}",
        timeout in "[0-9]{0,10}[a-zA-Z\u{e9}]?",
        reset in proptest::option::of(0_u32..20),
        hidden: bool,
    ) {
        let system = if is_connect {
            RpcSystem::Connect
        } else {
            RpcSystem::Grpc
        };
        let status = match status {
            18 => RpcStatus::Absent,
            19 => RpcStatus::Hidden,
            code => RpcStatus::Code(code),
        };
        let role = if is_client { Role::Client } else { Role::Server };
        let headers = [
            (HeaderName::Authority, &*authority),
            (HeaderName::GrpcTimeout, &timeout),
            (HeaderName::ConnectTimeout, &timeout),
        ];
        let case = Case {
            session: Session::Rpc(Box::new(rpc(system, status))),
            response: http.map(|status| Response { status: Some(status) }),
            error: reset.map(|code| ExchangeError::StreamReset { code: Some(code).filter(|code| *code < 15), by: role }),
            hidden,
            ..case(role, &target, &headers)
        };
        let description: Description = case.describe_by(&mut of_former_names());
        let mut keys: Vec<_> = description.attributes.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys.dedup();
        prop_assert_eq!(keys.len(), description.attributes.len(), "keys are unique");
        let has_error = keys.contains(&"error.type");
        prop_assert_eq!(has_error, description.status == Status::Error);
        prop_assert!(description.name.len() <= 255);
        let unknown = case.unknown();
        let mut names = unknown.clone();
        names.sort_unstable();
        names.dedup();
        prop_assert_eq!(names.len(), unknown.len(), "unknown names are unique");
    }
}
