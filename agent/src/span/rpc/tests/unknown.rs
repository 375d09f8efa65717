//! What of a call was not seen is absent, and named.

use super::*;

#[test]
fn a_hidden_status() {
    for case in [
        call(Role::Client, RpcStatus::Hidden),
        connect(Role::Server, RpcStatus::Hidden),
    ] {
        assert_eq!(case.unknown(), ["rpc.status_code", "error.type"]);
        assert_eq!(case.describe().status, Status::Unset);
        assert_eq!(case.describe().name, METHOD);
    }
    // HTTP says that it failed, and not how.
    let mut case = connect(Role::Client, RpcStatus::Hidden);
    case.response = response(400);
    assert_eq!(case.unknown(), ["rpc.status_code"]);
    assert_eq!(case.get("error.type"), some("400"));
    case.role = Role::Server;
    assert_eq!(case.describe().status, Status::Unset);
    // So does the connection.
    case.error = Some(ExchangeError::Reset);
    assert_eq!(case.unknown(), ["rpc.status_code"]);
    assert_eq!(case.get("error.type"), some("connection_reset"));
    // The client gave up when it had come, or not.
    case.error = Some(ExchangeError::StreamReset {
        code: Some(8),
        by: Role::Client,
    });
    assert_eq!(case.unknown(), ["rpc.status_code", "error.type"]);
    // Not even the code of HTTP is known.
    let mut case = call(Role::Server, RpcStatus::Hidden);
    case.response = Some(Response { status: None });
    assert_eq!(
        case.unknown(),
        ["http.response.status_code", "rpc.status_code", "error.type"]
    );
}

#[test]
fn hidden_headers() {
    let mut case = call(Role::Server, coded(Code::Ok));
    case.hidden = true;
    assert_eq!(case.unknown(), ["wirespan.rpc.timeout"]);
    // Proxies' headers name no server of calls.
    assert_eq!(case.get("server.address"), some("cart.example"));
    case.headers.push((HeaderName::GrpcTimeout, "1S".into()));
    assert!(case.unknown().is_empty());
    case.headers.remove(0);
    assert_eq!(case.unknown(), ["server.address", "server.port"]);
}

#[test]
fn a_hidden_target() {
    let mut case = call(Role::Server, coded(Code::Ok));
    case.target = None;
    assert_eq!(case.unknown(), ["rpc.method", "rpc.method_original"]);
    assert_eq!(case.describe().name, "grpc");
}

#[test]
fn messages_that_could_not_be_counted() {
    let mut case = call(Role::Server, coded(Code::Ok));
    let mut rpc = rpc(RpcSystem::Grpc, coded(Code::Ok));
    rpc.request_messages = None;
    rpc.response_messages = None;
    case.session = Session::Rpc(Box::new(rpc));
    assert_eq!(
        case.unknown(),
        [
            "wirespan.rpc.request.messages",
            "wirespan.rpc.response.messages"
        ]
    );
}

#[test]
fn a_cancelled_call_whose_deadline_is_hidden() {
    let mut case = call(Role::Client, RpcStatus::Absent);
    case.hidden = true;
    case.error = Some(ExchangeError::StreamReset {
        code: Some(8),
        by: Role::Client,
    });
    assert_eq!(case.unknown(), ["wirespan.rpc.timeout", "rpc.status_code"]);
    assert_eq!(case.get("error.type"), some("CANCEL"));
    // A deadline would be its error, a cancellation not.
    case.role = Role::Server;
    assert_eq!(
        case.unknown(),
        ["wirespan.rpc.timeout", "rpc.status_code", "error.type"]
    );
    assert_eq!(case.describe().status, Status::Unset);
}

#[test]
fn a_reset_whose_code_was_not_captured() {
    let mut case = call(Role::Client, RpcStatus::Absent);
    case.error = Some(ExchangeError::StreamReset {
        code: None,
        by: Role::Client,
    });
    assert_eq!(case.unknown(), ["rpc.status_code"]);
    assert_eq!(case.get("error.type"), some("stream_reset"));
    case.role = Role::Server;
    assert_eq!(case.unknown(), ["rpc.status_code", "error.type"]);
    case.error = Some(ExchangeError::StreamReset {
        code: None,
        by: Role::Server,
    });
    assert!(case.unknown().is_empty());
    assert_eq!(case.get("error.type"), some("stream_reset"));
}
