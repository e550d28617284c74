//! Central's panel: the charge points, the requests under way, and the messages of the system, errors first.

mod tiles;
mod view;

pub use view::View;

use ratatui::{Frame, layout::Rect};
use ui::{KeyCode, Panel};

impl Panel for View {
    fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        tiles::draw(frame, area, self);
    }

    async fn changed(&mut self) {
        ui::changed(&mut self.roster).await;
    }

    async fn press(&mut self, key: KeyCode) {
        self.browse.press(key, &self.statuses());
    }
}
