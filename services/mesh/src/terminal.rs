//! A panel's terminal: raw mode that is always given back, keys, and the colours of the statuses.

use crossterm::{
    event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use evmesh_proto::network::ChargePointStatus;
use ratatui::{Terminal, backend::CrosstermBackend, style::Color};
use std::{
    io::{self, IsTerminal, Stdout},
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Is standard output a terminal? Without one, services print lines.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// May standard error be coloured? Not where it is a file, nor under `NO_COLOR`.
pub(crate) fn colours_on_stderr() -> bool {
    io::stderr().is_terminal() && colours()
}

/// May anything be coloured? Not under `NO_COLOR`.
pub fn colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The colour of a status; the terminal's own under `NO_COLOR`.
pub fn status_colour(status: ChargePointStatus) -> Color {
    if !colours() {
        return Color::Reset;
    }
    match status {
        ChargePointStatus::Unspecified => Color::Reset,
        ChargePointStatus::Disconnected => Color::DarkGray,
        ChargePointStatus::Faulted => Color::Red,
        ChargePointStatus::Supplying | ChargePointStatus::Available => Color::Green,
        ChargePointStatus::OutOfOrder => Color::Indexed(208), // orange
        ChargePointStatus::Reserved => Color::Cyan,
    }
}

/// The words that people see for a status.
pub fn status_label(status: ChargePointStatus) -> &'static str {
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

static RAW: AtomicBool = AtomicBool::new(false);

/// Gives the terminal back, if a [`Screen`] has it. For exits that run no destructors.
pub fn restore() {
    if RAW.swap(false, Ordering::SeqCst) {
        // Nothing can be done about a terminal that is gone.
        let _ = disable_raw_mode();
        let _ = execute!(io::stdout(), LeaveAlternateScreen, crossterm::cursor::Show);
    }
}

/// The whole terminal, for a panel. It is given back when this is dropped, when the process panics, and when a second
/// signal ends it.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal.
    pub fn open() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                before(panic);
            }));
        });
        RAW.store(true, Ordering::SeqCst);
        let opened = enable_raw_mode()
            .and_then(|()| execute!(io::stdout(), EnterAlternateScreen))
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match opened {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Repaints what changed.
    pub fn draw(&mut self, paint: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(paint).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Keys wait so long to be read at most, so that their reader hears its end.
const KEY_POLL: Duration = Duration::from_millis(100);
/// So many keys may wait: more than a person types in a second.
const KEY_QUEUE: usize = 64;

/// The keys that a person presses, in order. The reading thread ends when the receiver is dropped.
///
/// A raw terminal sends no signal for Ctrl-C: it comes as a key, see [`is_quit`].
pub fn keys() -> tokio::sync::mpsc::Receiver<KeyEvent> {
    let (sender, receiver) = tokio::sync::mpsc::channel(KEY_QUEUE);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            match event::poll(KEY_POLL) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_) => break, // no terminal: no keys
            }
            if let Ok(Event::Key(key)) = event::read()
                && key.kind == KeyEventKind::Press
            {
                // A full queue drops the key: whoever reads it is stuck, and pressing on does not help.
                let _ = sender.try_send(key);
            }
        }
    });
    receiver
}

/// Does the key mean to leave: `q`, or Ctrl-C?
pub fn is_quit(key: &KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    matches!((key.code, control), (KeyCode::Char('q'), false) | (KeyCode::Char('c'), true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_is_q_or_control_c() {
        for (code, modifiers, quits) in [
            (KeyCode::Char('q'), KeyModifiers::NONE, true),
            (KeyCode::Char('c'), KeyModifiers::CONTROL, true),
            (KeyCode::Char('c'), KeyModifiers::NONE, false),
            (KeyCode::Char('p'), KeyModifiers::NONE, false),
        ] {
            assert_eq!(is_quit(&KeyEvent::new(code, modifiers)), quits, "{code:?}");
        }
    }
}
