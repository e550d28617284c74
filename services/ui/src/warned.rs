//! A panel under a warning that stays as long as it is shown.

use crate::Panel;
use crossterm::event::KeyCode;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Stylize as _,
    text::Line,
};

/// A panel, and what is said above it.
#[derive(Debug)]
pub struct Warned<P> {
    pub panel: P,
    pub warning: Option<&'static str>,
}

impl<P: Panel> Panel for Warned<P> {
    fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let Some(warning) = self.warning else { return self.panel.draw(frame, area) };
        let [above, below] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
        frame.render_widget(Line::from(warning.red().bold()), above);
        self.panel.draw(frame, below);
    }

    async fn changed(&mut self) {
        self.panel.changed().await;
    }

    async fn press(&mut self, key: KeyCode) {
        self.panel.press(key).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::{Terminal, backend::TestBackend};

    struct Below;

    impl Panel for Below {
        fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
            frame.render_widget(Line::raw("the panel"), area);
        }

        async fn changed(&mut self) {}
    }

    #[test]
    fn a_warning_stands_above_and_costs_nothing_where_there_is_none() {
        for (warning, expected) in
            [(Some("watch out"), ["watch out", "the panel"]), (None, ["the panel", ""])]
        {
            let mut terminal = Terminal::new(TestBackend::new(12, 2)).unwrap();
            let warned = Warned { panel: Below, warning };
            terminal.draw(|frame| warned.draw(frame, frame.area())).unwrap();
            let picture = terminal.backend().to_string();
            let lines: Vec<&str> = picture.lines().map(|line| line.trim_matches(['"', ' '])).collect();
            assert_eq!(lines, expected);
        }
    }
}
