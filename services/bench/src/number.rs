//! Numbers, as people read them.

/// With as many digits as say something, and commas between thousands.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 || large.fract() == 0.0 => with_commas(value),
        small if small >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn with_commas(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = if value < 0.0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_many_digits_as_say_something() {
        let told = [0.0, 8.0, 0.456, 45.67, 999.5, 1_234.5, 5_000_000.0, -1_500.2].map(number);
        assert_eq!(told, ["0", "8", "0.46", "45.7", "1,000", "1,234", "5,000,000", "-1,500"]);
    }
}
