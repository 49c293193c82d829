//! Arithmetic that is exact where JSON integers are, and says so where the result has no number.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Number;

use crate::ToolError;

/// The structured result of an arithmetic tool.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Outcome {
    /// The result.
    result: Number,
}

/// Integers stay integers, checked; anything else is an IEEE 754 double.
pub(super) fn combine(
    left: &Number,
    right: &Number,
    exact: fn(i128, i128) -> Option<i128>,
    float: fn(f64, f64) -> f64,
) -> Result<Outcome, ToolError> {
    let too_large = || ToolError::new("the result is too large for a number");
    let result = match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => exact(left, right).and_then(Number::from_i128).ok_or_else(too_large)?,
        _ => {
            let (Some(left), Some(right)) = (left.as_f64(), right.as_f64()) else { return Err(too_large()) };
            Number::from_f64(float(left, right)).ok_or_else(too_large)?
        }
    };
    Ok(Outcome { result })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_str};

    use super::*;

    fn sum(left: &str, right: &str) -> Result<String, ToolError> {
        let combined =
            combine(&from_str(left).unwrap(), &from_str(right).unwrap(), i128::checked_add, |left, right| {
                left + right
            })?;
        Ok(serde_json::to_value(combined).unwrap()["result"].to_string())
    }

    #[test]
    fn integers_are_exact() {
        assert_eq!(sum("9007199254740993", "1").unwrap(), "9007199254740994");
        assert_eq!(sum("18446744073709551614", "1").unwrap(), "18446744073709551615");
        assert_eq!(sum("-9223372036854775808", "0").unwrap(), "-9223372036854775808");
    }

    #[test]
    fn fractions_are_doubles() {
        assert_eq!(sum("0.5", "2").unwrap(), "2.5");
    }

    #[test]
    fn what_has_no_number_is_an_error_and_never_null() {
        for (left, right) in [("18446744073709551615", "1"), ("-9223372036854775808", "-1"), ("1.7e308", "1.7e308")] {
            let error = sum(left, right).unwrap_err();
            assert!(error.to_string().contains("too large"), "{error}");
        }
        assert!(from_str::<Value>("1e400").is_err());
    }
}
