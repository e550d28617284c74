//! What has no room: texts end in `…` where they are cut, columns are left out whole.

use crate::table::columns;
use ratatui::text::{Line, Span};

/// The text in so many columns of a screen; what is cut ends in `…`.
pub fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let after = at + c.len_utf8();
        if columns(&text[..after]) >= width {
            break; // the sign needs a column
        }
        end = after;
    }
    format!("{}{}", &text[..end], if width > 0 { "…" } else { "" })
}

/// The same of a line whose parts have their own colours.
pub fn cut_line(line: Line<'_>, width: usize) -> Line<'_> {
    if line.width() <= width {
        return line;
    }
    let Line { spans, style, alignment } = line;
    let (mut kept, mut left) = (Vec::new(), width);
    for span in spans {
        let wide = span.width();
        if wide < left {
            left -= wide;
            kept.push(span);
        } else {
            // As wide as what is left, with more to come: it is cut, too.
            let text = if wide == left { format!("{} ", span.content) } else { span.content.into_owned() };
            kept.push(Span::styled(cut(&text, left), span.style));
            break;
        }
    }
    Line { spans: kept, style, alignment }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::style::Stylize as _;

    #[test]
    fn what_is_cut_ends_in_a_sign_by_the_width_that_it_has_on_a_screen() {
        for (text, width, shown) in [
            ("Valencia", 8, "Valencia"),
            ("Valencia", 7, "Valenc…"),
            ("Valencia", 1, "…"),
            ("Valencia", 0, ""),
            ("駅前広場", 8, "駅前広場"),
            ("駅前広場", 7, "駅前広…"),
            ("駅前広場", 6, "駅前…"),
            ("Logroño", 6, "Logro…"),
        ] {
            assert_eq!(cut(text, width), shown, "{text} {width}");
            assert_eq!(cut_line(Line::raw(text), width).to_string(), shown, "{text} {width}");
        }
    }

    #[test]
    fn parts_keep_their_colours() {
        let line = || Line::from(vec!["kafka: ".into(), "lost".red(), "  q".into()]);
        assert_eq!(cut_line(line(), 14), line());
        let shown = cut_line(line(), 11);
        assert_eq!(shown.to_string(), "kafka: los…");
        assert_eq!(shown.spans[1].style, "".red().style);
        assert_eq!(cut_line(line(), 12).to_string(), "kafka: lost…");
        assert_eq!(cut_line(line(), 7).to_string(), "kafka:…");
    }
}
