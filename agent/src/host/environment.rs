//! What a process' environment says about its service, by the OpenTelemetry specification of
//! `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`. Pure.

use compact_str::CompactString;
use percent_encoding::percent_decode_str;

/// Attributes that one process may give at most; the rest is left out.
const ATTRIBUTES_LIMIT: usize = 128;

/// The part of an environment that describes the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServiceEnvironment {
    /// `OTEL_SERVICE_NAME`, else `service.name` of `OTEL_RESOURCE_ATTRIBUTES`.
    pub(super) service_name: Option<CompactString>,
    /// `OTEL_RESOURCE_ATTRIBUTES` without `service.name`, keys unique.
    pub(super) attributes: Vec<(CompactString, CompactString)>,
}

impl ServiceEnvironment {
    /// Reads variables as the kernel keeps them: `NAME=value`, each ended by a zero byte. As in
    /// `getenv(3)` the first of several variables of one name counts; an empty one is unset.
    pub(super) fn parse(environment: &[u8]) -> Self {
        let name = variable(environment, b"OTEL_SERVICE_NAME")
            .map(|value| CompactString::from_utf8_lossy(value).trim().into());
        let attributes = variable(environment, b"OTEL_RESOURCE_ATTRIBUTES")
            .and_then(|value| resource_attributes(std::str::from_utf8(value).ok()?));
        let mut result = Self {
            service_name: name.filter(|name: &CompactString| !name.is_empty()),
            attributes: attributes.unwrap_or_default(),
        };
        if let Some(index) = result
            .attributes
            .iter()
            .position(|(key, _)| key == "service.name")
        {
            let (_, given) = result.attributes.remove(index);
            if result.service_name.is_none() && !given.is_empty() {
                result.service_name = Some(given);
            }
        }
        result
    }
}

fn variable<'a>(environment: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    environment
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))
        .filter(|value| !value.is_empty())
}

/// `key=value` pairs with commas between them, percent-encoded; the last of equal keys counts.
/// `None` on any error: the specification discards the whole value then.
fn resource_attributes(value: &str) -> Option<Vec<(CompactString, CompactString)>> {
    let mut attributes: Vec<(CompactString, CompactString)> = Vec::new();
    for pair in value
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
    {
        let (key, value) = pair.split_once('=')?;
        let key = decode(key.trim())?;
        let value = decode(value.trim())?;
        if key.is_empty() {
            return None;
        }
        if let Some(known) = attributes.iter_mut().find(|(other, _)| *other == key) {
            known.1 = value;
        } else if attributes.len() < ATTRIBUTES_LIMIT {
            attributes.push((key, value));
        }
    }
    Some(attributes)
}

/// Decodes strictly: a `%` without two hexadecimal digits, or bytes that are not UTF-8, are errors.
fn decode(text: &str) -> Option<CompactString> {
    let mut escapes = text.split('%');
    escapes.next();
    let valid = escapes.all(|escape| {
        escape.len() >= 2 && escape.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
    });
    if !valid {
        return None;
    }
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.as_ref().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(environment: &str) -> ServiceEnvironment {
        ServiceEnvironment::parse(environment.as_bytes())
    }

    #[test]
    fn the_service_name_wins_over_the_attribute() {
        let found = parse(
            "PATH=/bin\0OTEL_SERVICE_NAME=shop\0OTEL_RESOURCE_ATTRIBUTES=service.name=other,a=b\0",
        );
        assert_eq!(found.service_name.as_deref(), Some("shop"));
        assert_eq!(found.attributes, [("a".into(), "b".into())]);
    }

    #[test]
    fn an_empty_service_name_is_unset() {
        let found =
            parse("OTEL_SERVICE_NAME=\0OTEL_RESOURCE_ATTRIBUTES=service.name=my%20shop%2C%3D\0");
        assert_eq!(found.service_name.as_deref(), Some("my shop,="));
        assert_eq!(parse("OTEL_SERVICE_NAME= \0").service_name, None);
        assert_eq!(
            parse("OTEL_RESOURCE_ATTRIBUTES=service.name=\0").service_name,
            None
        );
    }

    #[test]
    fn names_must_match_whole() {
        assert_eq!(
            parse("MY_OTEL_SERVICE_NAME=a\0OTEL_SERVICE_NAMES=b\0OTEL_SERVICE_NAME"),
            ServiceEnvironment::default()
        );
    }

    #[test]
    fn any_error_discards_the_whole_value() {
        for value in [
            "a=b,c",
            "a=b,=c",
            "a=b,c=%",
            "a=b,c=%zz",
            "a=b,c=%4",
            "a=b,c=%ff",
        ] {
            let found = parse(&format!("OTEL_RESOURCE_ATTRIBUTES={value}\0"));
            assert_eq!(found, ServiceEnvironment::default(), "{value}");
        }
    }

    #[test]
    fn spaces_around_pairs_and_a_last_comma_are_no_error() {
        let found = parse("OTEL_RESOURCE_ATTRIBUTES= a = b , c=d=e ,\0");
        assert_eq!(
            found.attributes,
            [("a".into(), "b".into()), ("c".into(), "d=e".into())]
        );
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        let found = parse("OTEL_RESOURCE_ATTRIBUTES=a=1,b=2,a=3\0");
        assert_eq!(
            found.attributes,
            [("a".into(), "3".into()), ("b".into(), "2".into())]
        );
    }

    proptest! {
        #[test]
        fn any_environment_is_read(content: Vec<u8>) {
            let _ = ServiceEnvironment::parse(&content);
            let mut environment = b"OTEL_RESOURCE_ATTRIBUTES=".to_vec();
            environment.extend(content);
            let _ = ServiceEnvironment::parse(&environment);
        }

        #[test]
        fn encoded_pairs_come_back(key in "[^\\s\0]{1,8}", value in "[^\0]{0,12}") {
            use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
            let environment = format!(
                "OTEL_RESOURCE_ATTRIBUTES={}={}\0",
                utf8_percent_encode(&key, NON_ALPHANUMERIC),
                utf8_percent_encode(&value, NON_ALPHANUMERIC),
            );
            let found = parse(&environment);
            prop_assert_eq!(found.attributes, vec![(key.into(), value.into())]);
        }
    }
}
