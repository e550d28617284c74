//! Which charge points `evmesh up` starts: its own four, or those of a file.

use crate::exit::Failure;
use domain::{ChargePointId, Location, Price, text::InvalidText};
use mesh::files::read_text;
use std::{collections::HashSet, path::Path};

/// What `--charge-points` says of its format.
pub(super) const FORMAT: &str = "one charge point a line: its id, its place and its price a kWh, separated by \
  ';', such as 'MAD-01; Madrid, Atocha; 0.35 EUR'; empty lines and lines that start with '#' are skipped";

/// The charge points of a network whose user named none. VLC-01 is the cheapest: central's choice, when it is free.
const DEFAULT: &str = "
MAD-01; Madrid, Atocha; 0.35 EUR
MAD-02; Madrid, Chamartin; 0.42 EUR
BCN-01; Barcelona, Sants; 0.39 EUR
VLC-01; Valencia, Nord; 0.30 EUR
";

/// The most charge points that one process runs: each has an engine, a monitor, a store and two ports.
const MAX: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChargePoint {
    pub(crate) id: ChargePointId,
    pub(crate) location: Location,
    pub(crate) price: Price,
}

/// The charge points of the file, or the default ones. A file without any is fine: central alone.
pub(super) fn load(file: Option<&Path>) -> Result<Vec<ChargePoint>, Failure> {
    let Some(file) = file else {
        return parse(DEFAULT).map_err(Failure::Failed);
    };
    let name = file.display();
    let text = read_text(file)
        .map_err(|error| Failure::Failed(format!("cannot read the charge points of '{name}': {error}")))?;
    parse(&text).map_err(|wrong| Failure::Failed(format!("'{name}', {wrong}; the format is {FORMAT}")))
}

/// `Err` says the line and what is wrong with it.
fn parse(text: &str) -> Result<Vec<ChargePoint>, String> {
    let mut charge_points = Vec::new();
    let mut ids = HashSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let charge_point = parse_line(line).map_err(|wrong| format!("line {number}: {wrong}"))?;
        if !ids.insert(charge_point.id.clone()) {
            return Err(format!("line {number}: {} is there already", charge_point.id));
        }
        if charge_points.len() == MAX {
            return Err(format!("line {number}: one process runs at most {MAX} charge points"));
        }
        charge_points.push(charge_point);
    }
    Ok(charge_points)
}

fn parse_line(line: &str) -> Result<ChargePoint, String> {
    let parts: Vec<&str> = line.split(';').map(str::trim).collect();
    let [id, location, price] = parts[..] else {
        return Err(format!("it has {} parts, and needs an id, a place and a price", parts.len()));
    };
    Ok(ChargePoint {
        id: id.parse().map_err(|wrong| format!("the id '{id}' {wrong}"))?,
        location: location.parse().map_err(|wrong| match wrong {
            InvalidText::Long { max, .. } => format!("the place is longer than {max} characters"),
            InvalidText::Character(_) => format!("the place {wrong}"),
        })?,
        price: price.parse().map_err(|wrong| format!("the price '{price}' {wrong}"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_network_has_four_charge_points() {
        let ids: Vec<_> = load(None).unwrap().iter().map(|one| one.id.to_string()).collect();
        assert_eq!(ids, ["MAD-01", "MAD-02", "BCN-01", "VLC-01"]);
    }

    #[test]
    fn a_file_may_have_comments_and_no_charge_points() {
        assert_eq!(parse("# none\n\n").unwrap(), []);
        let read = parse("# one\n  X ; a, b ; 1 EUR\n").unwrap();
        assert_eq!((read[0].id.as_str(), read[0].location.as_str()), ("X", "a, b"));
    }

    #[test]
    fn a_file_of_another_editor_is_read_or_its_encoding_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("points");
        std::fs::write(&file, "\u{feff}MAD-01; Alcalá; 0.35 EUR\r\nMAD-02; b; 1 EUR\r\n").unwrap();
        let read = load(Some(&file)).unwrap();
        assert_eq!((read[0].id.as_str(), read[1].price.to_string()), ("MAD-01", "1.00 EUR".to_owned()));
        std::fs::write(&file, b"MAD-01; Alcal\xe1; 0.35 EUR\n").unwrap();
        let Err(Failure::Failed(said)) = load(Some(&file)) else { panic!("Latin-1 is refused") };
        assert!(said.contains("line 1 is not UTF-8: it looks like Latin-1"), "{said}");
    }

    #[test]
    fn what_is_wrong_names_its_line() {
        for (text, wrong) in [
            ("A; b; 1 EUR\nB; c", "line 2: it has 2 parts"),
            ("A B; b; 1 EUR", "line 1: the id 'A B' has ' '"),
            ("\nA; b; cheap", "line 2: the price 'cheap' must be an amount"),
            ("A; b; 1 EUR\n# c\nA; b; 1 EUR", "line 3: A is there already"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.starts_with(wrong), "{said}");
        }
        assert!(parse(&format!("A; {}; 1 EUR", "x".repeat(129))).unwrap_err().contains("longer than 128"));
    }
}
