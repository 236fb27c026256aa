use crate::MAX_FILE_BYTES;

/// Why a file gave no server token. Each variant is one thing that a person can have done, and says what to do next.
///
/// No variant carries anything of the content of a token: neither a value nor the text that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// Nothing, or nothing but white space.
    #[error(
        "the file is empty: download the server token again in Apple Business or School Manager and import \
         that .p7m file"
    )]
    Empty,
    /// Far longer than any server token, so it is not even looked at.
    #[error(
        "the file has {size} bytes and a server token has a few thousand (the limit is {MAX_FILE_BYTES}): import \
         the .p7m file that Apple Business or School Manager gave you"
    )]
    TooLarge {
        /// Its length in bytes.
        size: usize,
    },
    /// A certificate (or a request for one), as PEM or DER.
    #[error(
        "this is a certificate, not a server token: upload the certificate in Apple Business or School Manager, \
         download the server token there and import that .p7m file"
    )]
    Certificate,
    /// A private key, as PEM or DER, or a PKCS #12 bundle with one.
    #[error(
        "this is a private key, not a server token: import the .p7m file that Apple Business or School Manager \
         gave you, and if this key was shown to anyone, make a new one with `adelie token key NAME`"
    )]
    PrivateKey,
    /// The text inside a server token, already decrypted by another program.
    #[error(
        "this is the content of a server token that something else has already decrypted: import the encrypted \
         .p7m file as it was downloaded, and delete this readable copy"
    )]
    AlreadyDecrypted,
    /// None of the forms in which a server token comes.
    #[error(
        "this is not a server token: neither an S/MIME message nor bare base64 or DER of one; import the .p7m \
         file that Apple Business or School Manager gave you, unchanged"
    )]
    NotCms,
    /// The beginning of a server token without its end.
    #[error(
        "the file ends in the middle of the server token: it was cut off while it was downloaded or copied; \
         copy or download it again, whole"
    )]
    Truncated,
    /// Named a server token, but changed in a way that it cannot be read any more.
    #[error(
        "the file begins like a server token but is damaged inside: an editor or a mail program may have changed \
         it; download it again in Apple Business or School Manager and import it unchanged"
    )]
    Damaged,
    /// A cryptographic message of another kind than an encrypted one.
    #[error(
        "this message is {found} and a server token is an encrypted message (enveloped data): import the .p7m \
         file that Apple Business or School Manager gave you as the server token"
    )]
    NotEnveloped {
        /// What it is instead, with its article.
        found: &'static str,
    },
    /// There is no key that it could have been encrypted for.
    #[error(
        "there is no token key to decrypt with: run `adelie token key NAME`, upload the certificate in Apple \
         Business or School Manager, download a new server token and import that one"
    )]
    NoKey,
    /// Encrypted for certificates of which none is ours.
    #[error(
        "the server token was encrypted for another key, namely for {}: upload the current certificate of this \
         MDM server in Apple Business or School Manager, download a new server token and import that one",
        list(.recipients)
    )]
    OtherKey {
        /// The certificates that it was encrypted for.
        recipients: Vec<Recipient>,
    },
    /// The content key reaches the recipient in a way that Apple does not use.
    #[error(
        "the content key of this message is wrapped with {method}, and Apple wraps it with RSA: import the .p7m \
         file that Apple Business or School Manager gave you"
    )]
    KeyTransport {
        /// The name or object identifier of the way.
        method: String,
    },
    /// The content is encrypted with a cipher that Apple does not use.
    #[error(
        "the content of this message is encrypted with algorithm {algorithm}, and Apple uses AES or triple DES in \
         CBC mode: import the .p7m file that Apple Business or School Manager gave you"
    )]
    Cipher {
        /// The object identifier of the cipher.
        algorithm: String,
    },
    /// The key did not open it. Wrong key and wrong padding look alike on purpose, because whoever could tell
    /// them apart could decrypt with our help.
    #[error(
        "the server token could not be decrypted although it names our certificate: it is damaged, or the stored \
         private key is not the one of that certificate; download a new server token, and if that fails too, \
         run `adelie token key NAME` and upload the new certificate first"
    )]
    Undecryptable,
    /// Decrypted, but there is no JSON object in it. Positions count characters of the joined JSON.
    #[error(
        "the message was decrypted but its content is not the JSON of a server token (unreadable from character \
         {at} of {length}): download a new server token in Apple Business or School Manager and import it unchanged"
    )]
    NotToken {
        /// Where reading stopped, counted from 1.
        at: usize,
        /// How long the content is.
        length: usize,
    },
    /// Decrypted to JSON in which fields are missing, empty or malformed.
    #[error(
        "the message was decrypted but {}: download a new server token in Apple Business or School Manager and \
         import it unchanged",
        list(.problems)
    )]
    Fields {
        /// Every field that is not as it should be, in the order of the token.
        problems: Vec<FieldProblem>,
    },
    /// Everything is there, but the expiry is no moment.
    #[error(
        "the message was decrypted but its access_token_expiry is not a date and time like 2027-01-31T12:00:00Z: \
         download a new server token in Apple Business or School Manager and import it unchanged"
    )]
    Expiry,
}

/// The certificate that a message was encrypted for, as the message names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// By its issuer and serial number: how Apple does it.
    Certificate {
        /// The issuer's name, like `CN=example`.
        issuer: String,
        /// The serial number, its raw bytes in hexadecimal.
        serial: String,
    },
    /// By its subject key identifier, in hexadecimal.
    KeyIdentifier(String),
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Certificate { issuer, serial } => {
                write!(f, "the certificate with serial number {serial} issued by \"{issuer}\"")
            }
            Self::KeyIdentifier(id) => write!(f, "the certificate with key identifier {id}"),
        }
    }
}

/// What is wrong with one field of the token's JSON; never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// Apple's name of the field.
    pub field: &'static str,
    /// What is wrong.
    pub problem: Problem,
}

impl std::fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let problem = match self.problem {
            Problem::Missing => "is missing",
            Problem::Empty => "is empty",
            Problem::Malformed => "is not plain text",
        };
        write!(f, "{} {problem}", self.field)
    }
}

/// In which way a field is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Absent or `null`.
    Missing,
    /// Nothing but white space.
    Empty,
    /// Not a string, or a string with control characters.
    Malformed,
}

/// Why there is no token key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// OpenSSL could not make it.
    #[error("OpenSSL could not make an RSA key with a certificate: try again, and report it if it stays so")]
    Generate(#[source] openssl::error::ErrorStack),
    /// The bytes are no certificate.
    #[error(
        "the certificate of the token key cannot be read: the stored copy is damaged; restore it from a backup, \
         or make a new key with `adelie token key NAME`"
    )]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The bytes are no private key. The cause is left out, because it speaks of what it has read.
    #[error(
        "the private key of the token key cannot be read: the stored copy is damaged; restore it from a backup, \
         or make a new key with `adelie token key NAME`"
    )]
    PrivateKey,
    /// A private key of another kind than RSA, which Apple's server tokens need.
    #[error("the private key is not an RSA key: make one with `adelie token key NAME`")]
    NotRsa,
    /// The two halves are of different keys.
    #[error(
        "the private key does not belong to the certificate: restore both from the same backup, or make a new \
         key with `adelie token key NAME`"
    )]
    Mismatch,
}

fn list(items: &[impl std::fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
