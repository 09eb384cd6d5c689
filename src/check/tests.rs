use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rustls::RootCertStore;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::redact::Redactor;

/// Checks trust the authority of these tests, and nobody else.
pub(super) fn surroundings() -> Surroundings {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(include_bytes!("http/tests/authority.pem")).unwrap()).unwrap();
    let variables = vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())];
    Surroundings::new(variables, PathBuf::from("/"), Arc::new(roots)).unwrap()
}

pub(super) fn check(value: Value) -> Check {
    serde_json::from_value(value).unwrap()
}

pub(super) async fn look(value: Value) -> Observation {
    let looked = check(value).run(&surroundings(), Duration::from_secs(20), &CancellationToken::new()).await;
    let looked = looked.unwrap();
    assert!(!looked.timed_out, "{looked:?}");
    looked.seen
}

pub(super) const SECRET: &str = "SUPERSECRETVALUE_abcdefghijklmnop_QWERTY";

/// Surroundings that hide [`SECRET`].
pub(super) fn hiding(surroundings: Surroundings) -> Surroundings {
    surroundings.hiding(&Redactor::new([SECRET.to_owned()]))
}

pub(super) async fn look_hiding(value: Value) -> Observation {
    let surroundings = hiding(surroundings());
    check(value).run(&surroundings, Duration::from_secs(20), &CancellationToken::new()).await.unwrap().seen
}

/// Fails where six characters of the secret in a row are told.
#[track_caller]
pub(super) fn assert_hidden(told: &impl serde::Serialize) {
    let told = serde_json::to_string(told).unwrap();
    for at in 0..=SECRET.len() - 6 {
        let part = &SECRET[at..at + 6];
        assert!(!told.contains(part), "{part} in {}", &told[told.len().saturating_sub(1_000)..]);
    }
}

fn refused(value: Value) -> String {
    serde_json::from_value::<Check>(value).unwrap_err().to_string()
}

#[test]
fn ports_that_are_used_up_are_told_from_a_machine_without_an_address_to_send_from() {
    // EADDRNOTAVAIL
    let error = std::io::Error::from_raw_os_error(99);
    let of = |addresses: &[&str]| {
        let addresses: Vec<_> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        CheckError::of_shortage(&error, || "tcp 10.0.0.1:80".to_owned(), &addresses)
    };
    let told = of(&["10.0.0.1"]).unwrap().to_string();
    assert!(
        told.starts_with("cannot look at tcp 10.0.0.1:80: ") && told.contains("ip_local_port_range"),
        "{told}"
    );
    assert!(of(&[]).is_none(), "nobody knows what was tried");
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    assert_eq!(of(&["10.0.0.1", "::1"]).is_some(), has_ipv6);
}

#[test]
fn every_kind_of_check_has_a_short_and_a_long_form() {
    let read: Vec<Check> = serde_yaml::from_str(
        "- command: ./test.sh --all\n\
         - command: [./test.sh, --all]\n\
         - command: {run: [check_disk, -w, '10%'], nagios: true, env: {LANG: C}, directory: /tmp, grace: 2s}\n\
         - http: https://example.org/health\n\
         - http:\n    url: https://example.org/orders\n    method: post\n    headers: {authorization: Bearer x}\n    \
               body: '{}'\n    redirects: 0\n    certificate: c.pem\n    key: k.pem\n    expect:\n      \
               status: [201, 2xx]\n      body: {matches: ok}\n      json: {'items[0].id': 7, share: 0.5}\n      \
               time: {warning: 500ms, critical: 2}\n      certificate_days: {warning: 14, critical: 3}\n\
         - tcp: '[::1]:25'\n\
         - tcp: {address: 'mail:25', send: \"QUIT\\r\\n\", expect: {matches: ^220}}\n\
         - dns: example.org\n\
         - dns: {name: example.org, type: mx, expect: [10 mx.example.org.], exact: true, server: '10.0.0.1:5353'}\n\
         - docker: web-1\n\
         - docker: {container: web-1, healthy: true, restarts: 3}\n\
         - image: shop:1.4\n\
         - image: {image: 'shop:1.4', arguments: [--network, shop, --, ./smoke.sh], grace: 2m}\n",
    )
    .unwrap();
    let kinds: String = read
        .iter()
        .map(|check| match check {
            Check::Command(_) => 'c',
            Check::Http(_) => 'h',
            Check::Tcp(_) => 't',
            Check::Dns(_) => 'd',
            Check::Docker(_) => 'D',
            Check::Image(_) => 'i',
        })
        .collect();
    assert_eq!(kinds, "ccchhttddDDii");
}

#[test]
fn what_is_not_understood_is_refused_and_the_message_says_what_is_expected() {
    for (value, message) in [
        (json!({}), "expected one of the keys command, http, tcp, dns, docker and image, got none of them"),
        (json!({"tcp": "a:1", "dns": "a"}), "got more than one"),
        (json!({"smtp": "a"}), "unknown field `smtp`"),
        (json!({"command": ""}), "expected a command for the shell"),
        (json!({"command": []}), "got no program"),
        (json!({"command": {"run": "true", "grace": "0s"}}), "leaves no time at all"),
        (json!({"command": {"run": "true", "env": {"A=B": ""}}}), "the name of a variable"),
        (json!({"command": {"nagios": true}}), "missing field `run`"),
        (json!({"command": true}), "a command for the shell, a list"),
        (json!({"http": "ftp://example.org"}), "expected an address of http or https, got one of ftp"),
        (json!({"http": "example.org"}), "expected an address such as"),
        (json!({"http": {"url": "http://a", "verify": false}}), "unknown field `verify`"),
        (json!({"http": {"url": "http://a", "redirects": 51}}), "at most 50 redirects, got 51"),
        (json!({"http": {"url": "http://a", "key": "k.pem"}}), "certificate and key together"),
        (json!({"http": {"url": "http://a", "method": "G E T"}}), "expected a method"),
        (json!({"http": {"url": "http://a", "headers": {"a b": "c"}}}), "the name of a header"),
        (json!({"http": {"url": "http://a", "expect": {"json": {"a[": 1}}}}), "a path such as a.b[0].c"),
        (json!({"http": {"url": "http://a", "expect": {"time": {"warning": "soon"}}}}), "is not a duration"),
        (json!({"tcp": "example.org"}), "an address such as db.example.org:5432, got `example.org`"),
        (json!({"tcp": "::1:25"}), "an address such as"),
        (json!({"tcp": "a:0"}), "an address such as"),
        (json!({"dns": {"name": "a", "type": "ANY"}}), "expected one of the types A, AAAA"),
        (json!({"dns": {"name": "a", "server": "dns.example.org"}}), "the IP address of a name server"),
        (json!({"dns": "a..b"}), "a name such as example.org"),
    ] {
        let error = refused(value.clone());
        assert!(error.contains(message), "{value}: {error}");
    }
}

#[test]
fn keys_are_neither_in_debug_output_nor_in_errors() {
    let secret = "hunter2hunter2";
    let checks = json!([
        {"command": ["curl", "-u", secret]},
        {"command": {"run": format!("curl -H {secret}"), "env": {"TOKEN": secret}}},
        {"http": {"url": format!("https://u:{secret}@example.org/{secret}?k={secret}"),
                  "headers": {"x-api-key": secret}, "body": secret}},
        {"tcp": {"address": "a:1", "send": secret}},
    ]);
    let checks: Vec<Check> = serde_json::from_value(checks).unwrap();
    let shown = format!("{checks:?}");
    assert!(!shown.contains(secret), "{shown}");
    let error =
        refused(json!({"http": {"url": "http://a", "headers": {"x-api-key": format!("{secret}\n")}}}));
    assert!(error.contains("x-api-key") && !error.contains(secret), "{error}");
    let error = refused(json!({"http": format!("http://u:{secret}@:x")}));
    assert!(!error.contains(secret), "{error}");
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for value in [
        json!({"http": format!("http://{address}/")}),
        json!({"tcp": {"address": address.to_string(), "expect": "220"}}),
    ] {
        let begun = Instant::now();
        let timeout = Duration::from_millis(300);
        let looked = check(value).run(&surroundings(), timeout, &CancellationToken::new()).await.unwrap();
        assert!(looked.timed_out && begun.elapsed() < Duration::from_secs(5));
        assert_eq!(looked.seen.state, State::Critical);
        assert_eq!(looked.seen.summary, "expected an answer within 300ms, got none");
    }
}

#[tokio::test]
async fn a_check_that_is_asked_to_stop_says_nothing_about_the_service() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let check = check(json!({"http": format!("http://{}/", listener.local_addr().unwrap())}));
    let (stop, surroundings) = (CancellationToken::new(), surroundings());
    let looking = check.run(&surroundings, Duration::from_secs(20), &stop);
    let (looked, ()) = tokio::join!(looking, async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.cancel();
    });
    assert!(matches!(looked, Err(CheckError::Cancelled)));
}
