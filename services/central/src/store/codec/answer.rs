//! Answers, and the keys of the requests that they answer.

use super::{decode, encode, id};
use crate::error::Unreadable;
use domain::Wall;
use domain::network::{Answered, Denial, Method, Reason, Recorded, RequestKey};
use evmesh_proto::store::StoredAnswer;

const WHAT: &str = "an answer";

/// Method, caller and id, each ended by a zero byte. Repeats over an update are found by it: it is never changed.
pub(crate) fn request_key_bytes(key: &RequestKey) -> Vec<u8> {
    let RequestKey { method, caller, id } = key;
    format!("{}\0{caller}\0{id}\0", method.as_str()).into_bytes()
}

/// Reads what [`request_key_bytes`] wrote.
pub(crate) fn request_key(bytes: &[u8]) -> Result<RequestKey, Unreadable> {
    let damaged = || Unreadable::new(WHAT, "its key is damaged");
    let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
    let mut parts = text.split('\0');
    let (Some(name), Some(caller), Some(request), Some(""), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(damaged());
    };
    Ok(RequestKey {
        method: *Method::ALL.iter().find(|method| method.as_str() == name).ok_or_else(damaged)?,
        caller: caller.to_owned(),
        id: id(WHAT, request)?,
    })
}

pub fn answered_value(key: &RequestKey, answered: &Answered) -> Vec<u8> {
    let mut stored = StoredAnswer {
        key: request_key_bytes(key),
        fingerprint: answered.fingerprint,
        answered_ms: answered.at.0,
        ..StoredAnswer::default()
    };
    match &answered.result {
        Ok(Recorded::Session(session)) => stored.session_id = session.to_string(),
        Ok(Recorded::Ordered(count)) => stored.count = *count,
        Err(denial) => {
            stored.denial = denial.reason.as_str().to_owned();
            stored.detail = denial.text.clone();
        }
    }
    encode(&stored)
}

/// Reads an answer, with its key.
pub fn answered(bytes: &[u8]) -> Result<(RequestKey, Answered), Unreadable> {
    let stored: StoredAnswer = decode(WHAT, bytes)?;
    let result = if !stored.denial.is_empty() {
        let known = Reason::ALL.iter().find(|reason| reason.as_str() == stored.denial);
        let reason =
            *known.ok_or_else(|| Unreadable::new(WHAT, format!("unknown denial '{}'", stored.denial)))?;
        Err(Denial::new(reason, stored.detail))
    } else if !stored.session_id.is_empty() {
        Ok(Recorded::Session(id(WHAT, &stored.session_id)?))
    } else {
        Ok(Recorded::Ordered(stored.count))
    };
    let answered = Answered { fingerprint: stored.fingerprint, at: Wall(stored.answered_ms), result };
    Ok((request_key(&stored.key)?, answered))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn results() -> impl Strategy<Value = Result<Recorded, Denial>> {
        prop_oneof![
            "[a-z0-9]{1,32}".prop_map(|id| Ok(Recorded::Session(id.parse().unwrap()))),
            any::<u32>().prop_map(|count| Ok(Recorded::Ordered(count))),
            (proptest::sample::select(Reason::ALL), ".{0,80}")
                .prop_map(|(reason, text)| Err(Denial::new(reason, text))),
        ]
    }

    proptest! {
        #[test]
        fn survive(
            method in proptest::sample::select(Method::ALL),
            caller in "[A-Za-z0-9_.-]{0,64}",
            id in "[A-Za-z0-9_.-]{1,64}",
            numbers in any::<(u64, i64)>(),
            result in results(),
        ) {
            let key = RequestKey { method, caller, id: id.parse().unwrap() };
            prop_assert_eq!(request_key(&request_key_bytes(&key)).unwrap(), key.clone());
            let given = Answered { fingerprint: numbers.0, at: Wall(numbers.1), result };
            prop_assert_eq!(answered(&answered_value(&key, &given)).unwrap(), (key, given));
        }
    }
}
