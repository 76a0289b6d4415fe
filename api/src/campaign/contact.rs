//! Somebody on a campaign's list, as it lies on disk.

use offhook_core::campaign::NumberKey;
use serde_json::Value;

use super::zones;
use crate::lenient;

/// The form of a row: never changed once stored.
const FORM: u8 = 1;

/// Fewest digits of a number that is called from abroad, the country's code included; the most are
/// fifteen (ITU-T E.164).
const DIGITS_MIN: usize = 7;
const DIGITS_MAX: usize = 15;

/// Somebody to be called. What the campaign decides by stands before the customer's document, so
/// that a hundred thousand rows can be read without parsing as many documents.
#[derive(Clone, Debug, PartialEq)]
pub struct ContactRow {
    pub number: NumberKey,
    /// Place of the phone numbers that may call it.
    pub pool: u16,
    /// The zone that its document names.
    pub time_zone: Option<String>,
    pub customer: Value,
}

/// Why a customer cannot be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("number must be given: a campaign calls phone numbers")]
    NoNumber,
    #[error("sipUri cannot be called by a campaign; give a number in E.164 format instead")]
    Sip,
    #[error(
        "number must be in E.164 format: a plus, the country's code and the number, {DIGITS_MIN} to {DIGITS_MAX} digits"
    )]
    NotE164,
    #[error("timeZone `{0}` is no IANA time zone, expected one like America/New_York")]
    Zone(String),
}

impl ContactRow {
    pub fn read(customer: &Value, pool: u16) -> Result<Self, RowError> {
        if lenient::text(customer, "sipUri").is_some() {
            return Err(RowError::Sip);
        }
        let number = lenient::text(customer, "number").ok_or(RowError::NoNumber)?;
        let number = number_key(number).ok_or(RowError::NotE164)?;
        let time_zone = lenient::text(customer, "timeZone").map(str::to_owned);
        if let Some(zone) = time_zone.as_ref().filter(|zone| !zones::is_known(zone)) {
            return Err(RowError::Zone(zone.clone()));
        }
        Ok(Self { number, pool, time_zone, customer: customer.clone() })
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut row = vec![FORM];
        row.extend(self.number.0.to_be_bytes());
        row.extend(self.pool.to_be_bytes());
        let zone = self.time_zone.as_deref().unwrap_or_default();
        row.push(u8::try_from(zone.len()).expect("zones have short names"));
        row.extend(zone.as_bytes());
        serde_json::to_writer(&mut row, &self.customer).expect("a JSON value has string keys");
        row
    }

    pub fn decode(row: &[u8]) -> Option<Self> {
        let (number, pool, zone, customer) = split(row)?;
        Some(Self {
            number,
            pool,
            time_zone: zone.map(str::to_owned),
            customer: serde_json::from_slice(customer).ok()?,
        })
    }

    /// What the campaign decides by, without the customer.
    pub fn decode_head(row: &[u8]) -> Option<(NumberKey, u16, Option<&str>)> {
        split(row).map(|(number, pool, zone, _)| (number, pool, zone))
    }
}

fn split(row: &[u8]) -> Option<(NumberKey, u16, Option<&str>, &[u8])> {
    let (form, rest) = row.split_first()?;
    if *form != FORM {
        return None;
    }
    let (number, rest) = rest.split_first_chunk()?;
    let (pool, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first()?;
    let (zone, customer) = rest.split_at_checked(usize::from(*length))?;
    let zone = std::str::from_utf8(zone).ok()?;
    let number = NumberKey(u64::from_be_bytes(*number));
    Some((number, u16::from_be_bytes(*pool), (!zone.is_empty()).then_some(zone), customer))
}

/// The digits of a number in E.164 format.
pub fn number_key(number: &str) -> Option<NumberKey> {
    let digits = number.strip_prefix('+')?;
    let is_number = (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    if is_number { digits.parse().ok().map(NumberKey) } else { None }
}

/// A number as E.164 writes it.
pub fn number_of(key: NumberKey) -> String {
    format!("+{}", key.0)
}
