//! A value of the realm file that knows where it stands, so that an error can say so. Errors never quote what stands
//! there: it may be a password.

use serde_json::Value;

use super::PlanError;

#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Place<'a> {
    pub(super) const fn root(value: &'a Value) -> Self {
        Self { path: String::new(), value }
    }

    pub(super) const fn value(&self) -> &'a Value {
        self.value
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> PlanError {
        let path = if self.path.is_empty() { "the whole" } else { &self.path };
        PlanError::Content { path: path.to_owned(), problem: problem.into() }
    }

    fn expected(&self, expected: &str) -> PlanError {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.error(format!("expected {expected}, found {found}"))
    }

    /// The member with this name. One that is `null` counts as absent, as in Keycloak.
    pub(super) fn get(&self, name: &str) -> Result<Option<Self>, PlanError> {
        let members = self.value.as_object().ok_or_else(|| self.expected("an object"))?;
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Ok(members.get(name).filter(|value| !value.is_null()).map(|value| Self { path, value }))
    }

    pub(super) fn as_text(&self) -> Result<&'a str, PlanError> {
        self.value.as_str().ok_or_else(|| self.expected("a string"))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, PlanError> {
        self.get(name)?.map(|place| place.as_text()).transpose()
    }

    /// A text that has to be there.
    pub(super) fn name(&self, name: &str) -> Result<&'a str, PlanError> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.error(format!("{name} is missing"))),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, PlanError> {
        let read = |place: Self| place.value.as_bool().ok_or_else(|| place.expected("true or false"));
        self.get(name)?.map(read).transpose()
    }

    /// The entries of a list; none if it is absent.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Self>, PlanError> {
        let Some(place) = self.get(name)? else { return Ok(Vec::new()) };
        let entries = place.value.as_array().ok_or_else(|| place.expected("a list"))?;
        let at = |(index, value)| Self { path: format!("{}[{index}]", place.path), value };
        Ok(entries.iter().enumerate().map(at).collect())
    }

    /// A list of names, each with its place; `None` if it is absent, which is often another thing than empty.
    pub(super) fn names(&self, name: &str) -> Result<Option<Vec<(Self, String)>>, PlanError> {
        if self.get(name)?.is_none() {
            return Ok(None);
        }
        let named = |place: Self| place.as_text().map(str::to_owned).map(|text| (place, text));
        self.list(name)?.into_iter().map(named).collect::<Result<_, _>>().map(Some)
    }
}
