//! `StrictJsonRpcLayer`: each attack gets through a gateway and a server that read differently, and none through the
//! layer; what is refused and how; what is handed on.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, StreamBody};
use mcp_auth::strict::{Kind, Message, StrictJsonRpcLayer};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use tower::{Layer, Service, ServiceExt, service_fn};

const ECHO: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo"}}"#;
const WIPE: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"wipe"}}"#;

/// A request as a client sends it. `headers` come on top of, or instead of, `Content-Type: application/json`.
fn post(headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::post("/mcp");
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/json");
    }
    headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value))
        .body(Full::new(body.into()))
        .unwrap()
}

/// What arrived behind the layer.
type Seen = Arc<Mutex<Vec<(Request<()>, Bytes)>>>;

/// Accepts everything and keeps it.
fn keeps(
    seen: &Seen,
) -> impl Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static
+ use<> {
    let seen = Arc::clone(seen);
    service_fn(move |request: Request<Full<Bytes>>| {
        let seen = Arc::clone(&seen);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            seen.lock().unwrap().push((Request::from_parts(parts, ()), body));
            Ok(Response::new(Full::default()))
        }
    })
}

/// Sends one request through the layer: the status, the JSON of a refusal, and what arrived behind the layer.
async fn send(
    layer: StrictJsonRpcLayer,
    request: Request<Full<Bytes>>,
) -> (StatusCode, Value, Option<(Request<()>, Bytes)>) {
    let seen = Seen::default();
    let response = layer.layer(keeps(&seen)).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut seen = seen.lock().unwrap();
    assert!(seen.len() <= 1);
    let arrived = seen.pop();
    if arrived.is_some() {
        return (parts.status, Value::Null, arrived);
    }
    assert_eq!(parts.headers["content-type"], "application/json");
    assert!(body.len() < 400, "a refusal repeats at most a little of the request: {body:?}");
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["jsonrpc"], "2.0");
    assert!(answer["error"]["message"].as_str().unwrap().len() > 10, "{answer}");
    (parts.status, answer, None)
}

/// What the service got of a request that has to be accepted.
async fn accepted(request: Request<Full<Bytes>>) -> (Request<()>, Bytes) {
    let (_, answer, arrived) = send(StrictJsonRpcLayer::new(), request).await;
    arrived.unwrap_or_else(|| panic!("{answer}"))
}

/// Status, code and id of a refusal that must not have reached the service.
async fn refused(request: Request<Full<Bytes>>) -> (u16, i64, Value) {
    let (status, answer, arrived) = send(StrictJsonRpcLayer::new(), request).await;
    assert!(arrived.is_none(), "{arrived:?}");
    (status.as_u16(), answer["error"]["code"].as_i64().unwrap(), answer["id"].clone())
}

// ---- Attacks ---------------------------------------------------------------------------------------------------------

/// A JSON parser that is neither strict nor wrong: RFC 8259 §4 leaves open what comes of a repeated name.
#[derive(Clone, Copy)]
struct Reader {
    first_wins: bool,
    ignores_case: bool,
}

const FIRST: Reader = Reader { first_wins: true, ignores_case: false };
const LAST: Reader = Reader { first_wins: false, ignores_case: false };
/// Go's `encoding/json`.
const GO: Reader = Reader { first_wins: false, ignores_case: true };

impl Reader {
    fn read(self, body: &[u8]) -> Option<Value> {
        self.deserialize(&mut serde_json::Deserializer::from_slice(body)).ok()
    }

    fn tool(self, body: &[u8]) -> Option<String> {
        tool(&self.read(body)?)
    }
}

fn tool(message: &Value) -> Option<String> {
    (message["method"] == "tools/call").then(|| message["params"]["name"].as_str().map(str::to_owned))?
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(self)?;
            let name = if self.ignores_case { name.replace('ſ', "s").to_lowercase() } else { name };
            if !(self.first_wins && object.contains_key(&name)) {
                object.insert(name, value);
            }
        }
        Ok(object.into())
    }
}

/// A gateway that permits by one reading, and a server that executes another.
struct Attack {
    what: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: Vec<u8>,
    permits: fn(&HeaderMap, &[u8]) -> bool,
    runs: fn(&[u8]) -> Vec<String>,
}

impl Attack {
    fn request(&self) -> Request<Full<Bytes>> {
        post(self.headers, self.body.clone())
    }

    /// Gateway and server in one, as different halves of what is behind the layer.
    fn toy(
        &self,
        ran: &Arc<Mutex<Vec<String>>>,
    ) -> impl Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
    + use<> {
        let Self { permits, runs, .. } = *self;
        let ran = Arc::clone(ran);
        service_fn(move |request: Request<Full<Bytes>>| {
            let ran = Arc::clone(&ran);
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let mut response = Response::new(Full::default());
                if permits(&parts.headers, &body) {
                    ran.lock().unwrap().extend(runs(&body));
                } else {
                    *response.status_mut() = StatusCode::FORBIDDEN;
                }
                Ok(response)
            }
        })
    }
}

fn only_echo(tool: Option<&str>) -> bool {
    tool == Some("echo")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// One stored block and no checksum: as much of gzip as it takes to be unreadable as JSON.
fn gzip(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let mut out = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01".to_vec();
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(text.bytes());
    out
}

fn call(params: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#).into_bytes()
}

fn attacks() -> Vec<Attack> {
    let last: fn(&[u8]) -> Vec<String> = |body| LAST.tool(body).into_iter().collect();
    let go: fn(&[u8]) -> Vec<String> = |body| GO.tool(body).into_iter().collect();
    let first_permits: fn(&HeaderMap, &[u8]) -> bool = |_, body| only_echo(FIRST.tool(body).as_deref());
    let last_permits: fn(&HeaderMap, &[u8]) -> bool = |_, body| only_echo(LAST.tool(body).as_deref());
    vec![
        Attack {
            what: "a member twice",
            headers: &[],
            body: call(r#"{"name":"echo","name":"wipe"}"#),
            permits: first_permits,
            runs: last,
        },
        Attack {
            what: "a member twice, once with an escape in its name",
            headers: &[],
            body: call(r#"{"name":"echo","n\u0061me":"wipe"}"#),
            permits: first_permits,
            runs: last,
        },
        Attack {
            what: "all of params twice",
            headers: &[],
            body:
                br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo"},"params":{"name":"wipe"}}"#
                    .to_vec(),
            permits: first_permits,
            runs: last,
        },
        Attack {
            what: "an argument twice, deep inside",
            headers: &[],
            body: call(r#"{"name":"read","arguments":{"where":[{"path":"/tmp/x","path":"/etc/shadow"}]}}"#),
            permits: |_, body| FIRST.read(body).unwrap()["params"]["arguments"]["where"][0]["path"] == "/tmp/x",
            runs: |body| vec![LAST.read(body).unwrap()["params"]["arguments"]["where"][0]["path"].to_string()],
        },
        Attack {
            what: "Mcp-Name of another tool",
            headers: &[("mcp-method", "tools/call"), ("mcp-name", "echo")],
            body: WIPE.into(),
            permits: |headers, _| only_echo(header(headers, "mcp-name")),
            runs: last,
        },
        Attack {
            what: "Mcp-Name twice",
            headers: &[("mcp-name", "echo"), ("mcp-name", "wipe")],
            body: WIPE.into(),
            permits: |headers, _| only_echo(header(headers, "mcp-name")),
            runs: last,
        },
        Attack {
            what: "Mcp-Method of another method",
            headers: &[("mcp-method", "tools/list")],
            body: WIPE.into(),
            permits: |headers, _| header(headers, "mcp-method") == Some("tools/list"),
            runs: last,
        },
        Attack {
            what: "a compressed body",
            headers: &[("content-encoding", "gzip")],
            body: gzip(WIPE),
            // Lets pass what it cannot read; one that refuses it would have to refuse all that is compressed.
            permits: |_, body| LAST.tool(body).as_deref() != Some("wipe"),
            runs: |body| LAST.tool(body.get(15..).unwrap_or_default()).into_iter().collect(),
        },
        Attack {
            what: "a batch",
            headers: &[],
            body: format!("[{ECHO},{WIPE}]").into(),
            permits: |_, body| {
                let body = LAST.read(body).unwrap();
                only_echo(tool(body.get(0).unwrap_or(&body)).as_deref())
            },
            runs: |body| match LAST.read(body) {
                Some(Value::Array(batch)) => batch.iter().filter_map(tool).collect(),
                _ => Vec::new(),
            },
        },
        Attack {
            what: "a parameter in another case, to a server that ignores case",
            headers: &[],
            body: call(r#"{"name":"echo","Name":"wipe"}"#),
            permits: last_permits,
            runs: go,
        },
        Attack {
            what: "a member of the envelope in another case",
            headers: &[],
            body:
                br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo"},"Params":{"name":"wipe"}}"#
                    .to_vec(),
            permits: last_permits,
            runs: go,
        },
        Attack {
            what: "a letter that Go folds into ASCII",
            headers: &[],
            body: call(r#"{"name":"read","arguments":{"path":"/tmp/x"},"argumentſ":{"path":"/etc/shadow"}}"#),
            permits: |_, body| LAST.read(body).unwrap()["params"]["arguments"]["path"] == "/tmp/x",
            runs: |body| vec![GO.read(body).unwrap()["params"]["arguments"]["path"].to_string()],
        },
        Attack {
            what: "JSON inside a string, which serde_json's Value unwraps",
            headers: &[],
            body: call(r#"{"name":"read","arguments":{"path":{"$serde_json::private::RawValue":"\"/etc/shadow\""}}}"#),
            permits: |_, body| LAST.read(body).unwrap()["params"]["arguments"]["path"] != "/etc/shadow",
            runs: |body| {
                let message: Value = serde_json::from_slice(body).unwrap();
                message["params"]["arguments"]["path"].as_str().map(str::to_owned).into_iter().collect()
            },
        },
        Attack {
            what: "a call that wants no answer, to a gateway that lets notifications pass",
            headers: &[],
            body: WIPE.replace(r#""id":7,"#, "").into(),
            permits: |_, body| LAST.read(body).unwrap().get("id").is_none(),
            runs: last,
        },
    ]
}

#[tokio::test]
async fn attacks_work_without_the_layer_and_not_with_it() {
    for attack in attacks() {
        let ran = Arc::default();
        let toy = attack.toy(&ran);
        assert_eq!(toy.clone().oneshot(attack.request()).await.unwrap().status(), StatusCode::OK, "{}", attack.what);
        let done = std::mem::take(&mut *ran.lock().unwrap());
        assert!(done.iter().any(|done| done == "wipe" || done.contains("shadow")), "{}: ran {done:?}", attack.what);

        let response = StrictJsonRpcLayer::new().layer(toy).oneshot(attack.request()).await.unwrap();
        assert!(response.status().is_client_error(), "{}: {}", attack.what, response.status());
        assert_eq!(*ran.lock().unwrap(), [""; 0], "{}", attack.what);
    }
}

/// Deterministic, and no worse than it needs to be (Knuth's MMIX).
fn numbers_below() -> impl FnMut(usize) -> usize {
    let mut state = 2_026_u64;
    move |n| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 11).unwrap() % n
    }
}

/// Whatever it is built of: what is accepted reads the same to everybody, and as [`Message`] says.
#[tokio::test]
async fn whatever_is_accepted_has_one_reading() {
    const NAMES: [&str; 12] =
        ["jsonrpc", "id", "method", "params", "name", "Name", "NAME", "n\\u0061me", "Params", "Method", "_meta", "x"];
    const VALUES: [&str; 8] =
        [r#""2.0""#, "7", r#""tools/call""#, r#""echo""#, r#""wipe""#, "null", "[]", r#"{"name":"wipe"}"#];
    let mut below = numbers_below();
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut params = vec![r#""name":"echo""#.to_owned()];
        let mut envelope = vec![r#""jsonrpc":"2.0""#.to_owned(), r#""id":7"#.into(), r#""method":"tools/call""#.into()];
        for _ in 0..below(3) {
            let member = format!("\"{}\":{}", NAMES[below(NAMES.len())], VALUES[below(VALUES.len())]);
            let into = if below(2) == 0 { &mut params } else { &mut envelope };
            let at = below(into.len() + 1);
            into.insert(at, member);
        }
        let at = below(envelope.len() + 1);
        envelope.insert(at, format!("\"params\":{{{}}}", params.join(",")));
        let body = format!("{{{}}}", envelope.join(","));

        let (_, _, arrived) = send(StrictJsonRpcLayer::new(), post(&[], body.clone())).await;
        let Some((request, forwarded)) = arrived else { continue };
        accepted += 1;
        let message = request.extensions().get::<Message>().unwrap();
        for reader in [FIRST, LAST, GO] {
            assert_eq!(reader.tool(&forwarded).as_deref(), message.name(), "{body}");
            assert_eq!(reader.tool(&forwarded), reader.tool(body.as_bytes()), "{body}");
        }
    }
    assert!(accepted > 5_000, "{accepted}");
}

// ---- Refusals --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn media() {
    for content_type in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        r#"application/json;charset="UTF-8""#,
    ] {
        let (request, _) = accepted(post(&[("content-type", content_type)], ECHO)).await;
        assert_eq!(request.headers()["content-type"], "application/json");
    }
    for content_type in [
        "",
        "text/plain",
        "application/json-rpc",
        "application/problem+json",
        "application/json+x",
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; profile=x",
        "application/json, text/plain",
    ] {
        assert_eq!(
            refused(post(&[("content-type", content_type)], ECHO)).await,
            (415, -32600, Value::Null),
            "{content_type}"
        );
    }
    let twice = [("content-type", "application/json"), ("content-type", "application/json")];
    assert_eq!(refused(post(&twice, ECHO)).await.0, 415);
    let mut none = post(&[], ECHO);
    none.headers_mut().clear();
    assert_eq!(refused(none).await.0, 415);

    accepted(post(&[("content-encoding", "Identity")], ECHO)).await;
    for encoding in ["gzip", "br", "identity, gzip", "", "x"] {
        assert_eq!(refused(post(&[("content-encoding", encoding)], ECHO)).await.0, 415, "{encoding}");
    }
    assert_eq!(refused(post(&[("content-encoding", "identity"), ("content-encoding", "gzip")], ECHO)).await.0, 415);
}

#[tokio::test]
async fn not_json() {
    for body in [
        "",
        " \n",
        "x",
        "{",
        "{}}",
        "{} {}",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping",}"#,
        r#"{"jsonrpc":"2.0","id":1e999,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":"\ud800","method":"ping"}"#,
        "{\"jsonrpc\":\"2.0\",\"id\":\"a\nb\",\"method\":\"ping\"}",
        "\u{feff}{}",
        "{}\0",
        "[1,",
        "NaN",
        "// comment\n{}",
    ] {
        assert_eq!(refused(post(&[], body)).await, (400, -32700, Value::Null), "{body:?}");
    }
    for body in [
        &b"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}"[..],
        b"\xff\xfe{\0}\0",
        b"{\"a\":\"\xed\xa0\x80\"}",
    ] {
        assert_eq!(refused(post(&[], body)).await, (400, -32700, Value::Null), "{body:?}");
    }
    for depth in [129, 100_000] {
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{}{}}}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        );
        assert_eq!(refused(post(&[], deep)).await, (400, -32700, Value::Null));
    }
}

/// What the table of envelopes expects: accepted as this kind, or refused with this id.
enum Envelope {
    Is(Kind),
    Refused(Value),
}

#[tokio::test]
async fn envelopes() {
    use Envelope::{Is, Refused};
    let none = || Refused(Value::Null);
    let one = || Refused(json!(1));
    for (body, expected) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Is(Kind::Request)),
        (r#" {"method":"x","params":{},"id":"","jsonrpc":"2.0"} "#, Is(Kind::Request)),
        (r#"{"jsonrpc":"2.0","id":-9223372036854775808,"method":"ping"}"#, Is(Kind::Request)),
        (r#"{"jsonrpc":"2.0","id":18446744073709551615,"method":"ping"}"#, Is(Kind::Request)),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Is(Kind::Notification)),
        (r#"{"jsonrpc":"2.0","method":"ui/notifications/x","params":{}}"#, Is(Kind::Notification)),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, Is(Kind::Response)),
        (r#"{"jsonrpc":"2.0","id":"a","error":{"code":-1,"message":"no","data":[1]}}"#, Is(Kind::Response)),
        // Not one object.
        ("[]", none()),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, none()),
        ("1", none()),
        ("null", none()),
        (r#""{}""#, none()),
        // Version.
        ("{}", none()),
        (r#"{"id":1,"method":"ping"}"#, one()),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, one()),
        (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, one()),
        // Id.
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1.0,"method":"ping"}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1e0,"method":"ping"}"#, none()),
        (r#"{"jsonrpc":"2.0","id":18446744073709551616,"method":"ping"}"#, none()),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, none()),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, none()),
        (r#"{"jsonrpc":"2.0","method":"ping"}"#, none()),
        (r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}"#, none()),
        (r#"{"jsonrpc":"2.0","method":"xnotifications/y"}"#, none()),
        // Method and params.
        (r#"{"jsonrpc":"2.0","id":1}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":null}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":["ping"]}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#, one()),
        // Responses. Their id is the server's, so it is not echoed as if it were the client's.
        (r#"{"jsonrpc":"2.0","result":{}}"#, none()),
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no"}}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":-1,"message":"no"}}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1,"result":[]}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1,"error":"no"}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":"no"}}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":{"code":-1,"message":"no"}}"#, none()),
        // Members that do not belong there.
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","x":1}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"Method":"ping"}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","ID":2}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","PARAMS":{}}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","paramſ":{}}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","":{}}"#, one()),
        // Twice: which of two envelopes is meant nobody can say, so nothing of it is echoed.
        (r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[{"b":{"c":1,"c":1}}]}}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"a":1,"\u0061":1}}"#, none()),
        // Other spellings of what MCP names, in params and `_meta`.
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"Name":"x"}}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"x","ARGUMENTS":{}}}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"x","Uri":"y"}}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"x","taſKid":"y"}}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"x","tas\u212aId":"y"}}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_Meta":{}}}"#, one()),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"io.modelcontextprotocol/ProtocolVersion":""}}}"#,
            one(),
        ),
        // The same members where MCP does not name them, and a tool's own arguments.
        (r#"{"jsonrpc":"2.0","id":1,"method":"x/y","params":{"Name":"x","URI":1}}"#, Is(Kind::Request)),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"name":1,"Name":2}}}"#,
            Is(Kind::Request),
        ),
        // What serde_json would unwrap.
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"$serde_json::private::RawValue":"{}"}}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[{"$serde_json::private::Number":"1"}]}}"#, one()),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"$serde_json::private::RawValue":"{}"}}"#, none()),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"$serde_json::private::RawValue"}}"#, Is(Kind::Request)),
    ] {
        match expected {
            Is(kind) => {
                let (request, _) = accepted(post(&[], body)).await;
                assert_eq!(request.extensions().get::<Message>().unwrap().kind(), kind, "{body}");
            }
            Refused(id) => assert_eq!(refused(post(&[], body)).await, (400, -32600, id), "{body}"),
        }
    }
}

fn message(method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params }).to_string()
}

#[tokio::test]
async fn headers_must_say_what_the_body_says() {
    let call = message("tools/call", json!({ "name": "schön" }));
    let read = message("resources/read", json!({ "uri": "file:///a", "name": "b" }));
    let modern = message("x", json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } }));
    let list = message("tools/list", json!({}));
    let task = message("tasks/get", json!({ "taskId": "7" }));
    let nameless = message("tools/call", json!({ "name": 7 }));
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned();
    let answer = r#"{"jsonrpc":"2.0","id":"a","result":{}}"#.to_owned();

    for (headers, body) in [
        (&[][..], &call),
        (&[("mcp-method", "tools/call")], &call),
        (&[("mcp-method", " tools/call\t"), ("mcp-name", "=?base64?c2Now7Zu?=")], &call),
        (&[("mcp-name", "file:///a")], &read),
        (&[("mcp-name", "7")], &task),
        (&[("mcp-name", "whatever")], &list),
        (&[("mcp-protocol-version", "2026-07-28")], &modern),
        (&[("mcp-protocol-version", "2025-11-25")], &call),
        (&[("mcp-method", "notifications/initialized")], &initialized),
        (&[("mcp-session-id", "s"), ("mcp-param-a", "1"), ("mcp-param-b", "1")], &answer),
    ] {
        accepted(post(headers, body.clone())).await;
    }
    for (headers, body) in [
        (&[("mcp-method", "tools/list")][..], &call),
        (&[("mcp-method", "Tools/Call")], &call),
        (&[("mcp-method", "")], &call),
        (&[("mcp-method", "tools/call, tools/list")], &call),
        (&[("mcp-name", "sch\u{f6}n")], &call),
        (&[("mcp-name", "=?BASE64?c2Now7Zu?=")], &call),
        (&[("mcp-name", "=?base64?c2Now7Zu")], &call),
        (&[("mcp-name", "=?base64?c2Now7Z?=")], &call),
        (&[("mcp-name", "=?base64?c2No9m4=?=")], &call),
        (&[("mcp-name", "")], &call),
        (&[("mcp-name", "b")], &read),
        (&[("mcp-name", "8")], &task),
        (&[("mcp-name", "7")], &nameless),
        (&[("mcp-protocol-version", "2025-11-25")], &modern),
        (&[("mcp-method", "tools/list"), ("mcp-method", "tools/list")], &list),
        (&[("mcp-name", "x"), ("mcp-name", "y")], &list),
        (&[("mcp-protocol-version", "2025-11-25"), ("mcp-protocol-version", "2025-06-18")], &list),
        (&[("mcp-session-id", "a"), ("mcp-session-id", "b")], &list),
        (&[("mcp-param-region", "a"), ("mcp-param-region", "b")], &list),
    ] {
        assert_eq!(refused(post(headers, body.clone())).await, (400, -32020, json!("a")), "{headers:?} {body}");
    }
    for (header, body) in
        [(("mcp-method", "x"), initialized), (("mcp-method", "ping"), answer.clone()), (("mcp-name", "echo"), answer)]
    {
        assert_eq!(refused(post(&[header], body)).await, (400, -32020, Value::Null), "{header:?}");
    }
}

#[tokio::test]
async fn what_a_refusal_repeats_is_cut_and_quoted() {
    let long = format!("\u{202e}{}", "x".repeat(10_000));
    let member = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", long.clone(): 1 }).to_string();
    let (_, answer, _) = send(StrictJsonRpcLayer::new(), post(&[], member)).await;
    assert!(answer["error"]["message"].as_str().unwrap().contains(r"\u{202e}xxx"), "{answer}");

    let name = message("tools/call", json!({ "name": long }));
    let (_, answer, _) = send(StrictJsonRpcLayer::new(), post(&[("mcp-name", &"y".repeat(1_000))], name)).await;
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(text.contains("yyy") && text.contains(r"\u{202e}xxx"), "{answer}");
}

/// A body with a `Content-Length`, of which nothing arrives.
struct Announces(u64);

impl Body for Announces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

#[tokio::test]
async fn sizes_and_times() {
    let small = StrictJsonRpcLayer::new().body_limit(ECHO.len());
    let (.., arrived) = send(small, post(&[], ECHO)).await;
    assert!(arrived.is_some());
    let (status, answer, arrived) = send(small, post(&[], format!("{ECHO} "))).await;
    assert_eq!((status.as_u16(), answer["error"]["code"].as_i64(), arrived.is_none()), (413, Some(-32600), true));
    let (status, ..) = send(StrictJsonRpcLayer::new(), post(&[], " ".repeat(1024 * 1024 + 1))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);

    // Sent in pieces, so that no length is known before.
    let seen = Seen::default();
    let service = small.layer(keeps(&seen));
    let pieces = |pieces: Vec<Result<&'static str, std::io::Error>>, goes_on: bool| {
        let frames = stream::iter(pieces.into_iter().map(|piece| piece.map(|piece| Frame::data(Bytes::from(piece)))));
        let end = if goes_on {
            futures_util::future::Either::Left(stream::pending())
        } else {
            futures_util::future::Either::Right(stream::empty())
        };
        Request::post("/mcp")
            .header("content-type", "application/json")
            .body(StreamBody::new(futures_util::StreamExt::chain(frames, end)))
            .unwrap()
    };
    let (head, tail) = ECHO.split_at(20);
    for (body, goes_on, status) in [
        (vec![Ok(head), Ok(tail)], false, 200),
        (vec![Ok(ECHO), Ok(" ")], false, 413),
        // Not read to its end, which never comes.
        (vec![Ok(ECHO), Ok(" ")], true, 413),
        (vec![Ok(head), Err(std::io::Error::other("broken"))], false, 400),
    ] {
        let response = service.clone().oneshot(pieces(body, goes_on)).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
    }
    let hasty = StrictJsonRpcLayer::new().body_timeout(Duration::from_millis(50)).layer(keeps(&seen));
    let answer = tokio::time::timeout(Duration::from_secs(10), hasty.oneshot(pieces(vec![Ok(head)], true))).await;
    assert_eq!(answer.unwrap().unwrap().status(), StatusCode::REQUEST_TIMEOUT);
    // Announced too large: refused before anything of it came.
    let announced = Request::post("/mcp").header("content-type", "application/json").body(Announces(1 << 40)).unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(10), small.layer(keeps(&seen)).oneshot(announced)).await;
    assert_eq!(answer.unwrap().unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(seen.lock().unwrap().len(), 1);
}

// ---- What is handed on -----------------------------------------------------------------------------------------------

#[tokio::test]
async fn the_message_is_serialised_anew() {
    let body = "\u{20}{ \"params\" : {\"z\":\"\\u0041\\/\",\"a\":[ 1 ,null,true,{}]},\r\n\"method\":\"x/y\",\t\"id\":\"\\n\",\"jsonrpc\":\"2.0\" }\n";
    let headers = [
        ("transfer-encoding", "chunked"),
        ("content-encoding", "identity"),
        ("trailer", "x-checksum"),
        ("content-length", "4096"),
        ("content-type", "application/json; charset=UTF-8"),
        ("mcp-method", "x/y"),
        ("x-other", "kept"),
    ];
    let (request, forwarded) = accepted(post(&headers, body)).await;
    let expected = r#"{"params":{"z":"A/","a":[1,null,true,{}]},"method":"x/y","id":"\n","jsonrpc":"2.0"}"#;
    assert_eq!(forwarded, expected);
    let mut names: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "mcp-method", "x-other"]);
    assert_eq!(request.headers()["content-length"], expected.len().to_string());
    assert_eq!(request.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn numbers() {
    for (sent, arrives) in [
        ("0", "0"),
        ("9007199254740993", "9007199254740993"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("18446744073709551615", "18446744073709551615"),
        ("1e2", "100.0"),
        ("1.50", "1.5"),
        ("0.1", "0.1"),
        ("1e-7", "1e-7"),
        ("-0", "-0.0"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        // Beyond what a double holds exactly: rounded, as in any JavaScript server.
        ("18446744073709551616", "1.8446744073709552e+19"),
        ("-9223372036854775809", "-9.223372036854776e+18"),
        ("0.1000000000000000055511151231257827", "0.1"),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"n":{sent}}}}}"#);
        let (request, forwarded) = accepted(post(&[], body)).await;
        let expected = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"n":{arrives}}}}}"#);
        assert_eq!(forwarded, expected, "{sent}");
        // What the policy sees is what the service reads.
        let again: Value = serde_json::from_slice(&forwarded).unwrap();
        assert_eq!(request.extensions().get::<Message>().unwrap().params().unwrap()["n"], again["params"]["n"]);
    }
    // A decimal that a double can hold is not off by its last bit afterwards.
    let mut below = numbers_below();
    let decimals: Vec<f64> = (0..1_000).map(|_| below(1 << 53) as f64 / (1_u64 << 53) as f64).collect();
    let (_, forwarded) = accepted(post(&[], message("x", json!({ "n": decimals })))).await;
    assert_eq!(forwarded, message("x", json!({ "n": decimals })));
}

#[tokio::test]
async fn a_policy_reads_what_the_service_executes() {
    let read =
        async |body: &str| accepted(post(&[], body.to_owned())).await.0.extensions().get::<Message>().unwrap().clone();

    let call = read(
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","uri":"x","arguments":{"a":1}}}"#,
    )
    .await;
    assert_eq!((call.kind(), call.method(), call.id()), (Kind::Request, Some("tools/call"), Some(&json!(7))));
    assert_eq!((call.name(), call.uri()), (Some("echo"), None));
    assert_eq!(call.params().unwrap()["arguments"], json!({ "a": 1 }));
    assert_eq!(call.clone(), call);

    let resource = read(&message("resources/read", json!({ "uri": "file:///a", "name": "x" }))).await;
    assert_eq!((resource.name(), resource.uri(), resource.id()), (None, Some("file:///a"), Some(&json!("a"))));
    let nameless = read(&message("prompts/get", json!({ "name": ["echo"] }))).await;
    assert_eq!((nameless.method(), nameless.name()), (Some("prompts/get"), None));
    let other = read(&message("x/y", json!({ "name": "echo" }))).await;
    assert_eq!((other.name(), other.params().unwrap().len()), (None, 1));

    let heard = read(r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#).await;
    assert_eq!((heard.kind(), heard.id(), heard.params()), (Kind::Notification, None, None));
    let answer = read(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).await;
    assert_eq!((answer.kind(), answer.method(), answer.id()), (Kind::Response, None, Some(&json!(1))));
}

#[tokio::test]
async fn other_methods_bring_no_body() {
    for method in [Method::GET, Method::DELETE, Method::PUT, Method::OPTIONS] {
        let mut request = post(&[("mcp-session-id", "s"), ("content-encoding", "gzip"), ("content-length", "5")], WIPE);
        *request.method_mut() = method.clone();
        let (request, body) = accepted(request).await;
        assert_eq!((request.method(), body.len()), (&method, 0));
        assert!(request.extensions().get::<Message>().is_none());
        let names: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["mcp-session-id"]);

        let mut request = post(&[("mcp-session-id", "mine"), ("mcp-session-id", "yours")], "");
        *request.method_mut() = method;
        assert_eq!(refused(request).await, (400, -32020, Value::Null));
    }
}

/// Ready only where it was polled, as a service with a concurrency limit is.
#[derive(Default)]
struct Limited {
    ready: bool,
}

impl Clone for Limited {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<Full<Bytes>>> for Limited {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        assert!(self.ready, "called without having been polled");
        ready(Ok(Response::default()))
    }
}

#[tokio::test]
async fn the_service_that_was_ready_is_called() {
    let response = StrictJsonRpcLayer::new().layer(Limited::default()).oneshot(post(&[], ECHO)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
