//! What a message on `driver_requests` asks for, and what is to be done with it. Time comes in; nothing here acts.

use domain::{ChargePointId, DriverId, Wall, network::Reason, text};
use evmesh_proto::topics::{BRIDGE_REQUEST_ID, DriverRequest, Notification, NotificationType};
use mesh::{convert, grpc::CallError};
use std::time::Duration;
use tonic::Code;

/// The `code` of a denial for a date that lies too far from now.
const REQUEST_TOO_OLD: &str = "REQUEST_TOO_OLD";
/// The `code` of a denial for a field that is missing or wrong.
const INVALID_FIELD: &str = "INVALID_FIELD";
/// The `code` of a denial for a driver with too many requests that wait.
const OVERLOADED: &str = "OVERLOADED";
/// The `code` of a denial for a central that could not be asked in time.
const CENTRAL_UNREACHABLE: &str = "CENTRAL_UNREACHABLE";

/// A request of somebody who can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) driver: DriverId,
    /// Or what is wrong with it.
    charge_point: Result<ChargePointId, String>,
    /// By the driver's own clock; or what is wrong with it.
    dated: Result<Wall, String>,
    /// The same for each time that this message is read, and no other message's, of another cluster either.
    pub(crate) id: String,
}

/// What is to be done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Central is asked, for so long at most.
    Ask { charge_point: ChargePointId, left: Duration },
    /// The bridge denies it.
    Deny(Denial),
}

/// Why a request is denied that central did not decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    /// For programs.
    pub(crate) code: String,
    /// For people.
    pub(crate) reason: String,
}

impl Denial {
    fn new(code: &str, reason: impl Into<String>) -> Self {
        Self { code: code.to_owned(), reason: reason.into() }
    }

    /// The driver has as many requests waiting as it may.
    pub(crate) fn crowded(waiting: usize) -> Self {
        let reason =
            format!("{waiting} requests of yours wait for their answers; ask again once they have them");
        Self::new(OVERLOADED, reason)
    }

    /// Central could not be asked before the request was too old.
    pub(crate) fn unasked(last: &CallError) -> Self {
        let reason = format!("central could not be asked in time ({}); ask again later", last.briefly());
        Self::new(CENTRAL_UNREACHABLE, text::cut_reason(&reason))
    }
}

/// What a message asks for; `None` where nobody can be answered: it is no JSON object with the id of a driver.
pub(crate) fn read(partition: i32, offset: i64, payload: &[u8]) -> Option<Asked> {
    let DriverRequest { user_id, cp_id, timestamp } = serde_json::from_slice(payload).ok()?;
    let driver = DriverId::named(&user_id?).ok()?; // a guest is told nothing, as ever
    let charge_point = match cp_id {
        Some(id) => id.parse::<ChargePointId>().map_err(|problem| format!("cp_id {problem}")),
        None => Err("cp_id must be given, as a text".to_owned()),
    };
    let dated = match timestamp {
        Some(seconds) => Wall::from_seconds(seconds).ok_or_else(|| {
            let given = text::short_number(seconds);
            format!("timestamp is {given}, no date in seconds since 1970; if it is in milliseconds, divide it by 1000")
        }),
        None => Err("timestamp must be given as a number, in seconds since 1970".to_owned()),
    };
    let Wall(ms) = dated.clone().unwrap_or_default();
    let id = format!("{BRIDGE_REQUEST_ID}{partition}-{offset}-{ms}");
    Some(Asked { driver, charge_point, dated, id })
}

/// Can a message be answered? For what throws bytes at it: all is made of it that the bridge would make.
pub fn understood(payload: &[u8], now: Wall) -> bool {
    let asked = read(0, 0, payload);
    let denied = |asked: &Asked| match asked.judge(now, Duration::from_secs(60)) {
        Verdict::Ask { .. } => None,
        Verdict::Deny(denial) => Some(asked.denied(&denial, now)),
    };
    asked.as_ref().map(denied).is_some()
}

impl Asked {
    /// What is to be done with it now.
    pub(crate) fn judge(&self, now: Wall, max_age: Duration) -> Verdict {
        let denied = |code, reason| Verdict::Deny(Denial::new(code, reason));
        let charge_point = match &self.charge_point {
            Ok(id) => id.clone(),
            Err(problem) => return denied(INVALID_FIELD, problem.clone()),
        };
        let dated = match &self.dated {
            Ok(dated) => *dated,
            Err(problem) => return denied(INVALID_FIELD, problem.clone()),
        };
        // Both are dates from 1970 to 9999.
        let age = Duration::from_millis(now.0.abs_diff(dated.0));
        let past = dated <= now;
        if age > max_age {
            return denied(REQUEST_TOO_OLD, too_far(dated, past, age, max_age));
        }
        Verdict::Ask { charge_point, left: if past { max_age - age } else { max_age } }
    }

    /// A denial as central would publish it.
    pub(crate) fn denied(&self, denial: &Denial, at: Wall) -> Notification {
        Notification {
            kind: NotificationType::Denied,
            cp_id: self.charge_point.as_ref().map(ToString::to_string).unwrap_or_default(),
            user_id: self.driver.to_string(),
            code: Some(denial.code.clone()),
            reason: Some(denial.reason.clone()),
            timestamp: Some(at.seconds()),
            event_id: Some(format!("{}-denied", self.id)),
            ..Notification::default()
        }
    }
}

fn too_far(dated: Wall, past: bool, age: Duration, max_age: Duration) -> String {
    let (date, age, max) = (convert::timestamp(dated), about(age), max_age.as_secs_f64());
    if past {
        format!(
            "this request is dated {date}, {age} ago, and after {max} s nobody waits for it; ask again, and if \
             it was made just now, set the clock of the device that sent it"
        )
    } else {
        format!(
            "this request is dated {date}, {age} from now; set the clock of the device that sent it, and ask again"
        )
    }
}

/// A duration as people say it.
fn about(age: Duration) -> String {
    match age.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} minutes", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} hours", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// What central's answer leaves to the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing: central's rules decided, and it publishes that itself.
    Decided,
    /// To tell the driver.
    Deny(Denial),
    /// To ask again: nothing is decided.
    Again,
}

/// What is left to do after a call that gave no session.
pub(crate) fn hear(error: &CallError) -> Heard {
    let CallError::Answered(failure) = error else {
        return Heard::Again;
    };
    let untold = [Reason::RequestIdReused, Reason::Overloaded]; // said before a session exists
    let told = |reason: &&Reason| !untold.contains(reason);
    let of_rules = Reason::ALL.iter().filter(told).any(|reason| reason.as_str() == failure.reason);
    match failure.code {
        _ if of_rules => Heard::Decided,
        // The rules' own codes, in a word of a newer central.
        Code::NotFound | Code::FailedPrecondition => Heard::Decided,
        Code::InvalidArgument
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => {
            Heard::Deny(Denial::new(&failure.reason, text::cut_reason(&failure.message)))
        }
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Heard::Again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh::grpc::{Address, Failure};

    const NOW: Wall = Wall(1_700_000_060_000);
    const MAX_AGE: Duration = Duration::from_secs(60);

    fn asked(payload: &str) -> Option<Asked> {
        read(2, 41, payload.as_bytes())
    }

    fn judged(payload: &str) -> Option<Verdict> {
        asked(payload).map(|asked| asked.judge(NOW, MAX_AGE))
    }

    #[test]
    fn what_can_be_asked_for_is_asked_for_until_it_is_too_old() {
        for (dated, left_s) in
            [("1700000000.0", 0.0), ("1700000000", 0.0), ("1700000045.5", 45.5), ("1700000060", 60.0)]
        {
            let seed = format!(r#"{{"user_id": "101", "cp_id": "MAD-01", "timestamp": {dated}}}"#);
            let charge_point = "MAD-01".parse().unwrap();
            let left = Duration::from_secs_f64(left_s);
            assert_eq!(judged(&seed), Some(Verdict::Ask { charge_point, left }), "{dated}");
        }
        // A clock that is a little ahead is as good as a right one; unknown fields are passed over.
        let ahead = r#"{"user_id":"101","cp_id":"MAD-01","timestamp":1700000120.0,"more":[]}"#;
        let charge_point = "MAD-01".parse().unwrap();
        assert_eq!(judged(ahead), Some(Verdict::Ask { charge_point, left: MAX_AGE }));
    }

    #[test]
    fn what_cannot_be_asked_for_is_denied_with_its_reason() {
        let old = "this request is dated 2023-11-14T22:13:19Z, 61 s ago, and after 60 s nobody waits for it; ask \
                   again, and if it was made just now, set the clock of the device that sent it";
        let ahead = "this request is dated 2023-11-14T22:16:40Z, 2 minutes from now; set the clock of the device that \
                     sent it, and ask again";
        let no_number = "timestamp must be given as a number, in seconds since 1970";
        let no_seconds = |given: &str| {
            format!(
                "timestamp is {given}, no date in seconds since 1970; if it is in milliseconds, divide it by 1000"
            )
        };
        for (fields, code, reason) in [
            (r#""cp_id":"MAD-01","timestamp":1699999999"#, REQUEST_TOO_OLD, old),
            (r#""cp_id":"MAD-01","timestamp":1700000200"#, REQUEST_TOO_OLD, ahead),
            (r#""timestamp":1700000060"#, INVALID_FIELD, "cp_id must be given, as a text"),
            (r#""cp_id":7,"timestamp":1700000060"#, INVALID_FIELD, "cp_id must be given, as a text"),
            (r#""cp_id":"","timestamp":1700000060"#, INVALID_FIELD, "cp_id must not be empty"),
            (
                r#""cp_id":"MAD 01","timestamp":1700000060"#,
                INVALID_FIELD,
                "cp_id has ' '; only letters, digits, '-', '_' and '.' are allowed",
            ),
            (r#""cp_id":"MAD-01""#, INVALID_FIELD, no_number),
            (r#""cp_id":"MAD-01","timestamp":"now""#, INVALID_FIELD, no_number),
            (r#""cp_id":"MAD-01","timestamp":1700000060000"#, INVALID_FIELD, &no_seconds("1700000060000")),
            (r#""cp_id":"MAD-01","timestamp":1e300"#, INVALID_FIELD, &no_seconds("1e300")),
            (r#""cp_id":"MAD-01","timestamp":-1"#, INVALID_FIELD, &no_seconds("-1")),
        ] {
            let denial = Denial::new(code, reason);
            let payload = format!(r#"{{"user_id":"101",{fields}}}"#);
            assert_eq!(judged(&payload), Some(Verdict::Deny(denial)), "{payload}");
        }
    }

    #[test]
    fn without_a_driver_there_is_nobody_to_answer() {
        for payload in [
            "",
            "not json",
            "\"101\"",
            r#"{"cp_id":"MAD-01","timestamp":1700000060}"#,
            r#"{"user_id":101,"cp_id":"MAD-01","timestamp":1700000060}"#,
            r#"{"user_id":"","cp_id":"MAD-01","timestamp":1700000060}"#,
            r#"{"user_id":"a b","cp_id":"MAD-01","timestamp":1700000060}"#,
            r#"{"user_id":"INVITADO","cp_id":"MAD-01","timestamp":1700000060}"#,
        ] {
            assert_eq!(judged(payload), None, "{payload}");
        }
        assert!(read(0, 0, b"\xff").is_none());
    }

    #[test]
    fn a_message_has_one_id_however_often_it_is_read() {
        let seed = r#"{"user_id":"101","cp_id":"MAD-01","timestamp":1700000000.25}"#;
        assert_eq!(asked(seed).unwrap().id, "bridge-2-41-1700000000250");
        assert_ne!(read(2, 42, seed.as_bytes()).unwrap().id, asked(seed).unwrap().id);
        // The longest is still an id.
        let last = br#"{"user_id":"101","cp_id":"A","timestamp":253402300799.999}"#;
        let longest = read(i32::MAX, i64::MAX, last).unwrap().id;
        assert!(longest.parse::<domain::RequestId>().is_ok(), "{longest}");
    }

    #[test]
    fn a_denial_has_the_form_of_centrals() {
        let denial = Denial::new(REQUEST_TOO_OLD, "too old");
        let seed = |cp: &str| format!(r#"{{"user_id":"101","cp_id":"{cp}","timestamp":1700000000}}"#);
        for (cp, told) in [("MAD-01", "MAD-01"), ("a b", "")] {
            let denied = asked(&seed(cp)).unwrap().denied(&denial, NOW);
            let payload = serde_json::to_vec(&denied).unwrap();
            testing::contract::check_published(evmesh_proto::topics::DRIVER_NOTIFICATIONS, &payload);
            let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            let expected = serde_json::json!({"type": "AUTH_DENIED", "cp_id": told, "user_id": "101",
                "timestamp": 1_700_000_060.0, "event_id": "bridge-2-41-1700000000000-denied",
                "code": "REQUEST_TOO_OLD", "reason": "too old"});
            assert_eq!(payload, expected);
        }
    }

    #[test]
    fn what_central_decided_it_tells_itself() {
        let address: Address = "10.0.0.7:50051".parse().unwrap();
        let answered = |code, reason: &str| CallError::from(Failure::new(code, reason, "why\nnot"));
        let denied = |code: &str| Heard::Deny(Denial::new(code, "why not"));
        for (error, heard) in [
            (answered(Code::NotFound, "CHARGE_POINT_UNKNOWN"), Heard::Decided),
            (answered(Code::FailedPrecondition, "DRIVER_BUSY"), Heard::Decided),
            (answered(Code::FailedPrecondition, "A_NEW_ONE"), Heard::Decided),
            (answered(Code::ResourceExhausted, "CHARGE_POINT_BUSY"), Heard::Decided),
            (answered(Code::InvalidArgument, "INVALID_FIELD"), denied("INVALID_FIELD")),
            (answered(Code::InvalidArgument, "REQUEST_ID_REUSED"), denied("REQUEST_ID_REUSED")),
            (answered(Code::Unimplemented, "METHOD_UNKNOWN"), denied("METHOD_UNKNOWN")),
            (answered(Code::ResourceExhausted, "OVERLOADED"), Heard::Again),
            (answered(Code::Unavailable, "SHUTTING_DOWN"), Heard::Again),
            (answered(Code::Internal, "INTERNAL"), Heard::Again),
            (answered(Code::DeadlineExceeded, "DEADLINE_EXCEEDED"), Heard::Again),
            (CallError::Late(address.clone()), Heard::Again),
            (CallError::CircuitOpen(address), Heard::Again),
            (CallError::Broken, Heard::Again),
        ] {
            assert_eq!(hear(&error), heard, "{error:?}");
        }
    }
}
