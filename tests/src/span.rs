//! Spans as OTLP/JSON has them, one `TracesData` a line: the form of the Collector's file exporter.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Attributes with OTLP's `AnyValue` taken off: strings, numbers, booleans and arrays.
pub type Attributes = BTreeMap<String, Value>;

/// OTLP's span kinds that wirespan makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `SPAN_KIND_SERVER`
    Server,
    /// `SPAN_KIND_CLIENT`
    Client,
}

/// One span with its resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// Empty for a root.
    pub parent_span_id: String,
    /// W3C `tracestate`.
    pub trace_state: String,
    /// Kind.
    pub kind: Kind,
    /// Name.
    pub name: String,
    /// Nanoseconds since the Unix epoch.
    pub start: u64,
    /// Nanoseconds since the Unix epoch.
    pub end: u64,
    /// True for `STATUS_CODE_ERROR`.
    pub error: bool,
    /// Its own attributes.
    pub attributes: Attributes,
    /// Its resource's attributes.
    pub resource: Attributes,
}

impl Span {
    /// A string attribute, empty when it is absent.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.attributes
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// An integer attribute.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<i64> {
        self.attributes.get(key).and_then(Value::as_i64)
    }

    /// A string attribute of the resource, empty when it is absent.
    #[must_use]
    pub fn resource_text(&self, key: &str) -> &str {
        self.resource
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// `service.name`
    #[must_use]
    pub fn service(&self) -> &str {
        self.resource_text("service.name")
    }

    /// Path and query of the request, from whichever attributes this kind of span has.
    #[must_use]
    pub fn target(&self) -> String {
        match self.kind {
            Kind::Server if self.text("url.query").is_empty() => self.text("url.path").to_owned(),
            Kind::Server => format!("{}?{}", self.text("url.path"), self.text("url.query")),
            Kind::Client => {
                let url = self.text("url.full");
                let authority = url.find("://").map_or(0, |at| at + 3);
                url[authority..]
                    .find('/')
                    .map_or_else(String::new, |at| url[authority + at..].to_owned())
            }
        }
    }
}

/// Reads one line.
///
/// # Errors
/// When it is not a `TracesData` object with the fields that OTLP requires.
pub fn parse_line(line: &str) -> Result<Vec<Span>> {
    let data: Value = serde_json::from_str(line).context("a line is not JSON")?;
    let mut spans = Vec::new();
    for resource_spans in array(&data, "resourceSpans")? {
        let resource = attributes(&resource_spans["resource"])?;
        for scope_spans in array(resource_spans, "scopeSpans")? {
            for span in array(scope_spans, "spans")? {
                spans.push(read(span, &resource).with_context(|| format!("in span {span}"))?);
            }
        }
    }
    Ok(spans)
}

/// Reads all lines.
///
/// # Errors
/// As [`parse_line`].
pub fn parse_lines(lines: &str) -> Result<Vec<Span>> {
    let spans: Result<Vec<_>> = lines.lines().map(parse_line).collect();
    Ok(spans?.into_iter().flatten().collect())
}

fn array<'a>(object: &'a Value, key: &str) -> Result<&'a [Value]> {
    object[key]
        .as_array()
        .map(Vec::as_slice)
        .with_context(|| format!("no array {key}"))
}

fn read(span: &Value, resource: &Attributes) -> Result<Span> {
    let text = |key: &str| span[key].as_str().map(str::to_owned);
    let id = |key: &str, digits: usize| {
        text(key)
            .filter(|id| id.len() == digits && id.bytes().any(|byte| byte != b'0'))
            .with_context(|| format!("{key} is not a valid id"))
    };
    let time = |key: &str| -> Result<u64> {
        let text = span[key].as_str().with_context(|| format!("no {key}"))?;
        Ok(text.parse()?)
    };
    Ok(Span {
        trace_id: id("traceId", 32)?,
        span_id: id("spanId", 16)?,
        parent_span_id: text("parentSpanId").unwrap_or_default(),
        trace_state: text("traceState").unwrap_or_default(),
        kind: match span["kind"].as_u64() {
            Some(2) => Kind::Server,
            Some(3) => Kind::Client,
            other => bail!("kind {other:?}"),
        },
        name: text("name").context("no name")?,
        start: time("startTimeUnixNano")?,
        end: time("endTimeUnixNano")?,
        error: span["status"]["code"].as_u64() == Some(2),
        attributes: attributes(span)?,
        resource: resource.clone(),
    })
}

fn attributes(owner: &Value) -> Result<Attributes> {
    let mut found = Attributes::new();
    for pair in owner["attributes"].as_array().into_iter().flatten() {
        let key = pair["key"].as_str().context("an attribute has no key")?;
        let value = any_value(&pair["value"]).with_context(|| format!("attribute {key}"))?;
        if found.insert(key.to_owned(), value).is_some() {
            bail!("attribute {key} is there twice");
        }
    }
    Ok(found)
}

fn any_value(value: &Value) -> Result<Value> {
    let (kind, inner) = value
        .as_object()
        .and_then(|object| object.iter().next())
        .context("no value")?;
    Ok(match (kind.as_str(), inner) {
        ("intValue", Value::String(text)) => text.parse::<i64>()?.into(),
        ("stringValue", Value::String(_))
        | ("boolValue", Value::Bool(_))
        | ("doubleValue", Value::Number(_)) => inner.clone(),
        ("arrayValue", array) => {
            let values = array["values"].as_array().into_iter().flatten();
            Value::Array(values.map(any_value).collect::<Result<_>>()?)
        }
        _ => bail!("unexpected {value}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As written by the Collector's file exporter.
    const LINE: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"nginx"}},{"key":"process.pid","value":{"intValue":"42"}}]},"scopeSpans":[{"scope":{},"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","parentSpanId":"00f067aa0ba902b7","flags":257,"name":"GET","kind":2,"startTimeUnixNano":"1790000000000000001","endTimeUnixNano":"1790000000000000002","attributes":[{"key":"url.path","value":{"stringValue":"/a"}},{"key":"url.query","value":{"stringValue":"n=1"}},{"key":"http.response.status_code","value":{"intValue":"500"}}],"status":{"code":2}}]}]}]}"#;

    #[test]
    fn a_line_of_the_file_exporter_is_read() {
        let spans = parse_line(LINE).unwrap();
        let [span] = spans.as_slice() else {
            panic!("{spans:?}");
        };
        assert_eq!(span.service(), "nginx");
        assert_eq!(span.target(), "/a?n=1");
        assert_eq!(span.number("http.response.status_code"), Some(500));
        assert_eq!(span.parent_span_id, "00f067aa0ba902b7");
        assert_eq!(span.end - span.start, 1);
        assert!(span.error);
    }

    #[test]
    fn what_is_not_otlp_is_refused() {
        assert!(parse_line("wirespan: tracing").is_err());
        assert!(parse_line(&LINE.replace("b7ad6b7169203331", "0000000000000000")).is_err());
        assert!(parse_line(&LINE.replace(r#""kind":2"#, r#""kind":1"#)).is_err());
    }
}
