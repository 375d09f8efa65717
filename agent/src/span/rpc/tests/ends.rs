//! Calls that end otherwise than with a status.

use super::*;

const MILLISECOND: u64 = 1_000_000;

#[expect(clippy::unnecessary_wraps, reason = "there may be none")]
fn reset(code: u32, by: Role) -> Option<ExchangeError> {
    Some(ExchangeError::StreamReset {
        code: Some(code),
        by,
    })
}

fn check(case: &Case, status_code: Option<&str>, error: Option<&str>) {
    assert_eq!(case.get("rpc.status_code").as_deref(), status_code);
    assert_eq!(case.get("error.type").as_deref(), error);
    let status = error.map_or(Status::Unset, |_| Status::Error);
    assert_eq!(case.describe().status, status);
    // No answer says that it is not there.
    assert_eq!(case.describe().name, METHOD);
    assert!(case.unknown().is_empty());
}

#[test]
fn a_client_cancels() {
    // By the conventions, CANCELLED is an error of clients alone.
    for (role, error) in [(Role::Client, Some("CANCELLED")), (Role::Server, None)] {
        for answer in [None, response(200)] {
            let mut case = call(role, RpcStatus::Absent);
            case.error = reset(8, Role::Client);
            case.response = answer;
            case.lasted = 100 * MILLISECOND;
            check(&case, Some("CANCELLED"), error);
            case.headers.push((HeaderName::GrpcTimeout, "5S".into()));
            check(&case, Some("CANCELLED"), error);
        }
    }
}

#[test]
fn a_deadline_passes() {
    // Python's clients write 1010 ms as 102 hundredths of a second.
    for (timeout, lasted) in [("1S", 1000), ("1S", 1500), ("1020m", 1010), ("1m", 0)] {
        for role in [Role::Client, Role::Server] {
            let mut case = call(role, RpcStatus::Absent);
            case.error = reset(8, Role::Client);
            case.response = None;
            case.lasted = lasted * MILLISECOND;
            case.headers.push((HeaderName::GrpcTimeout, timeout.into()));
            check(&case, None, Some("DEADLINE_EXCEEDED"));
        }
    }
}

#[test]
fn a_status_counts_more_than_what_came_after() {
    let mut case = call(Role::Client, coded(Code::Ok));
    case.error = reset(8, Role::Client);
    check(&case, Some("OK"), None);
    case.error = Some(ExchangeError::Closed);
    check(&case, Some("OK"), None);
}

#[test]
fn a_connection_or_a_server_fails() {
    for (error, expected) in [
        (reset(7, Role::Server), "REFUSED_STREAM"),
        (reset(8, Role::Server), "CANCEL"),
        (reset(0, Role::Server), "stream_reset"),
        (
            Some(ExchangeError::GoneAway { code: 0 }),
            "connection_shutdown",
        ),
        (Some(ExchangeError::Reset), "connection_reset"),
        (Some(ExchangeError::AgentStopped), "agent_stopped"),
    ] {
        for role in [Role::Client, Role::Server] {
            let mut case = call(role, RpcStatus::Absent);
            case.error = error;
            check(&case, None, Some(expected));
        }
    }
}

#[test]
fn a_response_without_a_status() {
    for role in [Role::Client, Role::Server] {
        check(&call(role, RpcStatus::Absent), None, Some("missing_status"));
        check(
            &connect(role, RpcStatus::Absent),
            None,
            Some("missing_status"),
        );
        // A unary call that was answered from a cache.
        let mut case = connect(role, RpcStatus::Absent);
        case.response = response(304);
        check(&case, None, None);
    }
}

#[test]
fn an_answer_that_is_plain_http() {
    // Status code, error of a server of gRPC, of one of Connect.
    for (status, grpc, connected) in [
        (502, true, true),
        (503, true, true),
        (400, true, false),
        (401, false, false),
        (403, false, false),
        (429, true, false),
        (500, true, true),
    ] {
        let text = status.to_string();
        let error = Some(&*text);
        for (role, case, is_error) in [
            (Role::Client, call(Role::Client, RpcStatus::Absent), true),
            (Role::Server, call(Role::Server, RpcStatus::Absent), grpc),
            (Role::Client, connect(Role::Client, RpcStatus::Absent), true),
            (
                Role::Server,
                connect(Role::Server, RpcStatus::Absent),
                connected,
            ),
        ] {
            let case = Case {
                response: response(status),
                ..case
            };
            check(&case, None, error.filter(|_| is_error));
            let code = case.get("http.response.status_code");
            assert_eq!(code.as_deref(), error, "{role:?}");
        }
    }
}
