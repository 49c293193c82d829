//! A JSON object that knows where in the file it stands, so that an error can say so.

use serde_json::{Map, Value};

use super::RealmError;

/// An object of the file. A member that is `null` counts as absent, as in Keycloak.
pub(super) struct Object<'a> {
    path: String,
    members: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    /// The file itself.
    pub(super) fn root(value: &'a Value) -> Result<Self, RealmError> {
        Self::at(String::new(), value)
    }

    /// What stands in a text of the file: Keycloak writes some JSON inside of JSON.
    pub(super) fn within(path: String, value: &'a Value) -> Result<Self, RealmError> {
        Self::at(path, value)
    }

    fn at(path: String, value: &'a Value) -> Result<Self, RealmError> {
        match value {
            Value::Object(members) => Ok(Self { path, members }),
            other => Err(mismatch(&path, "an object", other)),
        }
    }

    pub(super) fn members(&self) -> &'a Map<String, Value> {
        self.members
    }

    /// Where a member stands.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// An error about a member.
    pub(super) fn error(&self, name: &str, problem: impl Into<String>) -> RealmError {
        RealmError::Content { path: self.path(name), problem: problem.into() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, RealmError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| mismatch(&self.path(name), expected, value))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, RealmError> {
        self.typed(name, "a string", Value::as_str)
    }

    /// A text that has to be there.
    pub(super) fn name(&self, name: &str) -> Result<&'a str, RealmError> {
        let text = self.text(name)?.ok_or_else(|| self.error(name, "is missing"))?;
        if text.is_empty() { Err(self.error(name, "is empty")) } else { Ok(text) }
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, RealmError> {
        self.typed(name, "true or false", Value::as_bool)
    }

    /// A whole number above zero.
    pub(super) fn count(&self, name: &str) -> Result<Option<u32>, RealmError> {
        let read = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|&n| n > 0);
        self.typed(name, "a whole number above 0", read)
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, RealmError> {
        self.get(name).map(|value| Self::at(self.path(name), value)).transpose()
    }

    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>, RealmError> {
        let list = self.typed(name, "a list", Value::as_array)?.into_iter().flatten().enumerate();
        list.map(|(index, value)| Self::at(format!("{}[{index}]", self.path(name)), value)).collect()
    }

    /// A list of texts; `None` if it is absent, which is often another thing than empty.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, RealmError> {
        let Some(list) = self.typed(name, "a list", Value::as_array)? else { return Ok(None) };
        let text = |(index, value): (usize, &Value)| match value {
            Value::String(text) => Ok(text.clone()),
            other => Err(mismatch(&format!("{}[{index}]", self.path(name)), "a string", other)),
        };
        list.iter().enumerate().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// The members that are objects or lists of something, or texts: all of the same kind.
    pub(super) fn text_members(&self, name: &str) -> Result<Vec<(&'a str, Vec<String>)>, RealmError> {
        let Some(object) = self.object(name)? else { return Ok(Vec::new()) };
        let read = |(key, value): (&'a String, &Value)| {
            let texts = match value {
                Value::Null => Vec::new(),
                Value::String(text) => vec![text.clone()],
                _ => object.texts(key)?.unwrap_or_default(),
            };
            Ok((key.as_str(), texts))
        };
        object.members.iter().map(read).collect()
    }
}

fn mismatch(path: &str, expected: &str, found: &Value) -> RealmError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    let path = if path.is_empty() { "the whole" } else { path };
    RealmError::Content { path: path.to_owned(), problem: format!("expected {expected}, found {found}") }
}
