//! Tokens and clients between two runs: one file for each resource (and client, where one was given), and in it what
//! belongs to each issuer.
//!
//! A client is of one authorization server, and so is a refresh token: when the resource names another one, nothing of
//! what the first gave is shown to the second (SEP-2352).

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use etcetera::{BaseStrategy, choose_base_strategy};
use serde::{Deserialize, Serialize};

use crate::{observer::Observer, registration::Client, token::Token};

/// Where they are kept.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
}

/// What there is for one issuer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) client: Client,
    pub(crate) token: Option<Token>,
}

/// What there is for one resource.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) resource: String,
    /// The client that was given, if one was: what others got is not its.
    pub(crate) given: Option<String>,
    /// The issuer of the token that was used last: what a call begins with.
    pub(crate) last: Option<String>,
    pub(crate) issuers: BTreeMap<String, Entry>,
}

impl Kept {
    pub(crate) fn new(resource: &str, given: Option<&str>) -> Self {
        Self { resource: resource.to_owned(), given: given.map(str::to_owned), ..Self::default() }
    }
}

impl Cache {
    /// In the person's cache directory; none where there is no home.
    pub fn of_user() -> Option<Self> {
        choose_base_strategy().ok().map(|strategy| Self::at(strategy.cache_dir().join("mcp-client")))
    }

    /// In that directory.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// The file of a resource, and of the client that was given: both may be anything, so they are not in the name.
    pub fn file(&self, resource: &str, given: Option<&str>) -> PathBuf {
        // No URL has a space in it.
        let owner = given.map_or_else(|| resource.to_owned(), |id| format!("{resource} {id}"));
        let digest = digest::digest(&digest::SHA256, owner.as_bytes());
        let name: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.directory.join(format!("{name}.json"))
    }

    /// What was kept. A file that cannot be used is told of and left alone: the way to a new token is always open.
    pub(crate) fn load(&self, resource: &str, given: Option<&str>, observer: &dyn Observer) -> Kept {
        let file = self.file(resource, given);
        match read(&file) {
            Ok(None) => {}
            Ok(Some(kept)) if kept.resource == resource && kept.given.as_deref() == given => return kept,
            Ok(Some(_)) => {
                observer.notice(&format!("{} is of another resource; it is ignored", file.display()));
            }
            Err(why) => observer.notice(&format!("{} cannot be used ({why}); it is ignored", file.display())),
        }
        Kept::new(resource, given)
    }

    /// Puts the whole file in the place of the old one: whoever reads sees one or the other, and nobody else reads it.
    pub(crate) fn save(&self, kept: &Kept, observer: &dyn Observer) {
        let file = self.file(&kept.resource, kept.given.as_deref());
        let save = || -> io::Result<()> {
            create_private(&self.directory)?;
            // Made with 0600.
            let mut new = tempfile::NamedTempFile::new_in(&self.directory)?;
            new.write_all(&serde_json::to_vec_pretty(kept)?)?;
            new.as_file().sync_all()?;
            new.persist(&file)?;
            Ok(())
        };
        if let Err(why) = save() {
            observer.notice(&format!("{} cannot be written ({why}); the next run begins anew", file.display()));
        }
    }
}

fn read(file: &Path) -> io::Result<Option<Kept>> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let mode = fs::metadata(file)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(io::Error::other(format!("others may read or write it: its mode is {mode:o}, not 600")));
        }
    }
    // Nothing of what stands in it is repeated.
    serde_json::from_slice(&text).map(Some).map_err(|_| io::Error::other("it is not what this program wrote"))
}

fn create_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        // One that is there is somebody's, and stays as it is; the files are private wherever they are.
        builder.mode(0o700);
    }
    builder.create(directory)
}
