//! What is registered: names checked, schemas compiled, list entries written, all once.

use std::collections::HashMap;

use serde_json::{Value, value::RawValue};

use crate::schema::Compiled;

/// Why a server cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The name breaks the rule of MCP 2026-07-28, *Tools*, "Tool Names".
    #[error("{0:?} is no name for a {1}: 1 to 128 characters of A-Z a-z 0-9 _ - .")]
    Name(String, &'static str),
    /// The name is taken.
    #[error("there are two {1}s named {0:?}")]
    Duplicate(String, &'static str),
    /// A schema is wrong.
    #[error("the {2} schema of the {1} {0:?} cannot be used: {3}")]
    Schema(String, &'static str, &'static str, String),
}

/// The tools, or the prompts, of a server.
pub(super) struct Registry<T: ?Sized> {
    kind: &'static str,
    entries: Vec<Entry<T>>,
    by_name: HashMap<&'static str, usize>,
    /// The whole list as JSON, for callers who may see all of it.
    list: Box<RawValue>,
}

pub(super) struct Entry<T: ?Sized> {
    pub(super) name: &'static str,
    pub(super) arguments: Compiled,
    pub(super) item: Box<T>,
    descriptor: Box<RawValue>,
}

impl<T: ?Sized> Registry<T> {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, entries: Vec::new(), by_name: HashMap::new(), list: raw_list([].into_iter()) }
    }

    pub(super) fn add(
        &mut self,
        name: &'static str,
        item: Box<T>,
        input_schema: &Value,
        descriptor: Result<Value, String>,
    ) -> Result<(), BuildError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if !(1..=128).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(BuildError::Name(name.to_owned(), self.kind));
        }
        if self.by_name.contains_key(name) {
            return Err(BuildError::Duplicate(name.to_owned(), self.kind));
        }
        let unusable = |which, why| BuildError::Schema(name.to_owned(), self.kind, which, why);
        let arguments = Compiled::new(input_schema).map_err(|why| unusable("input", why))?;
        let descriptor = descriptor.map_err(|why| unusable("input", why))?;
        if let Some(schema) = descriptor.get("outputSchema") {
            Compiled::new(schema).map_err(|why| unusable("output", why))?;
        }
        let descriptor = raw(&descriptor);
        self.by_name.insert(name, self.entries.len());
        self.entries.push(Entry { name, arguments, item, descriptor });
        self.list = raw_list(self.entries.iter().map(|entry| &*entry.descriptor));
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Entry<T>> {
        self.by_name.get(name).map(|&i| &self.entries[i])
    }

    pub(super) fn list(&self) -> Box<RawValue> {
        self.list.clone()
    }

    /// The list without the entries that `show` refuses, in the same order.
    pub(super) fn list_where(&self, show: impl Fn(&'static str) -> bool) -> Box<RawValue> {
        raw_list(self.entries.iter().filter(|entry| show(entry.name)).map(|entry| &*entry.descriptor))
    }
}

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).expect("a Value prints as JSON")
}

fn raw_list<'a>(items: impl Iterator<Item = &'a RawValue>) -> Box<RawValue> {
    let joined = items.map(RawValue::get).collect::<Vec<_>>().join(",");
    RawValue::from_string(format!("[{joined}]")).expect("JSON values between commas are a JSON array")
}
