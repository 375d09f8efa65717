//! Foreign bytes: no panic, no secret that leaves, no key twice.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn foreign_bytes_do_not_panic(
        is_client: bool,
        target in "\\PC{0,40}|(http|x)://[a@:\\[\\]/?#é.]{0,20}|/[?#&=sig]{0,10}",
        host in "\\PC{0,20}|[\\[\\]:@a1]{0,10}",
        forwarded in "\\PC{0,20}|((for|host|proto)=[\"\\\\;,a:\\[\\]]{0,8}[;,]?){0,4}",
    ) {
        use HeaderName::{Forwarded, Host, XForwardedFor, XForwardedHost};
        let role = if is_client { Role::Client } else { Role::Server };
        let headers = [(Host, &*host), (Forwarded, &forwarded), (XForwardedFor, &forwarded), (XForwardedHost, &host)];
        let description = case(role, &target, &headers).describe();
        let mut keys: Vec<_> = description.attributes.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys.dedup();
        prop_assert_eq!(keys.len(), description.attributes.len(), "keys are unique");
        prop_assert!(description.attributes.len() < ROOM, "one allocation");
        prop_assert!(["GET", "HTTP"].contains(&description.name.as_str()));
    }

    #[test]
    fn credentials_never_leave(user in "[a-z]{6}", password in "[0-9]{6}", path in "[/a-z0-9.]{0,10}") {
        let target = format!("http://{user}:{password}@h.example/{path}");
        let case = client(&target, &[]);
        let url = case.get("url.full").unwrap();
        prop_assert_eq!(url, format!("http://REDACTED:REDACTED@h.example/{path}"));
    }
}
