//! The table that `--print-config` prints: each setting, its value, and where it is from.

use std::fmt;

use crate::Settings;

/// A line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub setting: String,
    pub value: String,
    pub from: String,
}

impl Row {
    pub fn new(setting: &str, value: impl Into<String>, from: impl Into<String>) -> Self {
        Self { setting: setting.to_owned(), value: value.into(), from: from.into() }
    }
}

impl Settings {
    /// A table of every setting: its key, its value with secrets masked, and where it is from. What was given and
    /// decides nothing stands at the end. Each line ends with a line break.
    pub fn explain(&self) -> String {
        let rows = &self.rows;
        let mut table = vec![
            Row::new("HOST", &self.host, &rows.host),
            Row::new("PORT", self.port.to_string(), &rows.port),
            Row::new("MCP_PATH", &self.path, &rows.path),
            Row::new("MCP_SERVER_URL", &self.resource, &rows.resource),
            Row::new("JWT_AUDIENCE", &self.audience, &rows.audience),
            Row::new("JWT_ISSUER", &self.issuer, &rows.issuer),
            Row::new("MCP_SCOPE", self.one_scope.as_deref().unwrap_or("-"), &rows.one_scope),
        ];
        table.extend(rows.verification.iter().cloned());
        table.extend(rows.unused.iter().cloned());

        let width = |cell: &dyn Fn(&Row) -> usize| table.iter().map(cell).max().unwrap_or(0);
        let settings = width(&|row| row.setting.chars().count());
        let values = width(&|row| row.value.chars().count());
        let lines = table.iter().map(|row| format!("{:settings$}  {:values$}  {}\n", row.setting, row.value, row.from));
        lines.collect()
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.explain())
    }
}
