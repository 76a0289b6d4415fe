//! Arithmetic in templates: what overflows is an error.

use liquid_core::{Result, Runtime, Value, ValueView};

use super::scope::complain;

/// `round: digits`
pub fn round(input: &dyn ValueView, arguments: &[Value], _: &dyn Runtime) -> Result<Value> {
    let digits = arguments.first().map_or(Ok(0), whole)?.clamp(0, 9) as i32;
    let scale = 10_f64.powi(digits);
    unary(input, Some, |number| (number * scale).round() / scale)
}

/// An argument that must be a whole number.
pub fn whole(value: &Value) -> Result<i64> {
    match value.as_scalar().and_then(|scalar| scalar.to_integer()) {
        Some(number) => Ok(number),
        None => complain("expected a whole number"),
    }
}

/// A filter of one number; integers stay integers where their result is one.
pub fn unary(
    value: &dyn ValueView,
    on_integers: fn(i64) -> Option<i64>,
    on_floats: impl Fn(f64) -> f64,
) -> Result<Value> {
    let Some(scalar) = value.as_scalar() else { return complain("expected a number") };
    if let Some(number) = scalar.to_integer().and_then(on_integers) {
        return Ok(Value::scalar(number));
    }
    match scalar.to_float() {
        Some(number) => Ok(number_of(on_floats(number))),
        None => complain("expected a number"),
    }
}

/// A filter of two numbers; a result that does not fit is an error.
pub fn binary(
    left: &dyn ValueView,
    right: &Value,
    on_integers: fn(i64, i64) -> Option<i64>,
    on_floats: fn(f64, f64) -> f64,
) -> Result<Value> {
    let (Some(left), Some(right)) = (left.as_scalar(), right.as_scalar()) else {
        return complain("expected two numbers");
    };
    if let (Some(left), Some(right)) = (left.to_integer(), right.to_integer()) {
        return match on_integers(left, right) {
            Some(number) => Ok(Value::scalar(number)),
            None => complain("the numbers have no such result"),
        };
    }
    match (left.to_float(), right.to_float()) {
        (Some(left), Some(right)) => Ok(number_of(on_floats(left, right))),
        _ => complain("expected two numbers"),
    }
}

/// A float that is whole is written without `.0`, as JavaScript does.
fn number_of(number: f64) -> Value {
    /// Integers up to here are exact in an `f64`.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
        Value::scalar(number as i64)
    } else {
        Value::scalar(number)
    }
}
