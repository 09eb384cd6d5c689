use std::net::SocketAddr;

use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::Record;
use hickory_resolver::proto::rr::rdata::{A, CNAME, MX, TXT};
use hickory_resolver::proto::serialize::binary::{BinDecodable as _, BinEncodable as _};
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use super::*;
use crate::check::tests::{SECRET, assert_hidden, look, look_hiding};

/// A name server that knows one zone.
async fn server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((size, client)) = socket.recv_from(&mut buffer).await {
            let query = Message::from_bytes(&buffer[..size]).unwrap();
            let answer = answer(&query).to_bytes().unwrap();
            socket.send_to(&answer, client).await.unwrap();
        }
    });
    address
}

fn answer(query: &Message) -> Message {
    let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    let question = query.queries[0].clone();
    let name = question.name().clone();
    let records: Vec<RData> = match (name.to_string().to_lowercase().as_str(), question.query_type()) {
        ("www.example.test.", RecordType::A) => vec![
            RData::CNAME(CNAME(Name::from_ascii("web.example.test.").unwrap())),
            RData::A(A::new(10, 0, 0, 1)),
            RData::A(A::new(10, 0, 0, 2)),
        ],
        ("example.test.", RecordType::MX) => {
            vec![RData::MX(MX::new(10, Name::from_ascii("Mail.Example.test.").unwrap()))]
        }
        ("example.test.", RecordType::TXT) => {
            vec![RData::TXT(TXT::new(vec!["v=spf1 ".to_owned(), "-ALL".to_owned()]))]
        }
        ("key.test.", RecordType::TXT) => {
            vec![RData::TXT(TXT::new(vec!["k".repeat(40), SECRET.to_owned()]))]
        }
        ("broken.test.", _) => {
            answer.metadata.response_code = ResponseCode::ServFail;
            Vec::new()
        }
        _ => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            Vec::new()
        }
    };
    let mut owner = name;
    for data in records {
        let next = if let RData::CNAME(target) = &data { target.0.clone() } else { owner.clone() };
        answer.add_answer(Record::from_rdata(owner, 60, data));
        owner = next;
    }
    answer.add_query(question);
    answer
}

async fn asked(mut check: Value) -> Observation {
    let server = server().await;
    check["server"] = json!(server.to_string());
    look(json!({"dns": check})).await
}

#[tokio::test]
async fn expected_answers_have_to_be_among_those_that_come() {
    let seen = asked(json!({"name": "www.example.test", "expect": ["10.0.0.2"]})).await;
    assert_eq!(seen.state, State::Ok, "{}", seen.summary);
    assert!(seen.summary.starts_with("A www.example.test.: `10.0.0.1`, `10.0.0.2`, in "), "{}", seen.summary);
    assert_eq!(seen.measurements[0].name, "time");
    let seen = asked(json!({"name": "www.example.test", "expect": ["10.0.0.2", "10.0.0.9"]})).await;
    assert_eq!(seen.state, State::Critical);
    assert_eq!(
        seen.summary,
        "expected `10.0.0.2`, `10.0.0.9` for A www.example.test., got `10.0.0.1`, `10.0.0.2`"
    );
}

#[tokio::test]
async fn exact_means_no_others() {
    let seen = asked(json!({"name": "www.example.test", "expect": ["10.0.0.2"], "exact": true})).await;
    assert_eq!(seen.summary, "expected only `10.0.0.2` for A www.example.test., got `10.0.0.1`, `10.0.0.2`");
    let both = json!({"name": "www.example.test", "expect": ["10.0.0.2", "10.0.0.1"], "exact": true});
    assert_eq!(asked(both).await.state, State::Ok);
}

#[tokio::test]
async fn names_are_compared_without_case_and_texts_with_it() {
    let mx = json!({"name": "example.test", "type": "mx", "expect": ["10  mail.example.TEST"]});
    let seen = asked(mx).await;
    assert_eq!(seen.state, State::Ok, "{}", seen.summary);
    let text = |text: &str| json!({"name": "example.test", "type": "TXT", "expect": [text]});
    assert_eq!(asked(text("v=spf1 -ALL")).await.state, State::Ok);
    assert_eq!(asked(text("v=spf1 -all")).await.state, State::Critical);
}

#[tokio::test]
async fn a_name_that_is_not_there_is_critical_unless_that_is_expected() {
    let seen = asked(json!({"name": "nothing.test"})).await;
    assert_eq!(seen.state, State::Critical);
    assert_eq!(seen.summary, "expected an answer to A nothing.test., got nothing");
    assert_eq!(asked(json!({"name": "nothing.test", "expect": []})).await.state, State::Ok);
    assert_eq!(asked(json!({"name": "www.example.test", "expect": []})).await.state, State::Critical);
}

#[tokio::test]
async fn a_server_that_fails_is_told_from_a_name_that_is_not_there() {
    let seen = asked(json!({"name": "broken.test", "expect": []})).await;
    assert_eq!(seen.state, State::Critical);
    assert!(seen.summary.starts_with("expected an answer to A broken.test., got "), "{}", seen.summary);
}

#[tokio::test]
async fn a_record_that_is_cut_has_no_part_of_a_secret() {
    let server = server().await.to_string();
    for expect in [json!(null), json!([format!("{}{SECRET}!", "x".repeat(40))])] {
        let seen = look_hiding(
            json!({"dns": {"name": "key.test", "type": "TXT", "server": server, "expect": expect}}),
        )
        .await;
        assert!(seen.summary.contains("kkk***"), "{}", seen.summary);
        assert_hidden(&seen);
    }
}
