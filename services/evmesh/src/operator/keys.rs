//! The public keys by which central knows what it authorised: kept apart from its store, and given back to it.

use super::desk::Desk;
use crate::{
    exit::Failure,
    output::{self, Output},
    pages::Pages,
};
use evmesh_proto::operations::{ListSigningKeysRequest, SigningKey, TrustSigningKeysRequest};
use mesh::convert::hex;
use serde_json::json;
use std::{fs, path::PathBuf};

/// So many keys central takes at a time.
const AT_ONCE: usize = 1000;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Keys {
    /// Prints them, one a line with its network and its time: put them where neither central's store nor Kafka is.
    Export,

    /// Takes what was signed with them for central's own word. For a central whose store and changelog were lost, or
    /// whose store is a copy older than they are: it takes over what its engines have of that time.
    Trust {
        /// What `keys export` printed.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

impl Keys {
    pub(super) async fn run(self, desk: &Desk, output: Output) -> Result<(), Failure> {
        match self {
            Self::Export => export(desk, output).await,
            Self::Trust { file } => {
                let cannot = |problem| Failure::Failed(format!("cannot read {}: {problem}", file.display()));
                let text = fs::read_to_string(&file).map_err(cannot)?;
                let keys = parse(&text).map_err(|wrong| {
                    Failure::Failed(format!(
                        "{}: {wrong}; it must be what 'evmesh operator keys export' printed",
                        file.display()
                    ))
                })?;
                trust(desk, output, &keys).await
            }
        }
    }
}

async fn export(desk: &Desk, output: Output) -> Result<(), Failure> {
    let (mut client, central) = (desk.client(), &desk.central);
    let keys = Pages::all(async |page_size, page_token| {
        let request = ListSigningKeysRequest { page_size, page_token };
        let page = central.answer(client.list_signing_keys(request).await)?;
        Ok((page.keys, page.next_page_token))
    })
    .await?;
    match output {
        Output::Text => output::print(&keys.iter().map(|key| line(key) + "\n").collect::<String>()),
        Output::Json => output::json(&keys.iter().map(shown).collect::<Vec<_>>()),
    }
}

async fn trust(desk: &Desk, output: Output, keys: &[SigningKey]) -> Result<(), Failure> {
    let (mut client, central) = (desk.client(), &desk.central);
    let mut new = 0;
    for keys in keys.chunks(AT_ONCE) {
        let request = TrustSigningKeysRequest { keys: keys.to_vec() };
        new += central.answer(client.trust_signing_keys(request).await)?.new_key_count;
    }
    let count = keys.len();
    match output {
        Output::Text => output::line(&format!("{count} keys are trusted, {new} of them new")),
        Output::Json => output::json(&json!({ "key_count": count, "new_key_count": new })),
    }
}

fn made(key: &SigningKey) -> String {
    key.create_time.unwrap_or_default().to_string()
}

fn line(key: &SigningKey) -> String {
    format!("{} {} {}", key.network_id, hex(&key.public_key), made(key))
}

fn shown(key: &SigningKey) -> serde_json::Value {
    json!({ "network_id": key.network_id, "public_key": hex(&key.public_key), "create_time": made(key) })
}

/// What was exported; `#` begins a comment.
fn parse(text: &str) -> Result<Vec<SigningKey>, String> {
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        let (network, key, time) = match words.as_slice() {
            [] => continue,
            [network] => (network, &"", None),
            [network, key] => (network, key, None),
            [network, key, time] => (network, key, Some(time)),
            _ => return Err(format!("line {number} has more than a network, a key and a time")),
        };
        let wrong = || format!("line {number} has no key of 64 hexadecimal digits");
        if key.len() != 64 || !key.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let byte = |at: usize| u8::from_str_radix(&key[at..at + 2], 16);
        let public_key = (0..64).step_by(2).map(byte).collect::<Result<_, _>>().map_err(|_| wrong())?;
        let create_time = time.map(|time| time.parse()).transpose();
        let create_time = create_time.map_err(|_| format!("line {number} has a time that is none"))?;
        keys.push(SigningKey { network_id: (*network).to_owned(), public_key, create_time });
    }
    if keys.is_empty() { Err("it has no key".into()) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let key = |n: u8, seconds| SigningKey {
            network_id: "net-1".into(),
            public_key: (n..n + 32).collect(),
            create_time: Some(prost_types::Timestamp { seconds, nanos: 5_000_000 }),
        };
        let keys = [key(0, 1_700_000_000), key(200, 0)];
        let text = keys.iter().map(line).collect::<Vec<_>>().join("\r\n");
        assert_eq!(parse(&format!("# of Monday\n\n{text}  # the second\n")), Ok(keys.to_vec()));
        assert_eq!(parse(&format!("net-1 {}", hex(&[7; 32]))).unwrap()[0].create_time, None);
    }

    #[test]
    fn what_is_no_key_is_named_by_its_line() {
        for (text, wrong) in [
            ("", "it has no key"),
            ("net 00", "line 1 has no key of 64 hexadecimal digits"),
            ("\nnet", "line 2 has no key of 64 hexadecimal digits"),
            (&format!("net {} x y", "0".repeat(64)), "line 1 has more than a network, a key and a time"),
            (&format!("net {} soon", "0".repeat(64)), "line 1 has a time that is none"),
            (&format!("net {}", "ñ".repeat(32)), "line 1 has no key of 64 hexadecimal digits"),
            (&format!("net {}", "+1".repeat(32)), "line 1 has no key of 64 hexadecimal digits"),
        ] {
            assert_eq!(parse(text), Err(wrong.to_owned()), "{text}");
        }
    }
}
