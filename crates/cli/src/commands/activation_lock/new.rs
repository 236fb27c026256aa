use std::io::Read;

use adelie_token::BypassCode;
use secrecy::ExposeSecret;
use serde_json::json;
use zeroize::Zeroizing;

use crate::exit::{Exit, as_wrong};
use crate::output::Output;
use crate::real::SystemEntropy;

/// Makes a code, or reads one, and tells its hash.
pub fn run(out: Output, of: Option<&str>) -> anyhow::Result<Exit> {
    let code = match of {
        Some("-") => {
            let mut text = Zeroizing::new(String::new());
            // A code has 31 characters.
            std::io::stdin().lock().take(1000).read_to_string(&mut text)?;
            BypassCode::parse(&text).map_err(|error| as_wrong(&error))?
        }
        Some(text) => BypassCode::parse(text).map_err(|error| as_wrong(&error))?,
        None => BypassCode::generate(&SystemEntropy),
    };
    let hash = code.escrow_key()?;
    if out.json {
        out.object(&json!({ "code": code.text().as_str(), "escrow_key": hash.expose_secret() }))?;
        return Ok(Exit::Done);
    }
    out.facts(&[("code", code.text().as_str().to_owned()), ("escrow key", hash.expose_secret().to_owned())])?;
    if of.is_none() {
        out.note(
            "the code is kept nowhere: without it the device that is locked with its hash stays locked",
        )?;
    }
    Ok(Exit::Done)
}
