//! The resident memory of Dateline.

use crate::{
    Outcome,
    figures::Memory,
    load, machine,
    options::Plan,
    servers::{Launcher, System},
    texts::Texts,
    throughput::BASE,
};

/// Reads the resident memory of a new server, and again after a number of answers.
pub async fn measure(launcher: &Launcher<'_>, texts: &Texts, plan: &Plan) -> Outcome<Option<Memory>> {
    let server = launcher.start(System::Dateline).await?;
    let resident = || machine::usage(server.pid()).map(|usage| usage.resident_bytes);
    let Some(start_bytes) = resident() else { return Ok(None) };
    load::answers(&server, &BASE, &texts.requests(BASE.bytes), plan.answers).await?;
    let after_bytes = resident().ok_or("the memory of the server cannot be read")?;
    let [start, after] = [start_bytes, after_bytes].map(|bytes| bytes as f64 / 1e6);
    eprintln!("memory: {start:.0} MB after the start, {after:.0} MB after {} answers", plan.answers);
    Ok(Some(Memory { start_bytes, answers: plan.answers, after_bytes }))
}
