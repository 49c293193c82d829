use std::fmt;

/// What came of trying a realm. Its `Display` is a table that ends with `N checks, M failed`.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub(crate) checks: Vec<Check>,
}

/// One thing that was tried.
#[derive(Clone, Debug)]
pub struct Check {
    /// What, such as `token of mcp-user`.
    pub name: String,
    /// What was seen, or what is wrong.
    pub outcome: Result<String, Failure>,
}

/// What is wrong, and where to put it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was seen.
    pub found: String,
    /// What to do: mostly the way to a setting in the admin console.
    pub advice: String,
}

impl Failure {
    pub(crate) fn new(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { found: found.into(), advice: advice.into() }
    }
}

impl Report {
    /// Every check, in the order they were made.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether there were checks and none failed.
    pub fn passed(&self) -> bool {
        !self.checks.is_empty() && self.failures().next().is_none()
    }

    /// The failed ones.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &Failure)> {
        self.checks
            .iter()
            .filter_map(|check| check.outcome.as_ref().err().map(|failure| (check.name.as_str(), failure)))
    }

    pub(crate) fn add(&mut self, name: impl Into<String>, outcome: Result<String, Failure>) {
        self.checks.push(Check { name: name.into(), outcome });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
        for Check { name, outcome } in &self.checks {
            match outcome {
                Ok(seen) => writeln!(f, "ok      {name:width$}  {seen}")?,
                Err(Failure { found, advice }) => {
                    writeln!(f, "FAILED  {name:width$}  {found}")?;
                    writeln!(f, "        {:width$}  > {advice}", "")?;
                }
            }
        }
        write!(f, "{} checks, {} failed", self.checks.len(), self.failures().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table() {
        let mut report = Report::default();
        assert!(!report.passed(), "nothing was tried");
        report.add("token of mcp-user", Ok("mcp:read".to_owned()));
        assert!(report.passed());
        report.add("keys", Err(Failure::new("none", "make one")));
        assert!(!report.passed());
        let table = "\
ok      token of mcp-user  mcp:read
FAILED  keys               none
                           > make one
2 checks, 1 failed";
        assert_eq!(report.to_string(), table);
    }
}
