//! The formats, by Envoy's own cases, and whatever else may come.

use std::{collections::BTreeMap, time::Duration};

use base64::Engine;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::{
    header::{BASE64, message},
    message::Message,
    *,
};
use crate::LoadReport;

fn headers(all: &[(http::HeaderName, &str)]) -> HeaderMap {
    let value = |value: &str| HeaderValue::from_bytes(value.as_bytes()).unwrap();
    all.iter().map(|(name, text)| (name.clone(), value(text))).collect()
}

fn read_one(text: &str) -> Result<Message, OrcaError> {
    message(&headers(&[(HEADER, text)])).map(Option::unwrap)
}

fn read_bin(text: &str) -> Result<Message, OrcaError> {
    message(&headers(&[(HEADER_BIN, text)])).map(Option::unwrap)
}

fn named(metrics: &[(&str, f64)]) -> BTreeMap<String, f64> {
    metrics
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value))
        .collect()
}

/// What the cases below are of: envoyproxy/envoy, test/common/orca/orca_parser_test.cc, `exampleOrcaLoadReport`.
fn example() -> Message {
    Message {
        cpu_utilization: 0.7,
        application_utilization: 0.8,
        mem_utilization: 0.9,
        eps: 2.0,
        rps_fractional: 1000.0,
        named_metrics: named(&[("foo", 123.0), ("bar", 0.2)]),
        utilization: named(&[("total", 0.5)]),
        ..Message::default()
    }
}

/// envoyproxy/envoy, test/common/orca/orca_parser_test.cc: what is read, by the names of its tests.
#[test]
fn what_envoy_reads_is_read() {
    for (test, text) in [
        (
            "NativeHttpEncodedHeader",
            "TEXT cpu_utilization=0.7,application_utilization=0.8,mem_utilization=0.9,rps_fractional=1000,eps=2,\
             named_metrics.foo=123,named_metrics.bar=0.2,utilization.total=0.5",
        ),
        (
            "NativeHttpEncodedHeaderWithColon",
            "TEXT cpu_utilization:0.7,application_utilization:0.8,mem_utilization:0.9,rps_fractional:1000,eps:2,\
             named_metrics.foo:123,named_metrics.bar:0.2,utilization.total:0.5",
        ),
        (
            "JsonHeader",
            "JSON {\"cpu_utilization\": 0.7, \"application_utilization\": 0.8, \"mem_utilization\": 0.9, \
             \"rps_fractional\": 1000, \"eps\": 2, \"named_metrics\": {\"foo\": 123,\"bar\": 0.2}, \
             \"utilization\": {\"total\": 0.5}}",
        ),
    ] {
        assert_eq!(read_one(text).unwrap(), example(), "{test}");
    }
    // NoHeaders, MissingOrcaHeaders.
    assert_eq!(message(&headers(&[])).unwrap(), None);
    let other = http::HeaderName::from_static("wrong-header");
    assert_eq!(message(&headers(&[(other, "wrong-value")])).unwrap(), None);
}

/// The same file, `LegacyBinaryHeaderFromGrpcGo`: captured from a grpc-go backend, which omits base64's padding, and with
/// it restored.
#[test]
fn what_grpc_go_sends_is_read() {
    let expected = Message {
        cpu_utilization: 0.5,
        rps_fractional: 100.0,
        eps: 2.0,
        named_metrics: named(&[("rif", 4.0)]),
        ..Message::default()
    };
    for text in [
        "CQAAAAAAAOA/MQAAAAAAAFlAOQAAAAAAAABAQg4KA3JpZhEAAAAAAAAQQA",
        "CQAAAAAAAOA/MQAAAAAAAFlAOQAAAAAAAABAQg4KA3JpZhEAAAAAAAAQQA==",
    ] {
        assert_eq!(read_bin(text).unwrap(), expected);
        assert_eq!(read_one(&format!("BIN {text}")).unwrap(), expected);
    }
    let report = LoadReport::try_from(expected).unwrap();
    assert_eq!(
        (report.utilization(), report.qps(), report.eps()),
        (Some(0.5), Some(100.0), Some(2.0))
    );
    assert_eq!((report.queue(), report.latency()), (None, None));
}

/// The same file: `LegacyBinaryHeader`, `BinaryHeader`, both without padding, `BinHeaderPrecedence`. Its binary form is
/// the encoder's, here as there.
#[test]
fn binary_headers_are_read_and_come_first() {
    let bytes = prost::Message::encode_to_vec(&example());
    let padded = BASE64.encode(&bytes);
    let unpadded = padded.trim_end_matches('=');
    for text in [padded.as_str(), unpadded] {
        assert_eq!(read_bin(text).unwrap(), example());
        assert_eq!(read_one(&format!("BIN {text}")).unwrap(), example());
    }
    let both = headers(&[(HEADER, "cpu_utilization:0.7"), (HEADER_BIN, &padded)]);
    assert_eq!(message(&both).unwrap(), Some(example()));
    // InvalidBinaryHeader: half of the message.
    let half = BASE64.encode(&bytes[..bytes.len() / 2]);
    assert!(matches!(read_bin(&half), Err(OrcaError::Binary(_))));
}

/// The same file: what is refused, by the names of its tests, and what for.
#[test]
fn what_envoy_refuses_is_refused() {
    for (test, text, words) in [
        ("InvalidOrcaHeaderPrefix", "BAD random-value", "unknown format 'BAD' "),
        (
            "InvalidOrcaHeaderPrefixWithLargePrefix",
            "BADBAD random-value",
            "unknown format 'BADBA' ",
        ),
        ("EmptyOrcaHeader", "", "unknown format '' "),
        (
            "NativeHttpEncodedHeaderIncorrectFieldType",
            "TEXT cpu_utilization=\"0.7\"",
            "invalid value '\\\"0.7\\\"' of load metric 'cpu_utilization'",
        ),
        (
            "NativeHttpEncodedHeaderNanMetricValue",
            "TEXT cpu_utilization=nan",
            "invalid value 'nan'",
        ),
        (
            "NativeHttpEncodedHeaderInfinityMetricValue",
            "TEXT cpu_utilization=inf",
            "invalid value 'inf'",
        ),
        (
            "NativeHttpEncodedHeaderNegativeMetricValue",
            "TEXT cpu_utilization=-1",
            "invalid value '-1'",
        ),
        (
            "NativeHttpEncodedHeaderContainsDuplicateMetric",
            "TEXT cpu_utilization=0.7,cpu_utilization=0.8",
            "'cpu_utilization' more than once",
        ),
        (
            "NativeHttpEncodedHeaderUnsupportedMetric",
            "TEXT cpu_utilization=0.7,unsupported_metric=0.8",
            "unknown load metric 'unsupported_metric'",
        ),
        (
            "NativeHttpEncodedHeaderContainsEmptyUtilizationMetricKey",
            "TEXT utilization.=0.9",
            "unknown load metric 'utilization.'",
        ),
        (
            "NativeHttpEncodedHeaderContainsDuplicateNamedMetric",
            "TEXT named_metrics.foo=123,named_metrics.duplicate=123,named_metrics.duplicate=0.2",
            "'named_metrics.duplicate' more than once",
        ),
        (
            "NativeHttpEncodedHeaderContainsEmptyNamedMetricKey",
            "TEXT named_metrics.=123",
            "unknown load metric 'named_metrics.'",
        ),
        (
            "InvalidNativeHttpEncodedHeader",
            "TEXT not-a-list-of-key-value-pairs",
            "invalid value ''",
        ),
        ("InvalidJsonHeader", "JSON JSON not-a-valid-json-string", "invalid JSON"),
        (
            "JsonHeaderUnknownField",
            "JSON {\"cpu_utilization\": 0.7, \"unknown_field\": 2}",
            "unknown load metric 'unknown_field'",
        ),
        (
            "JsonHeaderIncorrectFieldType",
            "JSON {\"cpu_utilization\": \"0.7\"",
            "invalid JSON",
        ),
    ] {
        let error = read_one(text).expect_err(test).to_string();
        assert!(error.contains(words), "{test}: {error}");
    }
    // BinaryHeaderPopulatedWithReadableString, EmptyBinaryHeader.
    for text in ["not-a-valid-binary-proto", ""] {
        assert!(matches!(read_bin(text), Err(OrcaError::Binary(_))), "{text}");
    }
}

#[test]
fn protobuf_s_json_is_read_in_all_its_forms() {
    let text = "JSON {\"applicationUtilization\": \"0.8\", \"rpsFractional\": 5, \"rps\": \"7\", \"eps\": null, \
                \"namedMetrics\": {\"in_flight\": \"3\"}, \"requestCost\": {}}";
    let message = read_one(text).unwrap();
    assert_eq!(
        (message.application_utilization, message.rps_fractional, message.rps),
        (0.8, 5.0, 7)
    );
    assert_eq!(message.named_metrics, named(&[("in_flight", 3.0)]));
    for wrong in [
        "JSON []",
        "JSON 1",
        "JSON {\"eps\": {}}",
        "JSON {\"rps\": 0.5}",
        "JSON {\"named_metrics\": 1}",
        "JSON {\"named_metrics\": {\"a\": []}}",
    ] {
        assert!(read_one(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn metrics_are_what_they_say() {
    let report = |text: &str| read(&headers(&[(HEADER, text)])).map(Option::unwrap);
    let all = report(
        "TEXT named_metrics.in_flight=0, named_metrics.latency_ms=1.5 ,rps_fractional=10,eps=0.5,cpu_utilization=0.2",
    );
    let all = all.unwrap();
    assert_eq!(
        (all.queue(), all.qps(), all.eps(), all.utilization()),
        (Some(0.0), Some(10.0), Some(0.5), Some(0.2))
    );
    assert_eq!(all.latency(), Some(Duration::from_micros(1_500)));
    // The application's own word comes first.
    let both = report("TEXT cpu_utilization=0.2,application_utilization=1.5").unwrap();
    assert_eq!(both.utilization(), Some(1.5));
    let none = report("TEXT cpu_utilization=0,application_utilization=0,rps_fractional=0").unwrap();
    assert_eq!(none, LoadReport::new());
    assert_eq!(report("TEXT ").unwrap(), LoadReport::new());
    for absurd in [
        "TEXT named_metrics.in_flight=-1",
        "TEXT named_metrics.in_flight=1e9",
        "TEXT rps_fractional=1e9",
        "TEXT cpu_utilization=101",
        "TEXT named_metrics.latency_ms=-1",
        "TEXT named_metrics.latency_ms=3600001",
        "TEXT named_metrics.latency_ms=1e300",
        "JSON {\"eps\":-1}",
        "JSON {\"eps\":\"NaN\"}",
        "JSON {\"cpu_utilization\":\"NaN\"}",
        "JSON {\"cpu_utilization\":\"-Infinity\"}",
    ] {
        assert!(report(absurd).is_err(), "{absurd}");
    }
    let binary = |message: Message| BASE64.encode(prost::Message::encode_to_vec(&message));
    for eps in [-1.0, f64::NAN, f64::INFINITY, 1e9] {
        let bad = binary(Message {
            eps,
            ..Message::default()
        });
        assert!(read(&headers(&[(HEADER_BIN, &bad)])).is_err(), "{eps}");
    }
}

#[test]
fn nobody_is_made_busy_by_a_long_report() {
    let most = format!("TEXT named_metrics.{}=1", "a".repeat(LONGEST - 21));
    assert_eq!(most.len(), LONGEST);
    assert!(read_one(&most).is_ok());
    for long in [format!("{most}1"), format!("JSON {}", "[".repeat(LONGEST))] {
        assert!(matches!(read_one(&long), Err(OrcaError::TooLong(length)) if length == long.len()));
    }
    assert!(matches!(read_bin(&"A".repeat(LONGEST + 1)), Err(OrcaError::TooLong(_))));
    // Nested as deep as fits.
    assert!(matches!(
        read_one(&format!("JSON {}", "[".repeat(LONGEST - 5))),
        Err(OrcaError::Json(_))
    ));
    assert!(matches!(read_one("TEXT \u{e4}=1"), Err(OrcaError::NotText)));
}

#[test]
fn numbers_are_written_to_four_decimals() {
    let written = |utilization: f64| {
        let report = LoadReport::new().with_utilization(utilization).unwrap();
        Format::Text.header(&report).unwrap().1.to_str().unwrap().to_owned()
    };
    for (utilization, text) in [
        (0.0, "0"),
        (1.0, "1"),
        (0.5, "0.5"),
        (0.05, "0.05"),
        (0.0001, "0.0001"),
        (0.00004, "0"),
        (0.99999, "1"),
        (99.9999, "99.9999"),
        (10.0, "10"),
    ] {
        assert_eq!(written(utilization), format!("TEXT application_utilization={text}"));
    }
    assert_eq!(Format::Text.header(&LoadReport::new()), None);
}

/// A report with all, some or none of its numbers, as large as they may be.
fn reports() -> impl Strategy<Value = LoadReport> {
    let requests = || {
        prop_oneof![
            Just(None),
            Just(Some(0.0)),
            Just(Some(1e8)),
            (0.0..1e8_f64).prop_map(Some)
        ]
    };
    let utilization = prop_oneof![Just(None), Just(Some(100.0)), (0.001..100.0_f64).prop_map(Some)];
    let latency = prop_oneof![Just(None), (0..=3_600_000_000_u64).prop_map(Some)];
    (requests(), requests(), requests(), utilization, latency).prop_map(|(queue, qps, eps, utilization, latency)| {
        let mut report = LoadReport::new();
        if let Some(queue) = queue {
            report = report.with_queue(queue).unwrap();
        }
        if let Some(qps) = qps {
            report = report.with_qps(qps).unwrap();
        }
        if let Some(eps) = eps {
            report = report.with_eps(eps).unwrap();
        }
        if let Some(utilization) = utilization {
            report = report.with_utilization(utilization).unwrap();
        }
        if let Some(micros) = latency {
            report = report.with_latency(Duration::from_micros(micros)).unwrap();
        }
        report
    })
}

/// 0 is not told from nothing, but for named metrics.
fn same(written: Option<f64>, read: Option<f64>, tells_zero: bool) -> bool {
    match (written, read) {
        (Some(written), Some(read)) => (written - read).abs() <= 0.0001,
        (None, None) => true,
        (Some(written), None) => !tells_zero && written < 0.0001,
        (None, Some(_)) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(report in reports()) {
        for format in [Format::Text, Format::Json, Format::Binary] {
            let headers: HeaderMap = format.header(&report).into_iter().collect();
            prop_assert!(headers.len() == 1 || format == Format::Binary || report == LoadReport::new());
            let back = read(&headers).unwrap().unwrap_or_default();
            prop_assert!(same(report.queue(), back.queue(), true), "{:?} {:?}", report, back);
            prop_assert!(same(report.qps(), back.qps(), false));
            prop_assert!(same(report.eps(), back.eps(), false));
            prop_assert!(same(report.utilization(), back.utilization(), false));
            let millis = |report: &LoadReport| report.latency().map(|latency| latency.as_secs_f64() * 1e3);
            prop_assert!(same(millis(&report), millis(&back), true));
        }
    }

    #[test]
    fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), which in 0..5) {
        let prefix = ["", "TEXT ", "JSON ", "BIN ", ""][which as usize];
        let name = if which == 4 { HEADER_BIN } else { HEADER };
        let value = HeaderValue::from_bytes(&[prefix.as_bytes(), &bytes].concat());
        if let Ok(value) = value {
            let _ = read(&HeaderMap::from_iter([(name, value)]));
        }
        let binary = BASE64.encode(&bytes);
        let _ = read(&headers(&[(HEADER_BIN, &binary)]));
    }

    #[test]
    fn what_is_nearly_right_is_read_or_refused(
        text in "(TEXT |JSON |BIN )(\\{?\"?(named_metrics|utilization)?[.]?(eps|in_flight|latency_ms|rps_fractional)?\"?[=:]?[-0-9.eNaInf\"]{0,9}[,}]?){0,4}"
    ) {
        let _ = read(&headers(&[(HEADER, &text)]));
    }
}
