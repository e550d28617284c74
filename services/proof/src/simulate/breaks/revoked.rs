//! Broken in what becomes of a charge point that is revoked.

use super::{Break, Edit};

pub(super) const BREAKS: &[Break] = &[
    Break {
        name: "cut-off-and-called",
        promises: &["revoked"],
        edits: &[edit!("domain/src/network/engine_calls.rs":
"        if point.call.is_some() || point.is_cut() {"
=> r#"        if point.call.is_some() || point.is_cut() && !crate::broken("cut-off-and-called") {"#)],
    },
    Break {
        name: "drain-without-an-end",
        promises: &["INV-3"],
        edits: &[edit!("domain/src/network/revocation.rs":
"let over = deadline.passed(self.now);"
=> r#"let over = deadline.passed(self.now) && !crate::broken("drain-without-an-end");"#)],
    },
    Break {
        name: "free-though-revoked",
        promises: &["revoked"],
        edits: &[edit!("domain/src/network/status.rs":
            "    if revoked {"
            => r#"    if revoked && !crate::broken("free-though-revoked") {"#)],
    },
];
