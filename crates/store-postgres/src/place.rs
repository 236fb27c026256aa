//! A database URL without what must not be shown.

/// The URL with its password masked. It works on the text, because a URL that does not parse is shown too.
pub(crate) fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A password that was not percent-encoded may hold any of these characters, so the last `@` counts.
    let masked = match rest.rsplit_once('@') {
        Some((credentials, host)) => match credentials.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            None => format!("{credentials}@{host}"),
        },
        None => without_at(rest),
    };
    let query = match query.rsplit_once('@') {
        // A `?` in an unencoded password: everything before the host belongs to it.
        Some((_, host)) if !rest.contains('@') => format!("***@{host}"),
        _ => query.split('&').map(parameter).collect::<Vec<_>>().join("&"),
    };
    if query.is_empty() { format!("{scheme}://{masked}") } else { format!("{scheme}://{masked}?{query}") }
}

/// `HOST:PORT/DATABASE`; what stands for a port and is none may be a password with the host forgotten.
fn without_at(rest: &str) -> String {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') && !port.chars().all(|c| c.is_ascii_digit()) => {
            format!("{host}:***")
        }
        _ if path.is_empty() => authority.to_owned(),
        _ => format!("{authority}/{path}"),
    }
}

fn parameter(pair: &str) -> String {
    match pair.split_once('=') {
        Some((key, _)) if key.to_ascii_lowercase().contains("password") => format!("{key}=***"),
        _ => pair.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn no_password_is_shown_however_the_url_is_written() {
        for (url, shown) in [
            ("postgres://u:hunter2@db:5432/adelie", "postgres://u:***@db:5432/adelie"),
            (
                "postgresql://u:hunter2@db/adelie?sslmode=require",
                "postgresql://u:***@db/adelie?sslmode=require",
            ),
            ("postgres://u:hun@ter2@db/adelie", "postgres://u:***@db/adelie"),
            ("postgres://u:hunter2/x@db/adelie", "postgres://u:***@db/adelie"),
            ("postgres://u:hun?hunter2@db/adelie", "postgres://u:***?***@db/adelie"),
            (
                "postgres:///adelie?host=/run/pg&password=hunter2",
                "postgres:///adelie?host=/run/pg&password=***",
            ),
            ("postgres://u:hunter2", "postgres://u:***"),
            ("u:hunter2@db/adelie", "postgres://u:***@db/adelie"),
            ("postgres://u@db/adelie", "postgres://u@db/adelie"),
            ("postgres://[::1]/adelie", "postgres://[::1]/adelie"),
            ("postgres://db:5432/adelie", "postgres://db:5432/adelie"),
        ] {
            let place = without_password(url);
            assert_eq!(place, shown);
            assert!(!place.contains("hunter2"), "{place}");
        }
    }
}
