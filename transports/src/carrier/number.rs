/// The digits of an extension, for a carrier that dials them once the call is answered: a second of
/// pause before them, for the voice that asks for it.
///
/// # Errors
///
/// Names what is wrong; the digits are somebody's and not repeated.
pub fn send_digits(extension: &str) -> Result<String, String> {
    /// What Twilio takes, its pauses included.
    const DIGITS_MAX: usize = 32;
    let is_key = |key: char| matches!(key, '0'..='9' | '*' | '#' | 'w' | 'W' | ',');
    let digits: String = extension.trim().replace(',', "w");
    if digits.is_empty() || !extension.trim().chars().all(is_key) {
        return Err("extension must be digits, *, # and w for a pause of half a second".into());
    }
    let digits = format!("ww{digits}");
    if digits.len() > DIGITS_MAX {
        return Err(format!("extension is longer than {} characters", DIGITS_MAX - 2));
    }
    Ok(digits)
}

/// Reads a telephone number as E.164 writes it (ITU-T E.164: up to 15 digits, the first no 0).
///
/// # Errors
///
/// Says what a number looks like; the one given is not repeated.
pub fn e164(number: &str) -> Result<&str, String> {
    let digits = number.strip_prefix('+').unwrap_or_default();
    let is_number = (7..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    match is_number {
        true => Ok(number),
        false => Err("number must be E.164: + and 7 to 15 digits, as +14155550100".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_plus_and_seven_to_fifteen_digits() {
        for good in ["+14155550100", "+4670123", "+123456789012345"] {
            assert_eq!(e164(good), Ok(good));
        }
        let bad = ["14155550123", "+0415555010", "+415", "+1234567890123456", "+1415 555", "", "+"];
        for bad in bad {
            let refused = e164(bad).unwrap_err();
            assert!(refused.contains("E.164") && (bad.len() < 3 || !refused.contains(bad)));
        }
    }

    #[test]
    fn an_extension_is_dialled_after_a_second() {
        assert_eq!(send_digits("1234#"), Ok("ww1234#".into()));
        assert_eq!(send_digits("1,2"), Ok("ww1w2".into()));
        assert!(send_digits("").is_err() && send_digits("12x").is_err());
        assert!(send_digits(&"1".repeat(31)).is_err());
    }
}
