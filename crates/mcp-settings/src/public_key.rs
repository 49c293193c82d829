//! The key in `JWT_PUBLIC_KEY`: a PEM in the value itself, or in the file that it names.

use std::{fs::File, io::Read};

use crate::{SettingsError, given::Given};

const BEGIN: &str = "-----BEGIN ";
/// In bytes. An RSA key of 16384 bits takes three thousand.
const LONGEST: u64 = 16 * 1024;

/// The PEM that `given` holds or names. Whether it holds a key is for who checks signatures with it.
pub(crate) fn read(given: &Given) -> Result<String, SettingsError> {
    if let Some(pem) = inline(&given.value).map_err(|reason| given.error(reason))? {
        return Ok(pem);
    }
    // The value is not shown: it may be a key without its first line, and a private one.
    let failed =
        |reason: &str| given.error(format!("it has no {BEGIN}PUBLIC KEY-----, and as the path of a file, {reason}"));
    let unreadable = |error: std::io::Error| failed(&error.to_string());
    let file = File::open(&given.value).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(failed("is a directory"));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(failed("is too long for a key"));
    }
    let text = String::from_utf8(bytes).map_err(|_| failed("is not text"))?;
    match inline(&text) {
        Ok(Some(pem)) => Ok(pem),
        Ok(None) => Err(given.error(format!("the file it names has no {BEGIN}PUBLIC KEY-----"))),
        Err(reason) => Err(given.error(format!("in the file it names, {reason}"))),
    }
}

/// The PEM that `text` is, with line breaks for `\n`; `None` if it is no PEM.
pub(crate) fn inline(text: &str) -> Result<Option<String>, String> {
    let Some((_, begun)) = text.split_once(BEGIN) else { return Ok(None) };
    let label = begun.split("-----").next().unwrap_or("");
    if label.contains("PRIVATE") {
        return Err(
            "it is a private key, which this server has no use for; set the public one, and replace a private \
                    key that has been copied around"
                .to_owned(),
        );
    }
    if label != "PUBLIC KEY" && label != "RSA PUBLIC KEY" {
        return Err(format!("it is a PEM of {}, not of a PUBLIC KEY", crate::check::shown(label)));
    }
    if text.matches(BEGIN).count() > 1 {
        return Err("it holds more than one PEM; set one key".to_owned());
    }
    let end = format!("-----END {label}-----");
    if !text.contains(&end) {
        return Err(format!(
            "it begins as a PEM and has no {end}; on one line, write \\n for each line break, or name a file instead"
        ));
    }
    // In single quotes, and in the environment, the two characters stay two.
    Ok(Some(text.replace("\\n", "\n").replace('\r', "").trim().to_owned() + "\n"))
}
