use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;

use super::{KeyError, PublicKey, PublicKeys};

/// How often a watched directory is looked at. A new key has to be there within a second.
const EVERY: Duration = Duration::from_millis(500);
/// No key file is larger.
const MAX_FILE: u64 = 64 * 1024;

/// A directory of public keys, or one file of them. It need not exist: until it does, there are no keys.
#[derive(Debug)]
pub struct KeyDirectory {
    path: PathBuf,
    current: ArcSwap<PublicKeys>,
    seen: Mutex<Seen>,
}

/// Name, time and size of each key file at the last look.
type Seen = Vec<(PathBuf, SystemTime, u64)>;

impl KeyDirectory {
    /// Reads the directory, or the one file (`NAME.json` with a JWK or a JWK Set, or a PEM), once.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        let current = ArcSwap::from_pointee(PublicKeys::new(Vec::new()));
        let directory = Self { path: path.into(), current, seen: Mutex::default() };
        directory.refresh();
        directory
    }

    /// Goes on looking for new, changed and removed keys, twice a second, for as long as the process lives.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn watch(self: &Arc<Self>) {
        let directory = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let Some(directory) = directory.upgrade() else { break };
                // Reading files blocks.
                let _ = tokio::task::spawn_blocking(move || directory.refresh()).await;
            }
        });
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys as of the last look.
    pub fn public_keys(&self) -> Arc<PublicKeys> {
        self.current.load_full()
    }

    /// Looks now. A file that cannot be used is named in the log and left out; the others stay.
    pub fn refresh(&self) {
        let files = match key_files(&self.path) {
            Ok(files) => files,
            Err(error) => {
                // Keep what there is: a directory that cannot be read for a moment is no order to forget its keys.
                tracing::warn!(path = %self.path.display(), %error, "the key directory cannot be read");
                return;
            }
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == files {
            return;
        }
        let mut keys = Vec::new();
        for (path, _, _) in &files {
            match read(path) {
                Ok(of_this_file) => keys.extend(of_this_file),
                Err(error) => tracing::warn!(path = %path.display(), %error, "this key cannot be used; left out"),
            }
        }
        let found = keys.len();
        let keys = self.current.load().followed_by(keys);
        if keys.keys().len() < found {
            tracing::warn!(path = %self.path.display(), "of several keys with one kid, the first counts");
        }
        let kids: Vec<_> = keys.keys().iter().map(PublicKey::kid).collect();
        tracing::info!(path = %self.path.display(), ?kids, "public keys");
        self.current.store(Arc::new(keys));
        *seen = files;
    }
}

fn is_key_file(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| [".jwk.json", ".jwks.json", ".pub.pem"].iter().any(|ending| name.ends_with(ending)))
}

/// What is in a directory, in order of name; nothing if there is none.
pub(super) fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    paths.sort();
    Ok(paths)
}

fn key_files(place: &Path) -> io::Result<Seen> {
    let mut files = Vec::new();
    let single = place.is_file();
    for path in if single { vec![place.to_owned()] } else { entries(place)? } {
        if single || is_key_file(&path) {
            // Gone between two looks: it will be gone at the next one too.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            files.push((path, metadata.modified()?, metadata.len()));
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<PublicKey>, KeyError> {
    let file = |error| KeyError::File(path.to_owned(), error);
    if fs::metadata(path).map_err(file)?.len() > MAX_FILE {
        return Err(KeyError::Unusable(format!("it is larger than {MAX_FILE} bytes")));
    }
    let text = fs::read_to_string(path).map_err(file)?;
    if path.extension().is_some_and(|extension| extension == "json") {
        PublicKey::from_jwk_or_set(&text)
    } else {
        PublicKey::from_pem(text.as_bytes()).map(|key| vec![key])
    }
}
