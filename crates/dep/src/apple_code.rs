//! The words with which Apple refuses.

use serde_json::Value;

macro_rules! codes {
    ($($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// A word with which Apple refuses a request (protocol sections 2.5, 2.6, 5.3 and 6).
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum AppleCode {
            $($(#[$vdoc])* $variant,)+
            /// A word that is not known here, kept as it is.
            Other(String),
        }

        impl AppleCode {
            const KNOWN: &[(&str, Self)] = &[$(($text, Self::$variant)),+];

            /// The word as Apple writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }
    };
}

codes!(
    /// The server token is past its year.
    TokenExpired = "token_expired",
    /// The server token was revoked.
    TokenRejected = "token_rejected",
    /// A newer server token was generated, or the secret is wrong.
    SignatureInvalid = "signature_invalid",
    /// The clocks differ.
    TimestampRefused = "timestamp_refused",
    /// A nonce came twice.
    NonceUsed = "nonce_used",
    /// Not a key of Apple's.
    ConsumerKeyUnknown = "consumer_key_unknown",
    /// A key that Apple refuses.
    ConsumerKeyRejected = "consumer_key_rejected",
    /// An OAuth parameter is missing.
    ParameterAbsent = "parameter_absent",
    /// Another signature method than HMAC-SHA1.
    SignatureMethodRejected = "signature_method_rejected",
    /// The terms have changed and nobody has accepted them.
    TermsNotSigned = "T_C_NOT_SIGNED",
    /// The service or the server token may not do this.
    AccessDenied = "ACCESS_DENIED",
    /// The session has expired.
    Unauthorized = "UNAUTHORIZED",
    /// The session is not valid.
    Forbidden = "FORBIDDEN",
    /// Too many requests.
    TooManyRequests = "TOO_MANY_REQUESTS",
    /// Not a cursor of Apple's.
    InvalidCursor = "INVALID_CURSOR",
    /// The list of this cursor has been read to its end: go on with sync.
    ExhaustedCursor = "EXHAUSTED_CURSOR",
    /// The cursor is older than seven days.
    ExpiredCursor = "EXPIRED_CURSOR",
    /// A sync without a cursor.
    CursorRequired = "CURSOR_REQUIRED",
    /// A request without serial numbers.
    DeviceIdRequired = "DEVICE_ID_REQUIRED",
    /// No such device here.
    DeviceNotFound = "DEVICE_NOT_FOUND",
    /// A request without a profile.
    ProfileUuidRequired = "PROFILE_UUID_REQUIRED",
    /// No such profile.
    ProfileNotFound = "PROFILE_NOT_FOUND",
    /// Something is unknown; what, depends on the endpoint.
    NotFound = "NOT_FOUND",
    /// A profile without `profile_name`.
    ConfigNameRequired = "CONFIG_NAME_REQUIRED",
    /// `profile_name` is empty or too long.
    ConfigNameInvalid = "CONFIG_NAME_INVALID",
    /// A profile without `url`.
    ConfigUrlRequired = "CONFIG_URL_REQUIRED",
    /// `url` is empty, too long or no URL.
    ConfigUrlInvalid = "CONFIG_URL_INVALID",
    /// Flags that exclude each other.
    FlagsInvalid = "FLAGS_INVALID",
    /// `department` is empty or too long.
    DepartmentInvalid = "DEPARTMENT_INVALID",
    /// A profile without `department`; only seen in Apple's old simulator.
    DepartmentRequired = "DEPARTMENT_REQUIRED",
    /// `support_phone_number` is empty or too long.
    SupportPhoneInvalid = "SUPPORT_PHONE_INVALID",
    /// A profile without `support_phone_number`; only seen in Apple's old simulator.
    SupportPhoneRequired = "SUPPORT_PHONE_REQUIRED",
    /// `support_email_address` is empty or too long.
    SupportEmailInvalid = "SUPPORT_EMAIL_INVALID",
    /// `org_magic` is empty or too long.
    MagicInvalid = "MAGIC_INVALID",
    /// `language` and `region` do not go together.
    LocaleInvalid = "LOCALE_INVALID",
    /// A description that today's profile does not have.
    DescriptionInvalid = "DESCRIPTION_INVALID",
    /// No User-Agent.
    UserAgentMissing = "USER_AGENT_MISSING",
    /// A User-Agent that Apple refuses.
    UserAgentInvalid = "USER_AGENT_INVALID",
    /// The body is no JSON.
    MalformedRequestBody = "MALFORMED_REQUEST_BODY",
    /// AppleSeed for IT is switched off for the organization.
    AppleSeedTurnedOff = "APPLE_SEED_FOR_IT_TURNED_OFF",
    /// A setting without URL.
    DiscoveryUrlRequired = "MDM_SERVICE_DISCOVERY_URL_REQUIRED",
    /// Not an https URL.
    DiscoveryUrlNotValid = "MDM_SERVICE_DISCOVERY_URL_NOT_VALID",
    /// The organization is not in the programme.
    OrgNotSupported = "ORG_NOT_SUPPORTED",
);

/// Bodies are one word; what is longer than this is a page of somebody else's.
const LONGEST_BODY: usize = 1000;

impl AppleCode {
    /// The code in the body of a refusal, or in its reason phrase.
    ///
    /// Bodies are plain text, in quotes on Apple's old simulator, and `{"code":"..."}` in places. White space
    /// and quotes are dropped, then a code is looked for by equality and then by containment, long codes
    /// before short ones, because `NOT_FOUND` is part of `PROFILE_NOT_FOUND` (protocol section 2.5). A page of
    /// HTML comes from a proxy and has no code: some of them contain `ACCESS_DENIED`.
    #[must_use]
    pub fn parse(body: &str) -> Option<Self> {
        let body = body.trim();
        if body.is_empty() || body.len() > LONGEST_BODY || body.starts_with('<') {
            return None;
        }
        let in_json = match serde_json::from_str(body) {
            Ok(Value::Object(mut object)) => object.remove("code"),
            Ok(text @ Value::String(_)) => Some(text),
            _ => None,
        };
        let word = in_json.as_ref().and_then(Value::as_str).unwrap_or(body);
        let word = word.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));

        let equal = Self::KNOWN.iter().find(|(text, _)| text.eq_ignore_ascii_case(word));
        // Containment minds the case: Apple appends "Unauthorized" to its OAuth words.
        let contained =
            || Self::KNOWN.iter().filter(|(text, _)| word.contains(text)).max_by_key(|(text, _)| text.len());
        if let Some((_, code)) = equal.or_else(contained) {
            return Some(code.clone());
        }
        let is_word = (1..=64).contains(&word.len())
            && word.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.'));
        is_word.then(|| Self::Other(word.to_owned()))
    }

    /// What a refusal of a profile means, in words (protocol section 5.3).
    #[must_use]
    pub fn profile_meaning(&self) -> &'static str {
        match self {
            Self::ConfigNameRequired => "it has no profile_name",
            Self::ConfigNameInvalid => "profile_name is empty or longer than 125 characters",
            Self::ConfigUrlRequired => "it has no url",
            Self::ConfigUrlInvalid => "url is empty, longer than 2000 characters or not a URL",
            Self::FlagsInvalid => "is_mdm_removable may only be false when is_supervised is true",
            Self::DepartmentInvalid => {
                "department is empty or longer than 125 characters; leave it out if unused"
            }
            Self::DepartmentRequired => "it has no department",
            Self::SupportPhoneInvalid => {
                "support_phone_number is empty or longer than 50 characters; leave it out if unused"
            }
            Self::SupportPhoneRequired => "it has no support_phone_number",
            Self::SupportEmailInvalid => {
                "support_email_address is empty or longer than 250 characters; leave it out if unused"
            }
            Self::MagicInvalid => "org_magic is empty or longer than 256 characters; leave it out if unused",
            Self::LocaleInvalid => "language and region are not a combination that Apple supports",
            Self::DescriptionInvalid => "its description is not accepted; today's profile has none",
            Self::MalformedRequestBody => "Apple could not read it as JSON",
            Self::NotFound | Self::ProfileNotFound | Self::DeviceNotFound => {
                "something in it is unknown to Apple, most likely a serial number in devices"
            }
            _ => "Apple gives no reason that is known here",
        }
    }
}

impl std::fmt::Display for AppleCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_every_form_that_has_been_seen() {
        for (body, code) in [
            ("INVALID_CURSOR", AppleCode::InvalidCursor),
            ("EXPIRED_CURSOR\n", AppleCode::ExpiredCursor),
            ("\"EXHAUSTED_CURSOR\"", AppleCode::ExhaustedCursor),
            (" \"INVALID_CURSOR\"\r\n", AppleCode::InvalidCursor),
            (r#"{"code":"T_C_NOT_SIGNED"}"#, AppleCode::TermsNotSigned),
            ("token_expiredUnauthorized", AppleCode::TokenExpired),
            ("oauth_problem=signature_invalid&x=1", AppleCode::SignatureInvalid),
            ("PROFILE_NOT_FOUND", AppleCode::ProfileNotFound),
            ("Error: PROFILE_NOT_FOUND.", AppleCode::ProfileNotFound),
            ("Error: NOT_FOUND.", AppleCode::NotFound),
            ("Unauthorized", AppleCode::Unauthorized),
            ("SOMETHING_NEW", AppleCode::Other("SOMETHING_NEW".into())),
            (r#"{"code":"NEW","message":"x"}"#, AppleCode::Other("NEW".into())),
        ] {
            assert_eq!(AppleCode::parse(body), Some(code), "{body}");
        }
    }

    #[test]
    fn what_is_not_apples_has_no_code() {
        let squid = "<html><!-- ERR_ACCESS_DENIED --></html>";
        let long = "FORBIDDEN ".repeat(200);
        for body in ["", "  ", "\"\"", squid, "Internal Server Error", "{}", long.as_str()] {
            assert_eq!(AppleCode::parse(body), None, "{body}");
        }
    }
}
