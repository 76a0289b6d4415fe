//! How long to wait, as a function of the doubt that the caller is done (`waitFunction`).
//!
//! The contract names mathjs as the language. What both mathjs and our parser read is the same
//! arithmetic; the few things that they would read differently are refused, with what to write
//! instead.

mod scan;

use std::{fmt, sync::Arc, time::Duration};

use exmex::{BinOp, Express, FlatEx, MakeOperators, Operator};
use serde::{Deserialize, Serialize};

/// The contract's default (`LivekitSmartEndpointingPlan.waitFunction`).
const DEFAULT: &str = "20 + 500 * sqrt(x) + 2500 * x^3";

/// The longest wait that a function can ask for; the contract's own limit of endpointing
/// timeouts (`timeoutSeconds`).
pub const WAIT_MAX: Duration = Duration::from_secs(15);

/// Characters of an expression; the longest in the contract's pages has a tenth of it.
const SOURCE_CHARS_MAX: usize = 500;

/// An arithmetic expression in `x` that gives milliseconds.
///
/// `x` is 0 where the caller is surely done, and 1 where they surely go on.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WaitFunction {
    source: String,
    /// Shared, since it takes some kilobytes.
    expression: Arc<FlatEx<f64, Arithmetic>>,
}

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadWaitFunction {
    /// 1-based character where it went wrong, where that is known.
    pub at: Option<usize>,
    pub problem: String,
}

impl WaitFunction {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it, and where.
    pub fn parse(source: &str) -> Result<Self, BadWaitFunction> {
        if source.chars().count() > SOURCE_CHARS_MAX {
            let problem = format!("it must be shorter than {SOURCE_CHARS_MAX} characters");
            return Err(BadWaitFunction { at: None, problem });
        }
        let plain = scan::translate(source)?;
        let expression = FlatEx::parse(&plain)
            .map_err(|error| BadWaitFunction { at: None, problem: error.to_string() })?;
        Ok(Self { source: source.to_owned(), expression: Arc::new(expression) })
    }

    /// The wait at a doubt of `x`, at most [`WAIT_MAX`]; no negative one, and none where the
    /// expression gives no number.
    pub fn wait(&self, x: f64) -> Duration {
        let variables = [x.clamp(0.0, 1.0)];
        // An expression without `x` is a constant.
        let ms = self.expression.eval(&variables[..self.expression.var_names().len()]);
        let ms = ms.unwrap_or(0.0);
        if ms > 0.0 {
            Duration::from_secs_f64((ms / 1_000.0).min(WAIT_MAX.as_secs_f64()))
        } else {
            Duration::ZERO
        }
    }
}

impl Default for WaitFunction {
    fn default() -> Self {
        Self::parse(DEFAULT).expect("the default is a valid expression")
    }
}

impl fmt::Debug for WaitFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WaitFunction").field(&self.source).finish()
    }
}

impl PartialEq for WaitFunction {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl TryFrom<String> for WaitFunction {
    type Error = BadWaitFunction;

    fn try_from(source: String) -> Result<Self, BadWaitFunction> {
        Self::parse(&source)
    }
}

impl From<WaitFunction> for String {
    fn from(function: WaitFunction) -> Self {
        function.source
    }
}

impl fmt::Display for BadWaitFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{} at character {at}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

impl std::error::Error for BadWaitFunction {}

/// The operators, with the precedence and the meaning that mathjs gives them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arithmetic;

type OfOne = fn(f64) -> f64;
type OfTwo = fn(f64, f64) -> f64;

/// Functions of one number.
const FUNCTIONS: &[(&str, OfOne)] = &[
    ("abs", f64::abs),
    ("acos", f64::acos),
    ("asin", f64::asin),
    ("atan", f64::atan),
    ("cbrt", f64::cbrt),
    ("ceil", f64::ceil),
    ("cos", f64::cos),
    ("cosh", f64::cosh),
    ("exp", f64::exp),
    ("floor", f64::floor),
    ("log", f64::ln),
    ("log10", f64::log10),
    ("log2", f64::log2),
    ("round", f64::round),
    ("sign", |x| if x == 0.0 { 0.0 } else { x.signum() }),
    ("sin", f64::sin),
    ("sinh", f64::sinh),
    ("sqrt", f64::sqrt),
    ("tan", f64::tan),
    ("tanh", f64::tanh),
];

/// Functions of two numbers or more, folded from the left.
const FOLDS: &[(&str, OfTwo)] = &[("max", f64::max), ("min", f64::min), ("pow", f64::powf)];

const CONSTANTS: &[(&str, f64)] = &[
    ("pi", std::f64::consts::PI),
    ("PI", std::f64::consts::PI),
    ("tau", std::f64::consts::TAU),
    ("e", std::f64::consts::E),
    ("E", std::f64::consts::E),
];

impl MakeOperators<f64> for Arithmetic {
    fn make<'a>() -> Vec<Operator<'a, f64>> {
        let binary = |apply: OfTwo, prio| BinOp { apply, prio, is_commutative: false };
        let mut operators = vec![
            Operator::make_bin("^", binary(f64::powf, 3)),
            Operator::make_bin("*", binary(|a, b| a * b, 2)),
            Operator::make_bin("/", binary(|a, b| a / b, 2)),
            Operator::make_bin("%", binary(f64::rem_euclid, 2)),
            Operator::make_bin_unary("+", binary(|a, b| a + b, 1), |a| a),
            Operator::make_bin_unary("-", binary(|a, b| a - b, 1), |a| -a),
        ];
        operators.extend(FOLDS.iter().map(|(name, f)| Operator::make_bin(name, binary(*f, 0))));
        operators.extend(FUNCTIONS.iter().map(|(name, f)| Operator::make_unary(name, *f)));
        operators
            .extend(CONSTANTS.iter().map(|(name, value)| Operator::make_constant(name, *value)));
        operators
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, x: f64, want_ms: f64) {
        let got = WaitFunction::parse(source).unwrap().wait(x).as_secs_f64() * 1_000.0;
        assert!((got - want_ms).abs() < 0.01, "{source} at {x}: {got} ms instead of {want_ms} ms");
    }

    #[test]
    fn the_examples_of_the_contract_give_what_mathjs_gives() {
        check("20 + 500 * sqrt(x) + 2500 * x^3", 0.25, 309.0625);
        check("70 + 4000 * x", 0.5, 2_070.0);
        check("200 + 8000 * x", 1.0, 8_200.0);
        check("4000 * (1 - cos(pi * x))", 0.5, 4_000.0);
        check("2000 / (1 + exp(-10 * (x - 0.5)))", 0.5, 1_000.0);
        check(
            "(20 + 500 * sqrt(x) + 2500 * x^3 + 700 + 4000 * max(0, x-0.5)) / 2",
            1.0,
            (20.0 + 500.0 + 2_500.0 + 700.0 + 2_000.0) / 2.0,
        );
    }

    #[test]
    fn operators_bind_as_in_mathjs() {
        check("2 + 3 * 4 ^ 2", 0.0, 50.0);
        check("100 - 10 - 5", 0.0, 85.0);
        check("100 / 10 * 2", 0.0, 20.0);
        check("2 ^ -1 * 1000", 0.0, 500.0);
        check("max(1, 7, 3) + min(9, 8, 10, 20)", 0.0, 15.0);
        check("pow(2, 3) * log(e) + 1.5e2", 0.0, 158.0);
        check("max(min(x, 1) * 100, (x + 1) * 20)", 0.5, 50.0);
    }

    #[test]
    fn what_is_no_wait_is_none_and_what_is_too_long_is_cut() {
        check("-500", 0.0, 0.0);
        check("sqrt(-1 - x)", 0.5, 0.0);
        check("1 / 0", 0.0, 15_000.0);
        check("1e9", 0.0, 15_000.0);
        check("1000 * x", 7.0, 1_000.0);
    }

    #[test]
    fn a_bad_expression_is_refused_with_its_place() {
        let cases = [
            ("", "expected a number, `x` or a function at character 1"),
            ("500 * y", "there is no `y` at character 7"),
            ("500 * sqr(x)", "there is no `sqr` at character 7"),
            ("500 * sqrt", "expected `(` behind `sqrt` at character 11"),
            ("x > 0.5 ? 100 : 900", "unexpected `>` at character 3"),
            ("2x", "expected an operator at character 2"),
            ("200 (x)", "expected an operator at character 5"),
            ("20 +", "expected a number, `x` or a function at character 5"),
            ("20 + * 3", "expected a number, `x` or a function at character 6"),
            ("(20 + x", "expected `)` at character 8"),
            ("20 + x)", "unexpected `)` at character 7"),
            ("20, x", "unexpected `,` at character 3"),
            ("sqrt(1, 2)", "unexpected `,` at character 7"),
            ("max(1)", "`max` takes two numbers or more at character 6"),
            ("1.2.3", "`1.2.3` is no number at character 1"),
            ("100 - -x^2", "write -(a^b) or (-a)^b at character 9"),
            ("2^x^2", "write (a^b)^c or a^(b^c) at character 4"),
            ("{x}", "unexpected `{` at character 1"),
        ];
        for (source, want) in cases {
            let got = WaitFunction::parse(source).unwrap_err().to_string();
            assert_eq!(got, want, "{source}");
        }
        let long = format!("x{}", " + x".repeat(200));
        assert!(WaitFunction::parse(&long).unwrap_err().to_string().contains("shorter"));
        let deep = format!("{}x{}", "(".repeat(240), ")".repeat(240));
        assert!(WaitFunction::parse(&deep).unwrap_err().to_string().contains("nested"));
    }
}
