//! The words and the colour of a charge point's status.

use evmesh_proto::network::ChargePointStatus;
use ratatui::style::Color;

pub fn colour(status: ChargePointStatus) -> Color {
    match status {
        ChargePointStatus::Unspecified => Color::Reset,
        ChargePointStatus::Disconnected => Color::DarkGray,
        ChargePointStatus::Faulted => Color::Red,
        ChargePointStatus::Supplying | ChargePointStatus::Available => Color::Green,
        ChargePointStatus::OutOfOrder => Color::Indexed(208), // orange
        ChargePointStatus::Reserved => Color::Cyan,
    }
}

/// What it is called in a sentence.
pub fn label(status: ChargePointStatus) -> &'static str {
    match status {
        ChargePointStatus::Unspecified => "unknown",
        ChargePointStatus::Disconnected => "disconnected",
        ChargePointStatus::Faulted => "faulted",
        ChargePointStatus::Supplying => "supplying",
        ChargePointStatus::OutOfOrder => "out of order",
        ChargePointStatus::Reserved => "reserved",
        ChargePointStatus::Available => "available",
    }
}
