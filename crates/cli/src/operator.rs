//! Who is at the keyboard: the name that is written beside every change by hand (field lesson L32).

/// The operating-system user, and under sudo also who became it.
pub fn name() -> String {
    let user = whoami::username().unwrap_or_else(|_| "an unknown user".to_owned());
    // What the environment says is no proof, and it is not used as one: who can set it has the user's rights already.
    behind(&user, std::env::var("SUDO_USER").ok().as_deref())
}

fn behind(user: &str, sudo_user: Option<&str>) -> String {
    let readable = |name: &str| name.chars().filter(|c| !c.is_control()).take(100).collect::<String>();
    match sudo_user.map(readable).filter(|person| !person.is_empty() && person != user) {
        Some(person) => format!("{} (sudo by {person})", readable(user)),
        None => readable(user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_person_behind_sudo_is_named() {
        assert_eq!(behind("anna", None), "anna");
        assert_eq!(behind("root", Some("anna")), "root (sudo by anna)");
        assert_eq!(behind("root", Some("root")), "root");
        assert_eq!(behind("root", Some("")), "root");
        assert_eq!(behind("ro\not", Some("an\u{1b}na")), "root (sudo by anna)");
    }
}
