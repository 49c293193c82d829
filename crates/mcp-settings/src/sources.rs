//! Where settings come from.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::{
    Key, Settings, SettingsError, check, contradictions, env_file,
    given::{AllGiven, Given, Place},
    resolve,
};

/// Flags, environment and env file, before anything is read. Nothing is taken from the process: what is not handed in
/// is not there, and nothing is ever put into the process's environment.
///
/// ```
/// # fn main() -> Result<(), mcp_settings::SettingsError> {
/// use mcp_settings::{Key, Sources};
///
/// let port: Option<u16> = Some(9100); // as clap gives it
/// let settings = Sources::new("envs/keycloak_direct.env")
///     .flag("--port", Key::Port, port)
///     .environment([("KEYCLOAK_REALM", "another-realm")]) // std::env::vars_os()
///     .load()?;
/// assert_eq!(settings.resource, "http://localhost:9100/mcp");
/// assert_eq!(settings.issuer, "http://localhost:8080/realms/another-realm");
///
/// let refused = Sources::new("envs/keycloak_direct.env").environment([("KEYCLOAK_URL", "http://id.example.com")]).load();
/// assert!(refused.unwrap_err().to_string().starts_with("KEYCLOAK_URL (in the environment): "));
/// # Ok(())
/// # }
/// ```
// Not `Debug`: the environment is full of secrets.
#[derive(Clone)]
pub struct Sources {
    default_file: PathBuf,
    file: Option<PathBuf>,
    flags: Vec<(&'static str, Key, String)>,
    environment: Vec<(String, OsString)>,
}

impl Sources {
    /// With the env file that is read if no other is named. It need not exist.
    pub fn new(default_file: impl Into<PathBuf>) -> Self {
        Self { default_file: default_file.into(), file: None, flags: Vec::new(), environment: Vec::new() }
    }

    /// The env file that was named, if one was. It has to exist.
    pub fn file(mut self, file: Option<impl Into<PathBuf>>) -> Self {
        self.file = file.map(Into::into);
        self
    }

    /// A flag such as `--port`, the key that it stands for, and what it was given, if it was.
    pub fn flag(mut self, flag: &'static str, key: Key, value: Option<impl ToString>) -> Self {
        self.flags.extend(value.map(|value| (flag, key, value.to_string())));
        self
    }

    /// The environment: `std::env::vars_os()`. Keys that are not ours are only looked at for `${NAME}` in the file.
    pub fn environment<K: Into<OsString>, V: Into<OsString>>(
        mut self,
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        // A name that is not Unicode is none of ours.
        let named =
            environment.into_iter().filter_map(|(key, value)| Some((key.into().into_string().ok()?, value.into())));
        self.environment.extend(named);
        self
    }

    /// Reads and checks everything.
    pub fn load(self) -> Result<Settings, SettingsError> {
        let mut notices = Vec::new();
        let mut given = self.of_flags()?;
        given.extend(self.of_environment()?);
        given.extend(self.of_file(&mut notices)?);
        let before = given.len();
        given.retain(|one| !is_placeholder(one, &mut notices));
        let given = AllGiven { placeholder: given.len() < before, all: given };
        for one in &given.all {
            check::value(one)?;
        }
        contradictions::find(&given)?;
        resolve::settings(&given, notices)
    }

    fn of_flags(&self) -> Result<Vec<Given>, SettingsError> {
        let given = self.flags.iter().map(|(flag, key, value)| {
            let given = Given::new(*key, value.clone(), Place::Flag(flag));
            // Somebody has typed it, perhaps with a variable that is not set: nothing to pass over in silence.
            if is_empty(value) { Err(given.error("it is empty; give it a value, or leave it out")) } else { Ok(given) }
        });
        given.collect()
    }

    fn of_environment(&self) -> Result<Vec<Given>, SettingsError> {
        let ours = self.environment.iter().filter_map(|(name, value)| Some((Key::named(name)?, value)));
        let given = ours.map(|(key, value)| match value.to_str() {
            Some(value) => Ok(Given::new(key, value.to_owned(), Place::Environment)),
            None => Err(Given::new(key, String::new(), Place::Environment).error("it is not Unicode")),
        });
        given.filter(|given| given.as_ref().map_or(true, |given| !is_empty(&given.value))).collect()
    }

    fn of_file(&self, notices: &mut Vec<String>) -> Result<Vec<Given>, SettingsError> {
        let path: &Path = self.file.as_deref().unwrap_or(&self.default_file);
        let name = path.display().to_string();
        let Some(text) = env_file::read(path)? else {
            if self.file.is_some() {
                return Err(SettingsError::File { file: name, reason: "there is no such file".to_owned() });
            }
            notices.push(format!("{name}: there is no such file, so the defaults apply; --env names another"));
            return Ok(Vec::new());
        };
        let variable = |name: &str| {
            self.environment
                .iter()
                .find(|(key, _)| key == name)
                .and_then(|(_, value)| value.to_str().map(str::to_owned))
        };
        let mut given = Vec::new();
        for line in env_file::parse(&name, &text, variable)? {
            match Key::named(&line.key) {
                Some(_) if is_empty(&line.value) => {}
                Some(key) => given.push(Given::new(key, line.value, Place::File(name.clone(), line.number))),
                // A helper of other lines.
                None if text.contains(&format!("${}", line.key)) || text.contains(&format!("${{{}}}", line.key)) => {}
                None => {
                    let advice = Key::nearest(&line.key).map_or_else(String::new, |near| format!("; is it {near}?"));
                    notices
                        .push(format!("{name}:{}: {} is not a setting, and is ignored{advice}", line.number, line.key));
                }
            }
        }
        Ok(given)
    }
}

/// So that `KEY=` is as good as no line, as for Docker Compose, which hands on what is not set as an empty text.
fn is_empty(value: &str) -> bool {
    value.trim().is_empty()
}

/// `<YOUR_SERVER_CLIENT_ID>`, as the tutorial has it: the file works before there is a client.
fn is_placeholder(given: &Given, notices: &mut Vec<String>) -> bool {
    let client =
        [Key::OauthClientId, Key::OauthClientSecret, Key::AuthClientId, Key::AuthClientSecret].contains(&given.key);
    let placeholder = client && given.value.starts_with('<') && given.value.ends_with('>');
    if placeholder {
        notices.push(format!("{}: a placeholder, which is taken for not set", given.named()));
    }
    placeholder
}
