//! What people see: a panel's terminal, the tables of commands, and the words and colours of what the network has.
//!
//! A panel says what its parts are; [`show`] takes the terminal, paints, hears keys, and gives the terminal back.
//! Deliberately absent: any service, any call. What is shown is handed in.

mod browse;
mod cut;
pub mod status;
mod table;
mod terminal;
mod tiles;
pub mod values;
mod warned;

pub use browse::{Browse, KEYS, below};
pub use crossterm::event::KeyCode;
pub use cut::{cut, cut_line};
pub use table::{Cell, Side, Table, WIDTH, columns, short_id, width, wrap};
pub use terminal::{Panel, changed, colours_on_stderr, is_terminal, restore, show, watching};
pub use tiles::{Column, Tile, bold, level_colour, messages, room, table, tile};
pub use warned::Warned;
