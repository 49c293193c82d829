//! JSON Schema 2020-12: made from Rust types for the lists, compiled once to check arguments.

use jsonschema::Validator;
use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::Value;

/// At most this many violations are told at once, in at most this many characters each.
const TOLD: usize = 5;
const TOLD_CHARS: usize = 200;

/// The schema of a value that is received: tool and prompt arguments.
pub fn of_input<T: JsonSchema>() -> Value {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12());
    if let Some(object) = schema.as_object_mut() {
        // An argument nobody reads is a misspelt one; say so instead of ignoring it.
        object.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    schema
}

/// The schema of a value that is sent: structured tool results.
pub fn of_output<T: JsonSchema>() -> Value {
    generate::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn generate<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings.with(|s| {
        // 2020-12 is what MCP assumes; naming it makes validators that only know draft 7 give up.
        s.meta_schema = None;
        s.inline_subschemas = true;
        s.transforms.push(Box::new(RecursiveTransform(drop_rust_formats)));
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    // The root carries the name and the doc comment of the Rust type; the tool has its own.
    schema.remove("title");
    schema.remove("description");
    schema.into()
}

/// `uint8`, `double` and their like are no JSON Schema formats, and strict validators reject them.
fn drop_rust_formats(schema: &mut Schema) {
    let is_rust = |format: &Value| matches!(format.as_str(), Some(f) if f.starts_with("int") || f.starts_with("uint") || matches!(f, "float" | "double"));
    if schema.get("format").is_some_and(is_rust) {
        schema.remove("format");
    }
}

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Compiled(Validator);

impl Compiled {
    /// # Errors
    /// When the schema is not valid JSON Schema, is not for an object, or has a part this server does not honour.
    pub(crate) fn new(schema: &Value) -> Result<Self, String> {
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err(r#"its "type" must be "object""#.to_owned());
        }
        if has_member(schema, "x-mcp-header") {
            // A gateway may rely on the mirrored header, so accepting one without comparing it would be a hole.
            return Err(r#""x-mcp-header" is not supported"#.to_owned());
        }
        jsonschema::draft202012::new(schema).map(Self).map_err(|error| error.to_string())
    }

    /// # Errors
    /// The path and the rule of each violation, in one sentence.
    pub(crate) fn check(&self, instance: &Value) -> Result<(), String> {
        if self.0.is_valid(instance) {
            return Ok(());
        }
        let mut told: Vec<String> = Vec::new();
        for error in self.0.iter_errors(instance) {
            if told.len() == TOLD {
                told.push("and more".to_owned());
                break;
            }
            let mut text = error.to_string();
            if text.chars().count() > TOLD_CHARS {
                text = error.masked_with("the value").to_string().chars().take(TOLD_CHARS).collect();
            }
            let path = error.instance_path().as_str();
            told.push(format!("{}: {text} ({})", if path.is_empty() { "/" } else { path }, error.kind().keyword()));
        }
        Err(told.join("; "))
    }
}

fn has_member(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(object) => object.iter().any(|(key, value)| key == name || has_member(value, name)),
        Value::Array(items) => items.iter().any(|item| has_member(item, name)),
        _ => false,
    }
}

/// JSON Schema counts `3.0` as an integer and serde does not: write such numbers as integers before either looks.
pub(crate) fn integers_as_integers(value: &mut Value) {
    /// Beyond this a double no longer tells neighbouring integers apart (2⁵³).
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(float) = number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() <= EXACT) {
                #[expect(clippy::cast_possible_truncation, reason = "whole and within 2⁵³")]
                {
                    *value = Value::from(float as i64);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(integers_as_integers),
        Value::Object(object) => object.values_mut().for_each(integers_as_integers),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Sample {
        /// How many.
        #[schemars(range(min = 1, max = 10))]
        count: u8,
        ratio: Option<f64>,
    }

    #[test]
    fn a_schema_shows_nothing_of_rust() {
        let schema = of_input::<Sample>();
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "properties": {
                    "count": { "description": "How many.", "type": "integer", "minimum": 1, "maximum": 10 },
                    "ratio": { "type": ["number", "null"] },
                },
                "required": ["count"],
                "additionalProperties": false,
            })
        );
    }

    #[test]
    fn violations_name_path_and_rule() {
        let compiled = Compiled::new(&of_input::<Sample>()).unwrap();
        assert_eq!(compiled.check(&json!({ "count": 3 })), Ok(()));
        let told = compiled.check(&json!({ "count": 11, "cuont": 1 })).unwrap_err();
        assert!(told.contains("/count: 11 is greater than the maximum of 10 (maximum)"), "{told}");
        assert!(told.contains("'cuont' was unexpected") && told.contains("(additionalProperties)"), "{told}");
    }

    #[test]
    fn a_huge_value_is_not_sent_back() {
        let compiled = Compiled::new(&of_input::<Sample>()).unwrap();
        let told = compiled.check(&json!({ "count": "x".repeat(100_000) })).unwrap_err();
        assert!(told.len() < 300, "{} bytes", told.len());
    }

    #[test]
    fn refused_schemas() {
        for schema in [
            json!({ "type": "string" }),
            json!({ "type": "object", "properties": { "a": { "type": "nonsense" } } }),
            json!({ "type": "object", "properties": { "a": { "type": "string", "x-mcp-header": "A" } } }),
            json!({ "type": "object", "properties": { "a": { "$ref": "http://127.0.0.1:1/schema" } } }),
        ] {
            assert!(Compiled::new(&schema).is_err(), "{schema}");
        }
    }

    #[test]
    fn whole_floats_become_integers() {
        let mut value = json!({ "a": [3.0, 3.5, -0.0, 1e300] });
        integers_as_integers(&mut value);
        assert_eq!(value, json!({ "a": [3, 3.5, 0, 1e300] }));
    }
}
