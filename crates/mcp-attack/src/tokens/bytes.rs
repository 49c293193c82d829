//! The token's bytes: what is signed, what is encoded, and how many parts there are.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use serde_json::{Map, Value, json};

use crate::{
    attack::{Attack, Group, Needs, NotBuilt, Rows},
    forge::{Forge, Forged, with},
};

const SIGNATURE: &str = "RFC 7515 §5.2";
const CANONICAL: &str = "RFC 7515 §2 (base64url); RFC 4648 §3.5";
const COMPACT: &str = "RFC 7515 §7.1";
const JWE: &str = "RFC 7516 §9";

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(super) fn rows() -> Vec<Attack> {
    [signatures(), spellings(), parts()].concat()
}

fn signatures() -> Vec<Attack> {
    let jwt = Needs::Jwt;
    Rows::of(Group::Bytes)
        .breach(("signature-stripped", "two parts: the signature and its dot are gone", SIGNATURE), jwt, |f| {
            let [header, claims, _] = f.good_parts()?;
            Ok(format!("{header}.{claims}"))
        })
        .breach(("signature-empty", "three parts, the last one empty", SIGNATURE), jwt, |f| {
            let [header, claims, _] = f.good_parts()?;
            Ok(format!("{header}.{claims}."))
        })
        .breach(("signature-truncated", "the signature one byte shorter", SIGNATURE), jwt, |f| {
            resigned(f, |signature| signature[..signature.len().saturating_sub(1)].to_vec())
        })
        .breach(("signature-one-byte", "the signature's first byte alone", SIGNATURE), jwt, |f| {
            resigned(f, |signature| signature.iter().copied().take(1).collect())
        })
        .breach(("signature-longer", "the signature and one byte more", SIGNATURE), jwt, |f| {
            resigned(f, |signature| [signature, &[0]].concat())
        })
        .breach(("signature-flipped", "one bit of the signature flipped", SIGNATURE), jwt, |f| {
            resigned(f, |signature| {
                let middle = signature.len() / 2;
                signature.iter().enumerate().map(|(at, byte)| if at == middle { byte ^ 1 } else { *byte }).collect()
            })
        })
        .breach(("signature-zero", "the signature all zeros", SIGNATURE), jwt, |f| {
            resigned(f, |signature| vec![0; signature.len()])
        })
        .breach(("payload-changed", "the subject changed to admin after signing", SIGNATURE), jwt, |f| {
            let [header, claims, signature] = f.good_parts()?;
            let changed = with(object(&claims)?, json!({ "sub": "admin", "preferred_username": "admin" }));
            Ok(format!("{header}.{}.{signature}", BASE64URL.encode(changed.to_string())))
        })
        .breach(("payload-scopes-added", "scopes and roles added after signing", SIGNATURE), jwt, |f| {
            let [header, claims, signature] = f.good_parts()?;
            let scope = "mcp:read mcp:tools mcp:prompts mcp:run mcp:admin";
            let changed = with(object(&claims)?, json!({ "scope": scope, "roles": ["admin"] }));
            Ok(format!("{header}.{}.{signature}", BASE64URL.encode(changed.to_string())))
        })
        .breach(("header-changed", "a member added to the header after signing", SIGNATURE), jwt, |f| {
            let [header, claims, signature] = f.good_parts()?;
            let changed = with(object(&header)?, json!({ "x": 1 }));
            Ok(format!("{}.{claims}.{signature}", BASE64URL.encode(changed.to_string())))
        })
        .done()
}

fn spellings() -> Vec<Attack> {
    let jwt = Needs::Jwt;
    Rows::of(Group::Bytes)
        .lax(("base64-padded", "a good token, padded with =", CANONICAL), jwt, |f| {
            let parts = f.good_parts()?;
            let padded = parts.map(|part| format!("{part}{}", "=".repeat((4 - part.len() % 4) % 4)));
            if padded.iter().any(|part| part.ends_with('=')) {
                Ok(padded.join("."))
            } else {
                Ok(format!("{}====", padded.join(".")))
            }
        })
        .lax(("base64-standard", "a good token, in base64 with + and /", CANONICAL), jwt, standard_alphabet)
        .lax(("base64-spare-bits", "a good token with the spare bits of its last character set", CANONICAL), jwt, |f| {
            let [header, claims, signature] = f.good_parts()?;
            // Without spare bits the last character means something else, and the signature is another.
            let last = signature.bytes().last().and_then(|last| ALPHABET.iter().position(|c| *c == last));
            let twin = char::from(ALPHABET[last.ok_or(NotBuilt::Needs(Needs::Jwt))? ^ 1]);
            Ok(format!("{header}.{claims}.{}{twin}", &signature[..signature.len() - 1]))
        })
        .lax(("space-inside", "a good token with a space before its second dot", COMPACT), jwt, |f| {
            let [header, claims, signature] = f.good_parts()?;
            Ok(format!("{header}.{claims} .{signature}"))
        })
        .lax(("newline-inside", "a good token with a newline before its second dot", COMPACT), jwt, |f| {
            let [header, claims, signature] = f.good_parts()?;
            Ok(format!("{header}.{claims}\n.{signature}"))
        })
        .lax(("folded", "a good token folded over two header lines", "RFC 9112 §5.2"), jwt, |f| {
            let [header, claims, signature] = f.good_parts()?;
            Ok(format!("{header}.{claims}\r\n .{signature}"))
        })
        .lax(("nul-behind", "a good token and a NUL", "RFC 9110 §5.5"), Needs::Token, |f| {
            Ok(format!("{}\0", f.good()?))
        })
        .lax(("not-ascii", "a good token and a letter outside ASCII", COMPACT), Needs::Token, |f| {
            Ok(format!("{}é", f.good()?))
        })
        .lax(("percent-encoded", "a good token, percent-encoded", COMPACT), jwt, |f| Ok(f.good_parts()?.join("%2E")))
        .lax(("quoted", "a good token in quotes", "RFC 6750 §2.1"), Needs::Token, |f| Ok(format!("\"{}\"", f.good()?)))
        .done()
}

fn parts() -> Vec<Attack> {
    let (no, jwt, key) = (Needs::Nothing, Needs::Jwt, Needs::SigningKey);
    Rows::of(Group::Bytes)
        .breach(("garbage", "a word in place of a token", COMPACT), no, |_| Ok("garbage".to_owned()))
        .breach(("dots", "two dots and nothing else", COMPACT), no, |_| Ok("..".to_owned()))
        .lax(("no-header", "a good token without its header", COMPACT), jwt, |f| {
            let [_, claims, signature] = f.good_parts()?;
            Ok(format!(".{claims}.{signature}"))
        })
        .lax(("four-parts", "a good token and a fourth part", COMPACT), jwt, |f| Ok(format!("{}.x", f.good_parts()?.join("."))))
        .lax(("five-parts", "a good token with two more parts, like a JWE", JWE), jwt, |f| Ok(format!("{}.x.y", f.good_parts()?.join("."))))
        .breach(("jwe-rsa-oaep", "a JWE for the server's key", JWE), no, |f| {
            jwe(f, json!({ "alg": "RSA-OAEP", "enc": "A256GCM", "cty": "JWT" }))
        })
        .breach(("jwe-dir", "a JWE with a key that both sides know", JWE), no, |f| {
            jwe(f, json!({ "alg": "dir", "enc": "A256GCM" }))
        })
        .breach(("jwe-pbes2-bomb", "a JWE that asks for two billion rounds of hashing", "RFC 8725 §2.8; CVE-2023-51775 class"), no, |f| {
            jwe(f, json!({ "alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2s": "c2FsdHNhbHQ", "p2c": 2_147_483_647 }))
        })
        .lax(("nested", "a signed token whose content is a good token", "RFC 7519 §5.2, §7.2"), key, |f| {
            let header = with(f.header(), json!({ "cty": "JWT" }));
            f.signed_text(&header.to_string(), f.good()?)
        })
        .lax(("nested-unsaid", "the same without `cty`", "RFC 7519 §5.2, §7.2"), key, |f| {
            f.signed_text(&f.header().to_string(), f.good()?)
        })
        .lax(("json-serialisation", "a good token in the JSON serialisation of RFC 7515", "RFC 7515 §7.2.2; RFC 7519 §1"), jwt, |f| {
            let [header, claims, signature] = f.good_parts()?;
            Ok(json!({ "payload": claims, "protected": header, "signature": signature }).to_string())
        })
        .lax(("token-20k", "a token of more than 20 kB, signed by the real key", "RFC 8725 §2.8 class: work before trust"), key, |f| {
            f.with_claims(json!({ "x": "x".repeat(16_000) }))
        })
        .done()
}

fn resigned(f: &Forge<'_>, change: fn(&[u8]) -> Vec<u8>) -> Forged {
    let [header, claims, signature] = f.good_parts()?;
    let signature = BASE64URL.decode(signature).map_err(|_| NotBuilt::Needs(Needs::Jwt))?;
    Ok(format!("{header}.{claims}.{}", BASE64URL.encode(change(&signature))))
}

fn object(part: &str) -> Forged<Value> {
    let bytes = BASE64URL.decode(part).map_err(|_| NotBuilt::Needs(Needs::Jwt))?;
    serde_json::from_slice::<Map<String, Value>>(&bytes).map(Value::Object).map_err(|_| NotBuilt::Needs(Needs::Jwt))
}

/// A good token that has a character in which the two alphabets differ: nearly every one has.
fn standard_alphabet(f: &Forge<'_>) -> Forged {
    let another = |n: i32| if n == 0 { f.good() } else { f.with_claims(json!({ "jti": n.to_string() })) };
    for n in 0..20 {
        let token = another(n).map_err(|_| NotBuilt::Needs(Needs::Jwt))?;
        if token.contains(['-', '_']) {
            return Ok(token.replace('-', "+").replace('_', "/"));
        }
    }
    Err(NotBuilt::Needs(Needs::Jwt))
}

/// Five parts (RFC 7516 §7.1), of which the last four are noise.
fn jwe(f: &Forge<'_>, header: Value) -> Forged {
    let header = with(f.header(), header).to_string();
    let [key, iv, text, tag] = [256, 12, 64, 16].map(|length| BASE64URL.encode(vec![7; length]));
    Ok(format!("{}.{key}.{iv}.{text}.{tag}", BASE64URL.encode(header)))
}
