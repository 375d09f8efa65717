//! The Collector keeps its promises, without any agent. No root needed.

use std::{process::Command, time::Duration};

use anyhow::{Result, ensure};
use wirespan_tests::{
    collector::{Collector, Ports},
    needs_collector,
    process::{output, wait_until},
};

const SPAN: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"scope":{"name":"wirespan"},"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","name":"GET","kind":2,"startTimeUnixNano":"1790000000000000001","endTimeUnixNano":"1790000000000000002","attributes":[{"key":"url.path","value":{"stringValue":"/a"}},{"key":"http.response.status_code","value":{"intValue":"200"}}],"status":{}}]}]}]}"#;

#[test]
fn what_it_receives_is_in_its_file() -> Result<()> {
    needs_collector!("what_it_receives_is_in_its_file");
    let collector = Collector::start(Ports::free()?)?;
    let url = format!("http://127.0.0.1:{}/v1/traces", collector.ports.http);
    let header = "Content-Type: application/json";
    output(Command::new("curl").args(["-sSf", "-H", header, "-d", SPAN, &url]))?;
    wait_until("the file", Duration::from_secs(5), || {
        collector.spans().is_ok_and(|spans| !spans.is_empty())
    })?;
    let spans = collector.spans()?;
    ensure!(
        spans == wirespan_tests::span::parse_line(SPAN)?,
        "{spans:?}"
    );
    Ok(())
}
