//! A panel's terminal: taken, painted when something changed, and always given back.

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyModifiers};
use futures_util::StreamExt as _;
use ratatui::{DefaultTerminal, Frame, layout::Rect, style::Color};
use std::{
    future::Future,
    io::{self, IsTerminal},
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::sync::watch;

/// Every panel is painted at least so often: the log and the broker's state change without a word.
const REPAINT: Duration = Duration::from_millis(500);

/// What a panel shows, and what its keys do.
pub trait Panel {
    /// Paints what is so now into a part of the screen.
    fn draw(&self, frame: &mut Frame<'_>, area: Rect);

    /// Returns once there is something new to paint. It may be dropped and asked again.
    fn changed(&mut self) -> impl Future<Output = ()>;

    /// A key was pressed that does not leave.
    fn press(&mut self, _: KeyCode) -> impl Future<Output = ()> {
        async {}
    }
}

/// Shows a panel until the order to stop, or until a person leaves it with `q` or Ctrl-C. (A raw terminal sends no
/// signal for Ctrl-C: it comes as a key.)
pub async fn show(mut panel: impl Panel, stop: impl Future<Output = ()>) -> io::Result<()> {
    let mut screen = Screen::open()?;
    let mut events = EventStream::new();
    let mut repaint = tokio::time::interval(REPAINT);
    let mut stop = pin!(stop);
    loop {
        screen.draw(&panel)?;
        tokio::select! {
            () = &mut stop => return Ok(()),
            Some(Ok(event)) = events.next() => match event {
                Event::Key(key) if key.is_press() && leaves(&key) => return Ok(()),
                Event::Key(key) if key.is_press() => panel.press(key.code).await,
                _ => {} // a new size is painted
            },
            () = panel.changed() => {}
            _ = repaint.tick() => {}
        }
    }
}

/// A panel without keys, that paints the newest value of a channel.
pub fn watching<T>(what: watch::Receiver<T>, draw: impl Fn(&mut Frame<'_>, Rect, &T)) -> impl Panel {
    Watching { what, draw }
}

struct Watching<T, D> {
    what: watch::Receiver<T>,
    draw: D,
}

impl<T, D: Fn(&mut Frame<'_>, Rect, &T)> Panel for Watching<T, D> {
    fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        (self.draw)(frame, area, &self.what.borrow());
    }

    async fn changed(&mut self) {
        changed(&mut self.what).await;
    }
}

/// Waits for a change; for ever, once none can come.
pub async fn changed<T>(what: &mut watch::Receiver<T>) {
    if what.changed().await.is_err() {
        std::future::pending().await
    }
}

fn leaves(key: &KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    matches!((key.code, control), (KeyCode::Char('q'), false) | (KeyCode::Char('c'), true))
}

/// Is standard output a terminal? Without one, services print lines.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// May standard error be coloured? Not where it is a file, nor under `NO_COLOR`.
pub fn colours_on_stderr() -> bool {
    io::stderr().is_terminal() && colours()
}

fn colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Gives the terminal back, if a panel has it. For exits that run no destructors.
pub fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Nothing can be done about a terminal that is gone.
        let _ = ratatui::try_restore();
        let _ = crossterm::execute!(io::stdout(), crossterm::cursor::Show);
    }
}

/// The whole terminal. It is given back when this is dropped, and by ratatui's hook when the process panics.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> io::Result<Self> {
        TAKEN.store(true, Ordering::SeqCst);
        ratatui::try_init().map(Self).inspect_err(|_| restore())
    }

    /// Repaints what changed; in the terminal's own colours under `NO_COLOR`.
    fn draw(&mut self, panel: &impl Panel) -> io::Result<()> {
        let paint = |frame: &mut Frame<'_>| {
            panel.draw(frame, frame.area());
            if !colours() {
                let cells = frame.buffer_mut().content.iter_mut();
                cells.for_each(|cell| (cell.fg, cell.bg) = (Color::Reset, Color::Reset));
            }
        };
        self.0.draw(paint).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_is_q_or_control_c() {
        for (code, modifiers, leaving) in [
            (KeyCode::Char('q'), KeyModifiers::NONE, true),
            (KeyCode::Char('c'), KeyModifiers::CONTROL, true),
            (KeyCode::Char('c'), KeyModifiers::NONE, false),
            (KeyCode::Char('p'), KeyModifiers::NONE, false),
        ] {
            assert_eq!(leaves(&KeyEvent::new(code, modifiers)), leaving, "{code:?}");
        }
    }
}
