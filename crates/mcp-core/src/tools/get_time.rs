use jiff::{Timestamp, tz::TimeZone};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{CallContext, Tool, ToolAnnotations, ToolError};

/// Tells the time, in any IANA time zone.
#[derive(Clone, Copy, Debug)]
pub struct GetTime;

/// Arguments of [`GetTime`].
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Input {
    /// An IANA time zone such as Europe/Berlin.
    // Not an Option: its type would be "string or null", which some clients drop from the form they draw.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    timezone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

impl Tool for GetTime {
    const NAME: &'static str = "get_time";
    const TITLE: &'static str = "Get time";
    const DESCRIPTION: &'static str = "Tells the current date and time, in UTC or in an IANA time zone.";
    /// Not [`ToolAnnotations::PURE`]: the next call answers something else.
    const ANNOTATIONS: ToolAnnotations = ToolAnnotations {
        read_only_hint: true,
        destructive_hint: false,
        idempotent_hint: false,
        open_world_hint: false,
    };

    type Input = Input;
    type Output = String;

    async fn call(&self, _: &CallContext, input: Input) -> Result<String, ToolError> {
        time_in(Timestamp::now(), &input.timezone)
    }
}

/// RFC 3339 with the zone in brackets (RFC 9557), to the second.
fn time_in(now: Timestamp, name: &str) -> Result<String, ToolError> {
    let zone = TimeZone::get(name).map_err(|_| {
        ToolError::new(format!("{name:?} is no IANA time zone; write it like Europe/Berlin, Asia/Tokyo or UTC"))
    })?;
    Ok(now.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z[%:Q]").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_and_their_seasons() {
        let told = |at: &str, zone| time_in(at.parse().unwrap(), zone).unwrap();
        assert_eq!(told("2026-07-28T10:00:00.5Z", "UTC"), "2026-07-28T10:00:00+00:00[UTC]");
        assert_eq!(told("2026-07-28T10:00:00Z", "Europe/Berlin"), "2026-07-28T12:00:00+02:00[Europe/Berlin]");
        assert_eq!(told("2026-01-28T10:00:00Z", "Europe/Berlin"), "2026-01-28T11:00:00+01:00[Europe/Berlin]");
    }

    #[test]
    fn no_zone_is_a_path() {
        for name in ["Atlantis/Center", "../../etc/passwd", "/etc/passwd", "Europe/Berlin\0"] {
            let error = time_in(Timestamp::UNIX_EPOCH, name).unwrap_err();
            assert!(error.to_string().contains("IANA time zone"), "{error}");
        }
    }
}
