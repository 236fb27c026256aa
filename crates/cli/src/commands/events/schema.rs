use crate::exit::Exit;
use crate::output::Output;

/// Prints the JSON Schema of a webhook's body, with the details of every type.
pub fn run(out: Output) -> anyhow::Result<Exit> {
    out.data(&format!("{:#}\n", adelie_store::event::schema()))?;
    Ok(Exit::Done)
}
